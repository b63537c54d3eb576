"""From images to poses. Importing this package itself is cheap: verbs name its scores."""

COUNTED = 0.2
"""Keypoints whose score is higher make up a person's score, and are compared in tracking."""

DRAWN = 0.3
"""Keypoints whose score is higher are drawn, unless another threshold is given. On real photos of
several persons 45 to 60 % of these lie near enough by the network in the package (OKS of the
keypoint alone above 0.5), of those with a score from 0.2 to 0.3 26 to 39 %."""
