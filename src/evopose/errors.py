"""Errors that a user can mend: each says what was expected, what came and what to do.

The command line prints an `EvoposeError` without a traceback and exits with 2. Everything else is
a defect of ours and keeps its traceback.
"""


class EvoposeError(Exception):
    """A mistake that the user can mend, told in one message."""


class ConfigError(EvoposeError):
    """An option or a configuration value that cannot be used."""


class DataError(EvoposeError):
    """A dataset, annotation file or image that cannot be used as it is."""


class ModelError(EvoposeError):
    """A network that cannot be built, or a model file that cannot be read."""


class RunError(EvoposeError):
    """A run folder that cannot be created, opened or resumed."""


class TrainingDiverged(EvoposeError):
    """A loss or gradient that is no longer finite; the message names step, images, checkpoint."""
