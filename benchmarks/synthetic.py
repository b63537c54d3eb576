"""How many synthetic scenes and persons a second one core draws: python benchmarks/synthetic.py

Prints a line for each image size: processor time and, where other programs run, wall time differ.
"""

import argparse
import time

import cv2

from evopose.data.synthetic import SceneConfig, draw_scene

SIZES = {
    "96x64": SceneConfig(height=(96, 96), width=(64, 64)),
    "96x72": SceneConfig(height=(96, 96), width=(72, 72)),
    "128x96": SceneConfig(height=(128, 128), width=(96, 96)),
    "160x120": SceneConfig(height=(160, 160), width=(120, 120)),
    "256x192": SceneConfig(height=(256, 256), width=(192, 192)),
    "default": SceneConfig(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=300)
    count = parser.parse_args().scenes
    cv2.setNumThreads(1)
    for name, config in SIZES.items():
        for index in range(5):
            draw_scene(1, index, config)
        wall, processor, persons = time.perf_counter(), time.process_time(), 0
        for index in range(count):
            persons += len(draw_scene(0, index, config).persons)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(
            f"{name:>8}: {count / processor:5.0f} scenes/s, {persons / processor:5.0f} persons/s "
            f"({count / wall:.0f} and {persons / wall:.0f} by the clock on the wall)"
        )


if __name__ == "__main__":
    main()
