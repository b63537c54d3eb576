"""From a file of public weights to a model: which format it is, and that the model is usable."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evopose.cli.import_ import FORMATS
from evopose.errors import ModelError
from evopose.models import MODELS, build_model
from evopose.models.importers import IMPORTERS, import_weights, recognise
from evopose.models.modelfile import load_model, save_model
from evopose.models.public import COCO_WEIGHTS, PUBLIC_WEIGHTS, load_public, public_weights
from evopose.models.transfer import inherit_weights
from evopose.recipes.search import SEARCH_RECIPES
from evopose.search.network import load_or_build
from evopose.search.overrides import override
from evopose.skeleton import COCO_PERSON, Skeleton
from models.golden_weights import formula_image, formula_weights, read_golden

FORMAT_OF = {
    "cpn_r50_authors": "cpn",
    "efficientnet_b0_keras": "efficientnet-keras",
    "efficientnet_b0_torchvision": "efficientnet-torchvision",
    "hrnet_w32_authors": "hrnet",
    "hrnet_w32_mmpose": "hrnet-mmpose",
    "hrnet_w32_timm": "hrnet-imagenet",
    "mspn2_authors": "mspn",
    "mspn2_mmpose": "mspn-mmpose",
    "posefix_authors": "posefix",
    "resnet50_torchvision": "resnet-imagenet",
    "simple_baseline_authors": "simple-baseline",
    "simple_baseline_mmpose": "simple-baseline-mmpose",
    "simple_baseline_mmpose0": "simple-baseline-mmpose",
}
B0 = "tf_efficientnet_b0.pth"


def outline(golden: str) -> dict[str, Tensor]:
    """Return a checkpoint's arrays without their values."""
    shapes = read_golden(golden)["shapes"]
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def b0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-B0 of timm, with weights by formula."""
    path = tmp_path_factory.mktemp("weights") / B0
    torch.save(formula_weights(read_golden("efficientnet_b0_timm_tf")["shapes"]), path)
    return path


def with_arrays(path: Path, **changed: Tensor | None) -> Path:
    """Write a copy with arrays replaced, added, or taken out (None)."""
    arrays = torch.load(path, weights_only=True)
    arrays |= {name.replace("__", "."): value for name, value in changed.items()}
    torch.save({name: value for name, value in arrays.items() if value is not None}, path)
    return path


@pytest.fixture
def copy(b0: Path, tmp_path: Path) -> Path:
    """A copy of one's own, to damage."""
    path = tmp_path / B0
    path.write_bytes(b0.read_bytes())
    return path


@pytest.mark.parametrize("golden", FORMAT_OF)
def test_each_format_is_recognised_as_itself_alone(golden: str) -> None:
    assert recognise(outline(golden)) == FORMAT_OF[golden]


def test_the_command_line_knows_every_format() -> None:
    assert list(FORMATS) == list(IMPORTERS) == sorted(IMPORTERS)


def test_what_fits_no_format_is_told_what_was_looked_for() -> None:
    with pytest.raises(ModelError, match="of none of these formats") as said:
        recognise({"encoder.weight": torch.zeros(1)})
    assert "its arrays (encoder.weight)" in str(said.value)
    assert all(f"\n  {name}: {one.summary}" in str(said.value) for name, one in IMPORTERS.items())


def test_another_format_than_told_is_refused() -> None:
    with pytest.raises(ModelError, match="it is of hrnet:\n  mspn: MSPN") as said:
        recognise(outline("hrnet_w32_authors"), format="mspn")
    assert str(said.value).count("\n") == 1
    with pytest.raises(ModelError, match="no format is called 'mspm'; there are cpn, eff"):
        recognise({}, format="mspm")


@pytest.mark.parametrize(
    ("file_name", "format", "expected"),
    [
        ("tf_efficientnet_b0-0af12548.pth", None, "efficientnet-timm-tf"),
        ("efficientnet_b0_ra-3dd342df.pth", None, "efficientnet-timm"),
        ("model.safetensors", "efficientnet-timm", "efficientnet-timm"),
        ("model.safetensors", "efficientnet-timm-tf", "efficientnet-timm-tf"),
    ],
)
def test_the_file_s_name_or_the_user_decides_between_formats(
    file_name: str, format: str | None, expected: str
) -> None:
    arrays = outline("efficientnet_b0_timm")
    assert recognise(arrays, file_name=file_name, format=format) == expected


