"""The command line. This module loads nothing heavy: `evopose --help` must be quick."""

import logging
import os
import sys
import time

import typer

from evopose.errors import EvoposeError

__all__ = ["app", "main"]

_FIRST_SECONDS = 5.0

app = typer.Typer(
    name="evopose",
    help="Find, train and ship the pose network that fits your keypoints and your budget.",
    epilog="Start with: evopose evolve synthetic --recipe demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from evopose import __version__

        print(f"evopose {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None: ...


def main() -> None:
    """Run the command line: exits 0; 2 on a user's mistake and 1 on a failure, told in one message;
    130 on Ctrl-C."""
    from evopose.cli import (  # noqa: F401  each adds its verbs
        bench,
        compare,
        data,
        data_import,
        doctor,
        evaluate,
        evolve,
        export,
        import_,
        inspect,
        models,
        predict,
        space,
        status,
        train,
        watch,
    )

    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        app(prog_name="evopose")
    except EvoposeError as error:
        _let_the_first_tell()
        print(f"evopose: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error


def _let_the_first_tell() -> None:
    """Of the processes that torchrun has started on a machine, let the first tell what all have to
    tell: the launcher then ends those that wait here."""
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("LOCAL_RANK") != "0":
        time.sleep(_FIRST_SECONDS)
