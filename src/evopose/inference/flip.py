"""The flip test: the answer to the mirrored crop, mirrored back and averaged with the first."""

import numpy as np
from numpy.typing import NDArray


def mirror_back(
    heatmaps: NDArray[np.float32], flip_index: NDArray[np.integer], shift: int
) -> NDArray[np.float32]:
    """Return heatmaps (N, K, h, w) of mirrored crops as those of the crops.

    `flip_index` (K,) swaps left and right keypoints. Moved to the right by `shift` pixels, the
    codec's `flip_shift`; the columns that nothing moves to keep their values.

    Where heatmap pixel x lies on the crop's pixel x W / w, mirroring about the middle of the crop
    and about that of the heatmap differ by w / W - 1, which HRNet's authors round to -1. Where half
    a heatmap pixel is added (CPN, MSPN) they differ by -w / W, rounded to 0; in UDP by nothing.

    Source: HRNet `lib/core/function.py`, `validate`, `SHIFT_HEATMAP`.
    """
    back = heatmaps[:, flip_index, :, ::-1]
    if shift:
        moved = back.copy()
        moved[..., shift:] = back[..., :-shift]
        return moved
    return back
