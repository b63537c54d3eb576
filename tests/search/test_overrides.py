"""Each option of `evopose evolve` replaces one value of the recipe, and nothing else."""

import json
from dataclasses import asdict

import pytest

from evopose.errors import ConfigError, ModelError
from evopose.genotype import GENOTYPES, SPACES
from evopose.models.inputs import CodecSpec
from evopose.models.modelfile import model_card, save_model
from evopose.recipes import SEARCH_RECIPES
from evopose.search.overrides import override, parse_size
from evopose.skeleton import Skeleton

SMALL = SEARCH_RECIPES["small"]()

# option, value, where it lands
ONE_TO_ONE = [
    ("children", 9, ["evolution.children"]),
    ("parents", 3, ["evolution.parents"]),
    ("generations", 7, ["evolution.generations"]),
    ("hours", 1.5, ["evolution.hours"]),
    ("patience", 5, ["evolution.patience"]),
    ("min_gain", 0.1, ["evolution.min_gain"]),
    ("clones", False, ["evolution.clones"]),
    ("seed", 11, ["evolution.seed", "evolution.training_seed"]),
    ("target_parameters", 1e6, ["evolution.fitness.target_parameters"]),
    ("target_macs", 1e8, ["evolution.fitness.target_macs"]),
    ("target_latency_ms", 5.0, ["evolution.fitness.target_latency_ms"]),
    ("gamma", -0.2, [f"evolution.fitness.gamma{of}" for of in ("", "_latency", "_macs")]),
    ("max_parameters", 400_000, ["evolution.fitness.max_parameters"]),
    ("max_macs", 10**8, ["evolution.fitness.max_macs"]),
    ("max_latency_ms", 9.0, ["evolution.fitness.max_latency_ms"]),
    ("parents_by", "random", ["evolution.parents_by"]),
    ("rescore", 5, ["evolution.rescore"]),
    ("rescore_seeds", 3, ["evolution.rescore_seeds"]),
    ("input_hw", (128, 96), ["input_hw"]),
    ("transfer", "official", ["transfer"]),
    ("epochs", 4, ["child_training.epochs"]),
    ("ancestor_epochs", 6, ["ancestor_training.epochs"]),
    ("batch_size", 64, ["ancestor_training.batch_size", "child_training.batch_size"]),
    ("learning_rate", 0.01, ["ancestor_training.learning_rate", "child_training.learning_rate"]),
    ("precision", "bf16", ["ancestor_training.precision", "child_training.precision"]),
    ("scaling_reference", "100", ["network.scaling_reference"]),
    ("ancestor", SMALL.ancestor.with_gene(0, "kernel", 5), ["ancestor"]),
]


def flat(value, prefix=""):
    """Dicts in dicts as one dict of dotted names."""
    found = {}
    for name, item in value.items():
        inside = isinstance(item, dict) and name not in ("ancestor", "space")
        found |= flat(item, f"{prefix}{name}.") if inside else {f"{prefix}{name}": item}
    return found


@pytest.mark.parametrize(("option", "value", "places"), ONE_TO_ONE, ids=[o[0] for o in ONE_TO_ONE])
def test_an_option_changes_its_value_alone(option, value, places):
    before = flat(asdict(SMALL))
    after = flat(asdict(override(SMALL, **{option: value})))
    changed = sorted(name for name in after if after[name] != before[name])
    assert changed == sorted(places)
    if option not in ("scaling_reference", "ancestor"):
        assert {after[name] for name in places} == {value}


def test_the_values_of_options_that_are_not_taken_as_they_come():
    assert override(SMALL, scaling_reference="100").network.scaling_reference == 100.0
    paper = SEARCH_RECIPES["paper"]()
    assert override(paper, scaling_reference="none").network.scaling_reference is None
    assert override(paper, ancestor_weights="none").ancestor_weights is None


def test_nothing_given_changes_nothing():
    assert override(SMALL) == SMALL
    assert override(SMALL, children=None, ancestor=None, input_hw=None) == SMALL


