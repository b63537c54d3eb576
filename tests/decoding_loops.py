"""Decoding written out, one heatmap at a time: what the vectorised codecs must equal."""

import cv2
import numpy as np


def official(heatmap):
    """Highest pixel, a quarter toward the higher neighbour on each axis: x, y in heatmap pixels."""
    h, w = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), w)
    step_x = step_y = 0.0
    if 1 < x < w - 1 and 1 < y < h - 1:
        step_x = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        step_y = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return x + step_x, y + step_y


def official_batch(heatmaps, input_hw):
    """Heatmaps (N, h, w, K), as the official network gives them, in the manner of its loop:
    keypoints (N, K, 3: x, y in crop pixels, score)."""
    count, h, w, keypoints = heatmaps.shape
    stride = np.array([input_hw[1] / w, input_hw[0] / h])
    found = np.zeros((count, keypoints, 3))
    for i in range(count):
        for k in range(keypoints):
            heatmap = heatmaps[i, :, :, k]
            y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
            step = np.zeros(2)
            if 1 < x < w - 1 and 1 < y < h - 1:
                across = heatmap[y, x + 1] - heatmap[y, x - 1]
                step = 0.25 * np.sign([across, heatmap[y + 1, x] - heatmap[y - 1, x]])
            found[i, k, :2] = (np.array([x, y]) + step) * stride
            found[i, k, 2] = heatmap.max() / 255
    return found


def modulated(heatmap, kernel):
    """The heatmap blurred among zeros, scaled back to its old maximum; its logarithm."""
    heatmap = np.asarray(heatmap, np.float64)
    if kernel > 1:
        border = kernel // 2
        wide = np.zeros((heatmap.shape[0] + 2 * border, heatmap.shape[1] + 2 * border))
        wide[border:-border, border:-border] = heatmap
        blurred = cv2.GaussianBlur(wide, (kernel, kernel), 0)[border:-border, border:-border]
        heatmap = blurred * (heatmap.max() / blurred.max())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(heatmap > 0, np.log(heatmap), np.nan)


def summit(heatmap, kernel, sigma, derivatives, reach):
    """Highest pixel, a step to the summit of the logarithm's parabola: x, y, in heatmap pixels."""
    h, w = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), w)
    if not (reach <= x < w - reach and reach <= y < h - reach):
        return float(x), float(y)
    gradient, hessian = derivatives(modulated(heatmap, kernel), x, y)
    usable = np.isfinite(hessian).all() and np.isfinite(gradient).all()
    if not usable or not (np.linalg.eigvalsh(hessian) < 0).all():
        return float(x), float(y)
    step = -np.linalg.solve(hessian, gradient)
    if np.abs(step).max() > 3 * sigma:
        return float(x), float(y)
    return x + step[0], y + step[1]


def dark(heatmap, kernel, sigma):
    """DARK: second derivatives over two pixels on each side."""

    def derivatives(g, x, y):
        dx = 0.5 * (g[y, x + 1] - g[y, x - 1])
        dy = 0.5 * (g[y + 1, x] - g[y - 1, x])
        dxx = 0.25 * (g[y, x + 2] - 2 * g[y, x] + g[y, x - 2])
        dyy = 0.25 * (g[y + 2, x] - 2 * g[y, x] + g[y - 2, x])
        mixed = g[y + 1, x + 1] - g[y - 1, x + 1] - g[y + 1, x - 1] + g[y - 1, x - 1]
        return np.array([dx, dy]), np.array([[dxx, mixed / 4], [mixed / 4, dyy]])

    return summit(heatmap, kernel, sigma, derivatives, 2)


def udp(heatmap, kernel, sigma):
    """UDP: over one pixel, the mixed one from two corners."""

    def derivatives(g, x, y):
        dx = 0.5 * (g[y, x + 1] - g[y, x - 1])
        dy = 0.5 * (g[y + 1, x] - g[y - 1, x])
        dxx = g[y, x + 1] - 2 * g[y, x] + g[y, x - 1]
        dyy = g[y + 1, x] - 2 * g[y, x] + g[y - 1, x]
        dxy = 0.5 * (
            g[y + 1, x + 1] - g[y, x + 1] - g[y + 1, x] + 2 * g[y, x]
            - g[y, x - 1] - g[y - 1, x] + g[y - 1, x - 1]
        )  # fmt: skip
        return np.array([dx, dy]), np.array([[dxx, dxy], [dxy, dyy]])

    return summit(heatmap, kernel, sigma, derivatives, 1)
