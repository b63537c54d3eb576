"""A small video of drawn people who walk past each other, and where their keypoints truly are.

    python examples/walking_people.py walk.mp4
    python examples/walking_people.py walk.mp4 --tracked

With --tracked the true poses, made a little worse, are tracked, smoothed and drawn: each person has
one colour and one number all the time.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from evopose.data.synthetic.background import draw_background
from evopose.data.synthetic.body import FOOT, FOREARM, SHANK, THIGH, UPPER_ARM, rotations
from evopose.data.synthetic.camera import sample_light, under
from evopose.data.synthetic.draw import (
    Camera,
    draw_figure,
    empty_canvas,
    project,
    visibility,
)
from evopose.data.synthetic.figure import Figure, make_figure
from evopose.data.synthetic.pose import Pose
from evopose.data.synthetic.props import draw_shadow
from evopose.data.video_writing import VideoWriter
from evopose.drawing import draw_poses
from evopose.inference.boxes import Boxes
from evopose.inference.smoothing import OneEuro
from evopose.inference.tracking import Tracker, pose_box
from evopose.inference.video import track_video
from evopose.skeleton import COCO_PERSON

FPS = 25
SIZE = 240, 426


def walking(seed: int, persons: int, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images (H, W, 3) and keypoints (P, 17, 3: x, y, COCO visibility), farthest first."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    light = sample_light(rng)
    street = under(light, draw_background(rng, height, width, height // 2))
    nearness = np.linspace(0.55, 0.8, persons)  # statures, as shares of the image's height
    sides = np.where(np.arange(persons) % 2, 1, -1)
    meet = width * rng.uniform(0.35, 0.65, persons)
    phases = rng.uniform(0, 2 * np.pi, persons)
    for frame in range(frames):
        time = frame / FPS
        image, figures = street.copy(), []
        for number in range(persons):
            scale = nearness[number] * height
            figure = person((seed, number), phases[number] + 2 * np.pi * 0.85 * time, sides[number])
            x = meet[number] + sides[number] * 0.45 * scale * (time - frames / FPS / 2)
            sole = project(figure.points, 5.0)[:, 1].max() * scale
            ground = height * (0.62 + 0.33 * (nearness[number] - 0.5) / 0.3)
            camera = Camera(distance=5.0, scale=scale, offset=np.array([x, ground - sole]))
            outline = camera.to_image(figure.points)
            box = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
            draw_shadow(image, box, strength=0.5, flatness=0.1)
            figures.append((figure, camera))
        canvas = empty_canvas(image)
        for number, (figure, camera) in enumerate(figures):
            draw_figure(canvas, figure, light, camera, number=number)
        keypoints = np.zeros((persons, 17, 3))
        for number, (figure, camera) in enumerate(figures):
            keypoints[number, :, :2] = camera.to_image(figure.keypoints)
            keypoints[number, :, 2] = visibility(canvas, keypoints[number, :, :2], figure, number)
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        yield cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), keypoints


def person(who: tuple[int, int], phase: float, side: int) -> Figure:
    """Return the same person at any phase of a step, seen from the side."""
    swing = np.sin(phase + np.array([0, np.pi]))  # left and right leg
    lift = np.maximum(np.cos(phase + np.array([0, np.pi])), 0)  # the knee of the leg that comes
    angles = np.zeros((15, 3))
    angles[THIGH : THIGH + 2, 0] = -(4 + 24 * swing)
    angles[SHANK : SHANK + 2, 0] = 6 + 42 * lift
    angles[FOOT : FOOT + 2, 0] = -90 + 10 * lift
    angles[UPPER_ARM : UPPER_ARM + 2, 0] = 22 * swing
    angles[UPPER_ARM : UPPER_ARM + 2, 2] = 7, -7
    angles[FOREARM : FOREARM + 2, 0] = -(20 - 8 * swing)
    tilt, turn = rotations(np.array([[5.0, 0, 0], [0, 72.0 * side, 0]]))
    root = tilt @ np.diag([1.0, -1.0, -1.0]) @ turn
    pose = Pose(angles_deg=angles, support="ground")
    return make_figure(np.random.default_rng(who), pose, root, sides=16)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("out", type=Path)
    options.add_argument("--persons", type=int, default=4)
    options.add_argument("--frames", type=int, default=4 * FPS)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--tracked", action="store_true")
    given = options.parse_args()
    scenes = walking(given.seed, given.persons, given.frames)
    pictures = tracked(scenes, given.seed) if given.tracked else (image for image, _ in scenes)
    with VideoWriter(given.out, fps=FPS) as writer:
        for picture in pictures:
            writer.write(picture)
    print(f"wrote {given.out}: {writer.frames_written} frames")


def tracked(scenes: Iterator[tuple[np.ndarray, np.ndarray]], seed: int) -> Iterator[np.ndarray]:
    """Yield the images with poses drawn, of persons of whom more than a third is seen."""
    rng = np.random.default_rng(seed)
    found = np.empty((0, 17, 3))

    def images() -> Iterator[np.ndarray]:
        nonlocal found
        for image, truth in scenes:
            seen = truth[(truth[..., 2] == 2).mean(axis=1) > 1 / 3]
            found = np.concatenate([seen[..., :2], 0.45 * seen[..., 2:]], axis=2)
            found[..., :2] += rng.normal(0, 1.5, found[..., :2].shape)
            yield image

    def detect(image: np.ndarray) -> Boxes:
        rows = [pose_box(pose[pose[:, 2] > 0.2, :2]) for pose in found]
        return Boxes(xyxy=np.array(rows).reshape(-1, 4), scores=np.full(len(rows), 0.9))

    tracker, smoother = Tracker(COCO_PERSON), OneEuro()
    for one in track_video(
        images(), lambda image, boxes: found, detect, COCO_PERSON,
        tracker=tracker, smoother=smoother, fps=FPS,
    ):  # fmt: skip
        yield draw_poses(
            one.image,
            one.keypoints,
            COCO_PERSON,
            boxes_xyxy=one.boxes_xyxy,
            ids=one.ids,
            threshold=0.2,
        )


if __name__ == "__main__":
    main()
