"""`python -m evopose`."""

from evopose.cli import main

main()
