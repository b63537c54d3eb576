"""COCO's ten numbers of a problem of val2017's size: pycocotools, our core, with our checks of the
files, and with the error analysis and the page too, as `evopose evaluate --results --out` has them.

    python benchmarks/coco_ap.py LABELS.npz [--rounds 3] [--keep DIR]

LABELS.npz holds `image_id` (N,), `bbox` (N, 4: left, top, width, height) and `keypoints` (N, 17, 3)
of COCO's val2017. Areas are 0.53 of boxes; 104,125 detections are made from the labels with noise,
among 5,000 images. Each measurement is a fresh process that imports first; times are the best of
the rounds, in which they take turns; memory is what the peak grows by after the imports
(Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evopose.skeleton import COCO_PERSON

IMAGES, DETECTIONS = 5000, 104_125

PYCOCOTOOLS, CORE, CHECKED, PAGE = "pycocotools", "core", "with checks", "with the page"

MEASURED = {
    PYCOCOTOOLS: """
import contextlib, io
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
def measure(truth, found):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(truth)
        judge = COCOeval(coco, coco.loadRes(found), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.tolist()
""",
    CORE: """
from hotcoco import COCO
from evopose.metrics.coco_ap import ten_numbers
from evopose.skeleton import COCO_PERSON
def measure(truth, found):
    coco = COCO(truth)
    return list(ten_numbers(coco, coco.load_res(found), COCO_PERSON.sigmas).values())
""",
    CHECKED: """
import hotcoco
from pathlib import Path
from evopose.evaluation.results import score_results
def measure(truth, found):
    return list(score_results(Path(found), Path(truth)).ap.values())
""",
    PAGE: """
import hotcoco
from pathlib import Path
from evopose.evaluation.results import score_results
from evopose.report.evaluation_page import evaluation_page
from evopose.report.evaluation_tables import EvaluationFacts
from evopose.report.markup import Figures
Figures().html({"data": [], "layout": {}}, "")  # imports Plotly
def measure(truth, found):
    score = score_results(Path(found), Path(truth))
    facts = EvaluationFacts(model=found, settings={}, evaluation=score, errors=score.errors)
    assert "AP gained" in evaluation_page(facts)
    return list(score.ap.values())
""",
}
"""What runs in the fresh process, by name: `measure` returns the ten numbers of two files."""

HARNESS = """
import json, re, sys, time
def peak():  # ru_maxrss would start from the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before, began, worked = peak(), time.perf_counter(), time.process_time()
numbers = measure(*sys.argv[1:3])
took = time.perf_counter() - began, time.process_time() - worked
print(json.dumps([*took, peak() - before, numbers]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path, help="LABELS.npz, as above")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="keep the two files here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        truth, found = folder / "truth.json", folder / "found.json"
        write_problem(arguments.labels, truth, found)
        size = found.stat().st_size / 1e6
        print(f"{DETECTIONS:,} detections in {IMAGES:,} images, {size:.0f} MB of JSON")
        rounds = [
            {name: run(code, truth, found) for name, code in MEASURED.items()}
            for _ in range(arguments.rounds)
        ]
    report(rounds)


def write_problem(labels: Path, truth: Path, found: Path) -> None:
    """Write the annotations and the detections."""
    rng = np.random.default_rng(0)
    with np.load(labels) as arrays:
        image_ids = arrays["image_id"].astype(int)
        boxes, keypoints = arrays["bbox"].astype(float), arrays["keypoints"].astype(float)
    ids = np.unique(image_ids)
    blank = np.setdiff1d(np.arange(1, 4 * IMAGES), ids)[: IMAGES - len(ids)]
    images = np.sort(np.concatenate([ids, blank]))
    rows = zip(image_ids.tolist(), keypoints, boxes.tolist(), strict=True)
    content = {
        "images": [{"id": i} for i in images.tolist()],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_PERSON.keypoints)}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box,
             "num_keypoints": int((person[:, 2] > 0).sum()), "area": 0.53 * box[2] * box[3],
             "keypoints": person.astype(int).ravel().tolist()}
            for number, (image, person, box) in enumerate(rows, start=1)
        ],
    }  # fmt: skip
    truth.write_text(json.dumps(content))
    near = DETECTIONS * 3 // 5
    who = rng.integers(0, len(image_ids), near)
    spread = rng.exponential(0.06, near)
    scale = spread * np.sqrt(boxes[who, 2] * boxes[who, 3])
    poses = keypoints[who, :, :2] + rng.normal(size=(near, 17, 2)) * scale[:, None, None]
    far = rng.uniform(0, 640, (DETECTIONS - near, 1, 2))
    poses = np.concatenate([poses, far + rng.normal(0, 40, (len(far), 17, 2))])
    where = np.concatenate([image_ids[who], rng.choice(images, len(far))]).tolist()
    scores = np.concatenate(
        [1 - 3 * spread + rng.normal(0, 0.2, near), rng.uniform(0, 0.6, len(far))]
    ).tolist()
    table = np.concatenate([poses, rng.random((DETECTIONS, 17, 1))], axis=2).reshape(DETECTIONS, 51)
    results = (
        {"image_id": where[i], "category_id": 1, "keypoints": table[i].tolist(), "score": scores[i]}
        for i in rng.permutation(DETECTIONS).tolist()
    )
    found.write_text(json.dumps(list(results)))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One measurement."""

    seconds: float
    cpu_seconds: float
    """Of all threads: steadier on a busy machine."""
    memory: float
    """In MB."""
    numbers: list[float]


def run(code: str, truth: Path, found: Path) -> Run:
    """Return what a fresh process measures."""
    command = [sys.executable, "-c", code + HARNESS, str(truth), str(found)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, cpu_seconds, memory, numbers = json.loads(done.stdout)
    return Run(seconds=seconds, cpu_seconds=cpu_seconds, memory=memory, numbers=numbers)


def report(rounds: list[dict[str, Run]]) -> None:
    """Print times, memory, ratios, and how far the ten numbers are apart."""
    judged = rounds[0][PYCOCOTOOLS].numbers
    least, cpu, grown = (
        {name: best(getattr(one[name], what) for one in rounds) for name in MEASURED}
        for what, best in (("seconds", min), ("cpu_seconds", min), ("memory", max))
    )
    for name in MEASURED:
        apart = max(
            abs(a - b) for one in rounds for a, b in zip(one[name].numbers, judged, strict=True)
        )
        seconds = ", ".join(f"{one[name].seconds:.2f}" for one in rounds)
        print(
            f"{name:13} {seconds} s, {least[PYCOCOTOOLS] / least[name]:.1f} times as fast; CPU "
            f"{cpu[name]:.2f} s, {cpu[PYCOCOTOOLS] / cpu[name]:.1f} times; {grown[name]:.0f} MB, "
            f"{grown[name] / grown[PYCOCOTOOLS]:.2f} of the memory; ten numbers {apart:.1e} apart"
        )
    print("AP", round(judged[0], 6))


if __name__ == "__main__":
    main()
