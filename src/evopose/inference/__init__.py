"""From images to poses. Importing this package loads no torch; its `pipeline` does."""
