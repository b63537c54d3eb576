"""What the network in the package sees on people that evopose draws: the picture in the README.

    python examples/drawn_people.py docs/images/predict.jpg
    python examples/drawn_people.py seen.jpg --scene 7     # another one

The people are drawn, the skeletons are what `evopose predict` would find, mistakes included; the
scene was chosen among 150. With --plain the scene alone is written, to be given to `predict`.
"""

import argparse
from pathlib import Path

from evopose import PoseEstimator
from evopose.data.synthetic import SceneConfig, draw_scene
from evopose.drawing import write_image

PARK = SceneConfig(
    height=(480, 480),
    width=(960, 960),
    persons=(4, 5),
    groups=0.0,
    acrobatics=0.0,
    things=0.15,
    occluders=0.0,
    cropped=0.0,
    degraded=0.0,
)


def main() -> None:
    """Draw, look, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="a .jpg or .png")
    parser.add_argument("--scene", type=int, default=46)
    parser.add_argument("--plain", action="store_true", help="write the scene without skeletons")
    options = parser.parse_args()
    scene = draw_scene(0, options.scene, PARK)
    if options.plain:
        write_image(options.out, scene.image)
        return
    poses = PoseEstimator.load("default")(scene.image)
    poses.save(options.out)
    print(f"{len(poses)} persons found of {len(scene.persons)} drawn; wrote {options.out}")


if __name__ == "__main__":
    main()