def test_unknown_options_are_named():
    with pytest.raises(ConfigError, match="unknown options of a search: chidren, epoch"):
        override(SMALL, epoch=1, chidren=2)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("children", 0, "children must be at least 1"),
        ("hours", 0, "hours must be above 0"),
        ("seed", -1, "seed must not be negative"),
        ("gamma", float("nan"), "gamma must be a finite number"),
        ("max_parameters", -5, "max_parameters must be above 0"),
        ("epochs", 0, "epochs must be at least 1"),
        ("learning_rate", 0.0, "learning_rate must be positive"),
        ("precision", "fp8", "precision must be one of"),
        ("scaling_reference", "big", "a side in pixels, or none; got 'big'"),
        ("space", "nowhere.json", "neither one of paper, small, wide nor a file"),
        (
            "ancestor",
            "adam",
            "neither a model file, nor a run folder, nor RUN:ID, nor a genotype like",
        ),
        ("ancestor", "[[3,1,2]]", "stage 1 of the genotype needs 4 genes"),
        ("ancestor", "[[3,1,2,1]]", "outside the space 'small': it has 1 stages"),
    ],
)
def test_values_that_cannot_be_are_refused(option, value, message):
    with pytest.raises(ConfigError, match=message):
        override(SMALL, **{option: value})


def test_an_ancestor_by_name_and_by_genotype():
    paper = SEARCH_RECIPES["paper"]()
    assert override(paper, ancestor="evopose2d-s").ancestor == GENOTYPES["evopose2d-s"]
    text = GENOTYPES["evopose2d-xs"].to_json()
    assert override(paper, ancestor=text).ancestor == GENOTYPES["evopose2d-xs"]
    # Other genes than those the weights are for: who wants them must say so.
    assert override(paper, ancestor=text).ancestor_weights == "imagenet"


@pytest.fixture
def model_file(tmp_path):
    """A model of three keypoints, with options unlike the small recipe's."""
    from evopose.models.evopose2d import build_evopose2d
    from evopose.models.evopose2d_plan import EvoPose2DConfig

    net = build_evopose2d(
        EvoPose2DConfig(
            genotype=SMALL.ancestor.with_gene(6, "filters", 5),
            input_hw=(32, 32),
            num_keypoints=3,
            stem_channels=8,
            head_channels=24,
            final_kernel=3,
            scaling_reference=None,
        )
    )
    card = model_card(net, skeleton=Skeleton(keypoints=("a", "b", "c")), codec=CodecSpec())
    return save_model(tmp_path / "parent.safetensors", net, card)


def test_an_ancestor_from_a_model_file_brings_genes_options_and_weights(model_file):
    config = override(SMALL, ancestor=str(model_file))
    assert config.ancestor.stages[6].filters == 5
    assert (config.network.stem_channels, config.network.head_channels) == (8, 24)
    assert config.network.final_kernel == 3
    assert config.ancestor_weights == str(model_file)
    assert config.input_hw == SMALL.input_hw
    assert override(SMALL, ancestor=model_file, ancestor_weights="none").ancestor_weights is None


def test_weights_of_an_ancestor_are_looked_at_before_anything_starts(
    model_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert override(SMALL, ancestor_weights=model_file.name).ancestor_weights == str(model_file)
    with pytest.raises(ModelError, match="there is no model file"):
        override(SMALL, ancestor_weights="absent.safetensors")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        override(SMALL, ancestor_weights="text")


def test_a_space_of_ones_own_comes_with_its_ancestor(tmp_path):
    declared = json.loads(SPACES["small"].to_json())
    declared["name"] = "no-squeeze"
    declared["ancestor"] = [[3, 1, 1, 1], *declared["ancestor"][1:]]
    declared["stages"][0] = {
        gene: {"values": [value]}
        for gene, value in zip(
            ("kernel", "repeats", "filters", "stride"), (3, 1, 1, 1), strict=True
        )
    }
    path = tmp_path / "space.json"
    path.write_text(json.dumps(declared))
    config = override(SMALL, space=str(path))
    assert config.space.name == "no-squeeze"
    assert config.ancestor.to_list() == declared["ancestor"]
    assert override(SMALL, space=config.space) == config
    # The larger stride of another space is weighed against the new size, not the recipe's.
    assert override(SMALL, space="paper", input_hw=(64, 64)).space == SPACES["paper"]


@pytest.mark.parametrize(
    ("text", "size"), [("256x192", (256, 192)), ("96X64", (96, 64)), ("7x5", (7, 5))]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "256", "256x", "x192", "-8x8", "0x64", "96x64x3", "9.5x4"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="HEIGHTxWIDTH in pixels, say 256x192"):
        parse_size(text)
