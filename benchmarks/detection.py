"""Time the detection of persons on photos: reading, the network, and what is beside it.

    python benchmarks/detection.py PHOTO ... [--detector yolox-nano] [--rounds 5]

Each round does every photo once; medians over all, on one thread. Prints the share of what is
beside the network, and how long OpenCV would take for reading.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from evopose.data.images import read_image
from evopose.data.photos import read_photo
from evopose.inference.detectors import open_detector


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--detector", default="yolox-nano")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    opened = open_detector(options.detector, threads=1)
    inside: list[float] = []

    def timed(*given: Any) -> Any:
        seconds, answer = took(lambda: opened.run(*given))
        inside.append(seconds)
        return answer

    detector = replace(opened, run=timed)
    for photo in options.photos[:3]:
        detector(read_photo(photo))
    inside.clear()
    readers = [read_photo, read_image]
    rows = []
    for _ in range(options.rounds):
        for file in options.photos:
            seconds = {}
            for reader in readers:
                seconds[reader], image = took(lambda reader=reader, file=file: reader(file))
            readers.reverse()  # whoever comes second finds the file at hand
            whole, _ = took(lambda image=image: detector(image))
            row = (seconds[read_photo], seconds[read_image], inside[-1], whole - inside[-1])
            rows.append(row)
    reading, opencv, network, beside = np.median(np.array(rows) * 1000, axis=0)
    print(f"{len(options.photos)} photos, {options.rounds} rounds, {opened.name} {opened.input_hw}")
    print(f"reading   {reading:7.2f} ms ({opencv:.2f} ms by OpenCV)")
    print(f"network   {network:7.2f} ms")
    print(f"beside it {beside:7.2f} ms, {beside / network:.1%} of the network")


def took(what: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and what it returns."""
    start = perf_counter()
    answer = what()
    return perf_counter() - start, answer


if __name__ == "__main__":
    main()
