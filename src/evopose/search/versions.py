"""The versions that results depend on."""

import platform

import torch

from evopose.errors import ConfigError
from evopose.version import VERSION


def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    return {"evopose": VERSION, "torch": torch.__version__, "python": platform.python_version()}


def require_same_versions(wanted: dict[str, str], host: str) -> None:
    """Raise ConfigError where the results of this machine, `host`, would not be those of one with
    the versions `wanted`: evopose must be the same, torch and Python but for the last number."""
    here = versions()
    for name, version in wanted.items():
        parts = None if name == "evopose" else 2
        if version.split(".")[:parts] != here[name].split(".")[:parts]:
            mend = "use the same there"
            if name != "python":
                mend = f"install the same there: pip install '{name}=={version}'"
            raise ConfigError(f"{host} has {name} {here[name]}, the search {version}; {mend}")
