"""The flip test: the answer to the mirrored crop, mirrored back and averaged with the first."""

from torch import Tensor

SHIFT = {"gaussian": 1}
"""Pixels to the right by which the mirrored answer is moved, by codec; 0 for others.

A heatmap pixel of `gaussian` lies on the crop's pixel x W / w, so that mirroring about the middle
of the crop and about that of the heatmap differ by w / W - 1, which the authors round to -1. The
codecs of CPN and MSPN add half a heatmap pixel, and their authors move nothing.
"""


def mirror_back(heatmaps: Tensor, flip_index: Tensor, shift: int) -> Tensor:
    """Return heatmaps (N, K, h, w) of mirrored crops as those of the crops.

    `flip_index` (K,) swaps left and right keypoints. Moved to the right by `shift` pixels; the
    columns that nothing moves to keep their values.

    Source: HRNet `lib/core/function.py`, `validate`, `SHIFT_HEATMAP`.
    """
    back = heatmaps.flip(3)[:, flip_index]
    if shift:
        moved = back.clone()
        moved[..., shift:] = back[..., :-shift]
        return moved
    return back
