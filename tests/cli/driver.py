"""`evopose`, without measuring the machine first: a program to be interrupted."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def run() -> None:
    """Be the command line."""
    import evopose.api
    from evopose.cli import main
    from tiny_runs import no_measurement

    evopose.api.measure_throughput = no_measurement
    main()


if __name__ == "__main__":
    run()
