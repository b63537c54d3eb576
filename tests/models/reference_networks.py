"""The networks whose counts the official code gave."""

import json
from pathlib import Path

from evopose.genotype import Genotype
from evopose.models.evopose2d_plan import EvoPose2DConfig


def reference_networks(shared: Path) -> dict[str, tuple[dict, EvoPose2DConfig]]:
    """Return each network's row of official figures, and our configuration of it."""
    content = json.loads((shared / "reference/evopose2d_complexity.json").read_text())
    rows = content["named"] | {f"random {row['id']}": row for row in content["random"]}
    return {name: (row, config_of(row)) for name, row in rows.items()}


def config_of(row: dict) -> EvoPose2DConfig:
    return EvoPose2DConfig(
        genotype=Genotype.from_list(row["genotype"]),
        input_hw=tuple(row["input_shape"][:2]),
        num_keypoints=row["output_shape"][2],
        head_channels=row["head_channels"],
        head_kernel=row["head_kernel"],
        final_kernel=row["final_kernel"],
    )
