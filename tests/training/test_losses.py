"""The losses, written out again in NumPy."""

import numpy as np
import pytest
import torch

from evopose.training.losses import LOSSES

N, K, H, W = 3, 4, 6, 5


@pytest.fixture
def sample() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(2, N, K, H, W))
    visible = rng.random((N, K)) < 0.6
    assert 0 < visible.sum() < N * K
    target = np.abs(target) * visible[..., None, None]  # as codecs give them: zero where unseen
    return tuple(torch.from_numpy(a) for a in (output, target, visible))


def mse_by_hand(output, target, visible) -> float:
    """The mean over batch, keypoints and pixels; what is masked counts as no error."""
    difference = (output - target) * visible[..., None, None]
    return float((difference**2).mean())


def divergence_by_hand(output, target, visible) -> float:
    """The mean over visible keypoints of sum p (log p - log q)."""
    found = []
    for n, k in zip(*np.nonzero(visible), strict=True):
        p, q = target[n, k] / target[n, k].sum(), np.exp(output[n, k])
        q /= q.sum()
        found.append((p * (np.log(p) - np.log(q))).sum())
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("loss", "by_hand"), [("mse", mse_by_hand), ("softmax", divergence_by_hand)]
)
def test_value(sample, loss, by_hand) -> None:
    total, divisor = LOSSES[loss](*sample)
    assert float(total / divisor) == pytest.approx(by_hand(*(t.numpy() for t in sample)), rel=1e-9)


def test_masked_keypoints_stay_in_the_divisor_of_mse(sample) -> None:
    output, target, visible = sample
    _, divisor = LOSSES["mse"](output, target, visible)
    assert float(divisor) == N * K * H * W
    assert float(LOSSES["mse"](output, target, torch.zeros_like(visible))[0]) == 0


def test_the_divergences_divisor_is_the_number_of_visible_keypoints(sample) -> None:
    output, target, visible = sample
    total, divisor = LOSSES["softmax"](output, target, visible)
    assert float(divisor) == visible.sum()
    total, divisor = LOSSES["softmax"](output, target * 0, torch.zeros_like(visible))
    assert (float(total), float(divisor)) == (0, 0)


@pytest.mark.parametrize("name", ["mse", "softmax"])
def test_masked_outputs_have_no_gradient_and_parts_add_up(sample, name) -> None:
    output, target, visible = sample
    output.requires_grad_()
    total, divisor = LOSSES[name](output, target, visible)
    total.backward()
    assert not output.grad[~visible].any()
    assert output.grad[visible].flatten(1).abs().sum(1).min() > 0
    with torch.no_grad():
        parts = [LOSSES[name](*(a[i : i + 1] for a in sample)) for i in range(N)]
    assert float(sum(t for t, _ in parts)) == pytest.approx(total.item())
    assert sum(float(d) for _, d in parts) == float(divisor)


def test_gradients_by_hand(sample) -> None:
    output, target, visible = sample
    mask = visible[..., None, None]
    output.requires_grad_()
    (squares,) = torch.autograd.grad(LOSSES["mse"](output, target, visible)[0], output)
    torch.testing.assert_close(squares, (2 * (output - target) * mask).detach())
    # of a cross-entropy: what is answered less what is true
    (softmax,) = torch.autograd.grad(LOSSES["softmax"](output, target, visible)[0], output)
    q = output.detach().flatten(2).softmax(-1).view_as(output)
    p = target / target.sum((2, 3), keepdim=True).clamp_min(1e-12)
    torch.testing.assert_close(softmax, (q - p) * mask)


def test_a_perfect_answer_costs_nothing_at_any_size(sample) -> None:
    _, target, visible = sample
    assert float(LOSSES["mse"](target, target, visible)[0]) == 0
    for size in (1, 2, 7):
        larger = target.repeat_interleave(size, 2).repeat_interleave(size, 3) + 1e-9
        total, _ = LOSSES["softmax"](larger.log() + 3, larger, visible)
        assert float(total) == pytest.approx(0, abs=1e-9)
        uniform, divisor = LOSSES["softmax"](larger * 0, larger, visible)
        assert float(uniform / divisor) > 0.1
