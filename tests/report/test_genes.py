"""Gene frequencies, counted here the slow way."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from evopose.evolution.individual import Individual
from evopose.genotype import GENES, Genotype
from evopose.report import genes
from evopose.report.facts import SearchFacts
from evopose.report.genes import gene_histories, gene_names, genes_figure, genes_of


def test_shares_are_those_of_the_children(facts: SearchFacts) -> None:
    found = {(h.stage, h.gene): h for h in gene_histories(facts)}
    children = [one for one in facts.individuals if one.kind in ("ancestor", "mutant")]
    for stage in range(7):
        for gene in GENES:
            values = {getattr(one.genotype.stages[stage], gene) for one in children}
            assert ((stage, gene) in found) == (len(values) > 1)
            if len(values) == 1:
                continue
            history = found[stage, gene]
            assert history.values == tuple(sorted(values))
            assert history.generations == tuple(range(7))
            for value, shares in zip(history.values, history.shares, strict=True):
                for generation, share in enumerate(shares):
                    born = [o for o in children if o.generation == generation]
                    having = [o for o in born if getattr(o.genotype.stages[stage], gene) == value]
                    assert share == pytest.approx(len(having) / len(born))
    assert [h.gene for h in gene_histories(facts)] == sorted(
        (h.gene for h in found.values()), key=GENES.index
    )


def test_the_figure_has_a_map_a_gene(facts: SearchFacts) -> None:
    histories = gene_histories(facts)
    figure = genes_figure(histories)
    assert len(figure["data"]) == len(histories)
    for trace, history in zip(figure["data"], histories, strict=True):
        assert trace["name"] == history.label == f"stage {history.stage + 1} {history.gene}"
        columns = zip(*trace["z"], strict=True)
        assert all(sum(column) == pytest.approx(1, abs=1e-3) for column in columns)


def test_many_generations_are_drawn_in_groups(
    facts: SearchFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genes, "MOST_BINS", 3)
    (trace, *_) = genes_figure(gene_histories(facts))["data"]
    assert trace["x"] == [0, 3, 6]
    assert all(
        sum(column) == pytest.approx(1, abs=1e-3) for column in zip(*trace["z"], strict=True)
    )


def test_genes_of_the_whole_network_are_found(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    wide = [
        replace(one, genotype=_wider(one.genotype, "128x96" if one.birth % 2 else "96x64"))
        for one in search[:30]
    ]
    found = genes_of(wide[0].genotype)
    assert found[None, "input_size"] == "96x64"
    assert found[0, "kernel"] == wide[0].genotype.stages[0].kernel
    assert found[1, "activation"] == "relu"
    assert found[0, "activation"] is None
    assert gene_names(wide[0].genotype) == (*GENES, "activation")
    *_, last = gene_histories(facts_of(wide))
    assert (last.stage, last.label, last.values) == (None, "input size", ("96x64", "128x96"))
    assert last.shares[0][0] == 1.0
    assert genes_figure((last,))["data"][0]["y"] == ["96x64", "128x96"]


def _wider(genotype: Genotype, size: str) -> Genotype:
    return genotype.with_gene(1, "activation", "relu").with_gene(None, "input_size", size)
