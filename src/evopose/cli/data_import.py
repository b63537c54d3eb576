"""`evopose data import`: other formats become COCO keypoints."""