def test_several_formats_are_a_question() -> None:
    with pytest.raises(
        ModelError, match=r"efficientnet-timm and efficientnet-timm-tf.*name it with --as"
    ):
        recognise(outline("efficientnet_b0_timm"), file_name="model.safetensors")


@torch.no_grad()
def test_a_model_file_computes_what_was_imported(b0: Path, tmp_path: Path) -> None:
    made = import_weights(b0, provenance={"url": "https://host/b0.pth"})
    path = save_model(tmp_path / "b0.safetensors", made.imported.net, made.card)
    net, card = load_model(path)
    image = formula_image(64, 64)
    assert torch.equal(net(image), made.imported.net.eval()(image))
    assert card.skeleton == COCO_PERSON
    assert card.provenance == {
        "imported": B0, "format": "efficientnet-timm-tf", "url": "https://host/b0.pth",
        "trained_head": False,
    }  # fmt: skip
    with pytest.raises(ModelError, match="is a model file of evopose's already"):
        import_weights(path)


def test_every_array_is_accounted_for(b0: Path) -> None:
    report = import_weights(b0).imported.report
    arrays = torch.load(b0, weights_only=True)
    skipped = [line.partition(": ")[0] for line in report.skipped]
    assert sorted([*report.used, *skipped]) == sorted(arrays)
    assert {line.partition(": ")[0] for line in report.adapted} <= set(report.used)


def test_another_number_of_keypoints_and_their_names(b0: Path) -> None:
    tail = Skeleton(keypoints=("snout", "tail"), flip_pairs=())
    made = import_weights(b0, num_keypoints=2, skeleton=tail)
    assert made.imported.net.config.num_keypoints == 2
    assert made.card.skeleton == tail
    assert import_weights(b0, num_keypoints=3).card.skeleton.keypoints[2] == "keypoint_3"
    with pytest.raises(ModelError, match=r"names 2 keypoints, .* has 17; with --keypoints 2"):
        import_weights(b0, skeleton=tail)


def test_fresh_layers_follow_the_seed(b0: Path) -> None:
    one, same, other = (import_weights(b0, seed=seed).imported.net for seed in (1, 1, 2))
    assert torch.equal(one.final_conv.weight, same.final_conv.weight)
    assert not torch.equal(one.final_conv.weight, other.final_conv.weight)
    assert torch.equal(one.stem_conv.weight, other.stem_conv.weight)


def test_a_missing_array_is_named(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"missing bias beside blocks\.3\.1\.bn2\.") as said:
        import_weights(with_arrays(copy, blocks__3__1__bn2__bias=None))
    assert str(copy) in str(said.value)


def test_an_array_too_many_is_named(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"1 arrays are not an EfficientNet's: neck\.weight"):
        import_weights(with_arrays(copy, neck__weight=torch.zeros(1)))


def test_an_array_of_another_shape_is_named(copy: Path) -> None:
    with pytest.raises(ModelError, match=r"blocks\.3\.1\.bn2\.bias is \(3,\), expected \(480,\)"):
        import_weights(with_arrays(copy, blocks__3__1__bn2__bias=torch.zeros(3)))


def test_another_depth_is_another_network(copy: Path) -> None:
    arrays = torch.load(copy, weights_only=True)
    torch.save({n: v for n, v in arrays.items() if not n.startswith("blocks.5.3.")}, copy)
    with pytest.raises(ModelError, match=r"none of EfficientNet-B0 to B7: a stem of 32 channels"):
        import_weights(copy)


def test_an_input_that_the_strides_do_not_divide_is_refused(b0: Path) -> None:
    with pytest.raises(
        ModelError, match=r"not divided by .* the nearest size that fits is 256x192"
    ):
        import_weights(b0, input_hw=(250, 190))


def test_b0_is_the_ancestor_that_a_search_builds(b0: Path, tmp_path: Path) -> None:
    """At the paper's size all of it is inherited, and it computes the same."""
    made = import_weights(b0)
    ancestor = build_model("efficientnet-b0", seed=9)
    report = inherit_weights(made.imported.net, ancestor)
    assert report.share_inherited == 1.0
    assert report.preserves_function
    path = save_model(tmp_path / "b0.safetensors", made.imported.net, made.card)
    config = override(SEARCH_RECIPES["paper"](), ancestor_weights=path)
    assert config.ancestor_weights == str(path)
    assert config.ancestor == made.card.genotype
    assert override(SEARCH_RECIPES["paper"](), ancestor=str(path)) == config


