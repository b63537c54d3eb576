# On a fresh machine each of these sets up everything it needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup evolve test check lint format goldens clean

help: ## show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv and install evopose into it

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

evolve: $(STAMP) ## evolve a pose network on drawn people, in minutes
	$(BIN)/evopose evolve synthetic:2400 --recipe demo

test: $(STAMP) ## run the tests, doctests included
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

check: $(STAMP) lint test ## all that must pass: format, lint, types, tests, the built wheel
	$(BIN)/python tests/check_wheel.py

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

goldens: $(STAMP) ## write tests/golden anew, after a change that should alter it
	EVOPOSE_WRITE_GOLDENS=1 $(BIN)/python -m pytest -q -k golden

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
