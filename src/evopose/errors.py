"""Errors that a user can mend: each says what was expected, what came and what to do.

The command line prints an `EvoposeError` without a traceback and exits with its `exit_code`.
Everything else is a defect of ours and keeps its traceback.
"""


class EvoposeError(Exception):
    """Something that the user can mend, told in one message."""

    exit_code = 2
    """What the command line exits with: 2 for a user's mistake, 1 for a failure on the way."""


class ConfigError(EvoposeError):
    """An option or a configuration value that cannot be used."""


class DataError(EvoposeError):
    """A dataset, annotation file or image that cannot be used as it is."""


class ModelError(EvoposeError):
    """A network that cannot be built, or a model file that cannot be read."""


class DownloadFailed(ModelError):
    """A file that could not be fetched: no network, no such file there, an answer cut off."""

    exit_code = 1


class RunError(EvoposeError):
    """A run folder that cannot be created, opened or resumed."""


class RunDamaged(RunError):
    """A run whose database does not hold what was written to it."""


class RunFailed(RunError):
    """A search that could not go on: the disk is full, or all of a generation failed."""

    exit_code = 1


class MeasurementFailed(EvoposeError):
    """A benchmark that could not go on: one of its processes died."""

    exit_code = 1


class TrainingDiverged(EvoposeError):
    """A loss or gradient that is not finite; the message names step, images and checkpoint."""

    exit_code = 1