def test_b0_can_be_trained_at_once(b0: Path, tmp_path: Path) -> None:
    made = import_weights(b0)
    path = save_model(tmp_path / "b0.safetensors", made.imported.net, made.card)
    net, card, origin = load_or_build(str(path), COCO_PERSON)
    assert card == made.card
    assert origin.endswith("with its weights")
    assert torch.equal(net.stem_conv.weight, made.imported.net.stem_conv.weight)


def test_another_input_size_keeps_the_trunk(b0: Path) -> None:
    made = import_weights(b0, input_hw=(384, 288))
    assert made.card.config["scaling_reference"] is None
    assert made.card.genotype == MODELS["efficientnet-b0"].genotype
    assert any("would build another trunk" in note for note in made.imported.report.notes)


def test_b4_is_kept_as_it_is_at_the_size_of_m() -> None:
    arrays = formula_weights(read_golden("efficientnet_b4_timm_tf")["shapes"])
    importer = IMPORTERS["efficientnet-timm-tf"]
    net = importer.read(arrays, _options("tf_efficientnet_b4.pth")).net
    assert net.config.input_hw == (384, 288)
    assert [stage.repeats for stage in net.config.genotype.stages] == [2, 4, 4, 6, 6, 8, 2]
    scaled = build_model("efficientnet-b0", input_hw=(384, 288), outline=True)
    assert sum(len(stage) for stage in scaled.stages) != sum(len(stage) for stage in net.stages)


def _options(file_name: str):
    from evopose.models.importers.contract import ImportOptions

    return ImportOptions(file_name=file_name)


@pytest.mark.parametrize("public", PUBLIC_WEIGHTS, ids=lambda one: one.url.rpartition("/")[2])
def test_public_weights_are_addresses_of_networks_that_can_be_built(public) -> None:
    assert public.model in MODELS
    assert public.url.startswith("https://")
    assert len(public.sha256_prefix) == 8
    assert public_weights(public.model, public.input_hw or (64, 64), weights=public.weights) == (
        public
    )


def test_public_figures_are_those_of_the_facts(shared: Path) -> None:
    rows = json.loads((shared / "facts" / "public_checkpoints.json").read_text())
    facts = {row["url"]: row for row in rows}
    count = Counter(one.weights for one in PUBLIC_WEIGHTS)
    assert count == {"coco": 13, "coco-dark": 10, "coco-udp": 4, "imagenet": 4}
    coco = [one for one in PUBLIC_WEIGHTS if one.weights in COCO_WEIGHTS]
    for one in coco:
        _, _, codec = one.weights.partition("-")
        assert codec in one.url
        assert codec or not re.search("dark|udp", one.url)
        assert (one.ap, one.ar) == pytest.approx(
            (100 * facts[one.url]["AP"], 100 * facts[one.url]["AR"])
        )
        height, width = one.input_hw
        assert f"{height}x{width}" in one.url


def test_weights_that_are_not_public_are_told_from_those_that_are() -> None:
    with pytest.raises(ModelError, match=r"'coco' of hrnet-w32 at 512x384; there are coco \(256"):
        public_weights("hrnet-w32", (512, 384))
    with pytest.raises(ModelError, match=r"no public weights of narrow at 256x192.* there are of"):
        public_weights("narrow", (256, 192))


def test_public_weights_become_a_model_file_once(
    b0: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOPOSE_HOME", str(tmp_path / "home"))
    digest = hashlib.sha256(b0.read_bytes()).hexdigest()[:8]
    file = tmp_path / f"tf_efficientnet_b0-{digest}.pth"
    file.write_bytes(b0.read_bytes())
    entry = replace(public_weights("efficientnet-b0", (256, 192), weights="imagenet"),
                    url=file.as_uri())  # fmt: skip
    monkeypatch.setattr("evopose.models.public.PUBLIC_WEIGHTS", (entry,))
    path = load_public("efficientnet-b0", (256, 192), weights="imagenet")
    assert path.name.startswith(f"efficientnet-b0-256x192-imagenet-{digest}-")
    assert load_model(path).card.provenance["url"] == entry.url
    file.unlink()
    assert load_public("efficientnet-b0", (256, 192), weights="imagenet") == path
