"""Genotypes as values: text, digest, checks."""

import hashlib

import pytest

from evopose.errors import ConfigError
from evopose.genotype import GENES, GENOTYPES, Genotype, Stage

# the paper's ancestor, typed from its table
ANCESTOR_TEXT = "[[3,1,2,1],[3,2,3,2],[5,2,5,2],[3,3,10,2],[5,3,14,1],[5,4,24,2],[3,1,40,1]]"
ANCESTOR_DIGEST = "6a681d185103466ccaabeb5a5e32bbc455555d756225b4cf6121e3162e02e4fe"


def test_json_is_canonical_and_the_digest_is_its_sha_256() -> None:
    ancestor = GENOTYPES["efficientnet-b0"]
    assert ancestor.to_json() == ANCESTOR_TEXT
    assert ancestor.digest == hashlib.sha256(ANCESTOR_TEXT.encode()).hexdigest()
    assert ancestor.digest == ANCESTOR_DIGEST


def test_spaces_in_the_text_do_not_matter() -> None:
    spaced = ANCESTOR_TEXT.replace(",", " ,\n ")
    assert Genotype.from_json(spaced).digest == ANCESTOR_DIGEST


@pytest.mark.parametrize("name", GENOTYPES)
def test_round_trips(name) -> None:
    genotype = GENOTYPES[name]
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert Genotype.from_list(genotype.to_list()) == genotype
    assert hash(Genotype.from_json(genotype.to_json())) == hash(genotype)


def test_the_named_genotypes_are_the_papers() -> None:
    s = [[3, 1, 2, 1], [3, 3, 3, 2], [5, 2, 5, 2], [3, 4, 10, 2], [5, 2, 14, 1], [5, 4, 16, 1],
         [3, 2, 10, 1]]  # fmt: skip
    assert GENOTYPES["evopose2d-s"].to_list() == s
    s[5][3] = 2
    assert GENOTYPES["evopose2d-xs"].to_list() == s
    assert str(GENOTYPES["evopose2d-s"]).startswith("3-1-2-1 3-3-3-2 5-2-5-2 ")


