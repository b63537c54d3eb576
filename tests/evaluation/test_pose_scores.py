"""Rules of scoring: what they refuse, and what they hand on."""

import math

import numpy as np
import pytest

from evopose.cli.evaluate import COUNTED
from evopose.errors import ConfigError
from evopose.evaluation.pose_scores import ScoreRules, suppress
from evopose.inference.pipeline import person_scores
from evopose.skeleton import COCO_PERSON

SIGMAS = np.array(COCO_PERSON.sigmas)


@pytest.fixture
def twins():
    """Two poses that share the keypoints of high scores and are far apart in the others."""
    rng = np.random.default_rng(0)
    poses = np.repeat(rng.uniform(0, 100, (1, 17, 3)), 2, axis=0)
    poses[..., 2] = np.where(np.arange(17) < 6, 0.9, 0.1)
    poses[1, 6:, :2] += 500
    return poses, np.array([0.8, 0.7]), np.full(2, 900.0)


@pytest.mark.parametrize(("nms", "kept"), [("hard", 1), ("soft", 2), ("none", 2)])
def test_keypoints_of_low_scores_may_be_left_out_of_the_comparison(twins, nms, kept) -> None:
    poses, scores, areas = twins
    if nms != "none":
        places, lowered = suppress(
            poses, scores, areas, SIGMAS, ScoreRules(nms=nms, nms_counted_above=0.5)
        )
        assert len(places) == kept
        assert lowered.sum() < scores.sum() - 0.4
    everything, same = suppress(poses, scores, areas, SIGMAS, ScoreRules(nms=nms))
    assert len(everything) == 2
    assert same.sum() > scores.sum() - 0.1


def test_the_defaults_are_hrnets_and_the_command_lines(twins) -> None:
    poses, _, _ = twins
    assert ScoreRules() == ScoreRules(counted_above=0.2, nms="hard", nms_counted_above=None)
    assert ScoreRules().counted_above == COUNTED
    ours = person_scores(poses, np.ones(2), counted_above=ScoreRules().counted_above)
    np.testing.assert_allclose(ours, 0.9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nms": "fast"}, "--nms is one of hard, soft, none, got 'fast'"),
        ({"counted_above": math.nan}, "a keypoint threshold is a number, got nan"),
        ({"nms_counted_above": math.inf}, "a keypoint threshold is a number, got inf"),
        ({"nms": "none", "nms_counted_above": 0.3}, "--nms none compares no poses"),
    ],
)
def test_rules_that_mean_nothing_are_refused(values, said) -> None:
    with pytest.raises(ConfigError, match=said):
        ScoreRules(**values)
