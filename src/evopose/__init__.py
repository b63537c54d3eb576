"""evopose: 2D pose estimation by neuroevolution."""