def test_with_gene_changes_one_gene_of_a_copy() -> None:
    ancestor = GENOTYPES["efficientnet-b0"]
    for index, gene in enumerate(GENES):
        value = (7, 9, 11, 2)[index]
        rows = ancestor.to_list()
        rows[4][index] = value
        assert ancestor.with_gene(4, gene, value).to_list() == rows
    assert ancestor.to_json() == ANCESTOR_TEXT


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ([], "at least one stage"),
        (7, r"a genotype is a list of \[kernel, repeats, filters / 8, stride\], got 7"),
        ([3, 1, 2, 1], "a genotype is a list of"),
        ([[3, 1, 2, 1], [3, 1, 2]], r"stage 2 of the genotype needs 4 genes .* got \[3, 1, 2\]"),
        ([[4, 1, 2, 1]], "kernel must be odd and at least 3, got 4"),
        ([[1, 1, 2, 1]], "kernel must be odd and at least 3, got 1"),
        ([[3, 0, 2, 1]], "repeats must be a positive integer, got 0"),
        ([[3, 1, -2, 1]], "filters must be a positive integer, got -2"),
        ([[3, 1, 2.0, 1]], "filters must be a positive integer, got 2.0"),
        ([[3, True, 2, 1]], "repeats must be a positive integer, got True"),
        ([[3, "1", 2, 1]], "repeats must be a positive integer, got '1'"),
        ([[3, 1, 2, 3]], "stride must be 1 or 2, got 3"),
    ],
)
def test_what_cannot_be_a_genotype_is_refused(genes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Genotype.from_list(genes)


@pytest.mark.parametrize("text", ["", "[[3,1,2,1]", "{}", "null", '"3-1-2-1"', "[[]]", "[null]"])
def test_text_that_is_no_genotype_is_refused(text) -> None:
    with pytest.raises(ConfigError, match="genotype"):
        Genotype.from_json(text)


def test_channels_are_eights_of_filters() -> None:
    assert [Stage(3, 1, filters, 1).channels for filters in (1, 3, 40)] == [8, 24, 320]


WIDE_TEXT = (
    '{"stages":[[3,1,1,1],[5,2,2,2]],"expand_ratio":[null,4],"se_ratio":[0.25,1.0],'
    '"activation":["relu","silu"],"network":{"head_blocks":2,"input_size":"96x64"}}'
)


def test_wider_genotypes_have_canonical_json_of_their_own() -> None:
    wide = Genotype.from_json(WIDE_TEXT)
    assert wide.to_json() == WIDE_TEXT
    again = (
        Genotype.from_list([[3, 1, 1, 1], [5, 2, 2, 2]])
        .with_gene(None, "input_size", "96x64")
        .with_gene(1, "expand_ratio", 4)
        .with_gene(0, "se_ratio", 0.25)
        .with_gene(1, "se_ratio", 1)  # an integer is the same number
        .with_gene(0, "activation", "relu")
        .with_gene(1, "activation", "silu")
        .with_gene(None, "head_blocks", 2)
    )
    assert again == wide
    assert (again.to_json(), hash(again)) == (WIDE_TEXT, hash(wide))
    assert again.digest == hashlib.sha256(WIDE_TEXT.encode()).hexdigest()
    assert str(wide) == ("3-1-1-1-se0.25-relu 5-2-2-2-e4-se1.0-silu head_blocks=2 input_size=96x64")


def test_genes_taken_out_again_leave_the_papers_text() -> None:
    ancestor = GENOTYPES["efficientnet-b0"]
    wide = ancestor.with_gene(2, "activation", "relu").with_gene(None, "stem_channels", 8)
    assert wide.to_json().startswith('{"stages":[[3,1,2,1]')
    narrow = wide.with_gene(2, "activation", None).with_gene(None, "stem_channels", None)
    assert (narrow, narrow.to_json()) == (ancestor, ANCESTOR_TEXT)


def test_the_list_of_a_wider_genotype_would_lose_genes() -> None:
    with pytest.raises(ConfigError, match=r"has more genes than .* use to_value"):
        Genotype.from_json(WIDE_TEXT).to_list()


def test_input_sizes_come_as_text_or_numbers() -> None:
    for given in ("96x64", [96, 64], (96, 64)):
        wide = Genotype.from_value({"stages": [[3, 1, 1, 1]], "network": {"input_size": given}})
        assert (wide.network.input_size, wide.network.input_hw) == ("96x64", (96, 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": []}, "a genotype has no stage; expected here: stages, expand_ratio, se_ratio"),
        ({"expand_ratio": [1]}, "expand_ratio is a list with a value .* 2 stages, got \\[1\\]"),
        ({"expand_ratio": [1, 0]}, "gene expand_ratio must be a positive integer, got 0"),
        ({"se_ratio": [0.5, 0]}, "gene se_ratio must be above 0 and at most 1, got 0"),
        ({"activation": ["silu", "swish"]}, "activation must be one of silu, relu, hardswish, got"),
        ({"network": {"head": 3}}, "network has some of stem_channels, .* got {'head': 3}"),
        ({"network": [3]}, "network has some of stem_channels"),
        ({"network": {"head_blocks": 1.5}}, "gene head_blocks must be a positive integer"),
        ({"network": {"input_size": "64"}}, 'input_size must be like "96x64", height first, got'),
        ({"network": {"input_size": [64, 0]}}, "input_size must be like"),
        ({"network": {"input_size": [64, 32, 3]}}, "input_size must be like"),
    ],
)
def test_what_cannot_be_a_wider_genotype_is_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Genotype.from_value({"stages": [[3, 1, 1, 1], [3, 1, 1, 2]]} | change)
