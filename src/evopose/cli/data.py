"""`evopose data`: datasets at the door."""

import typer

from evopose.cli import app

data_app = typer.Typer(
    name="data", help="Check, convert, split and draw datasets.", no_args_is_help=True
)
app.add_typer(data_app)
