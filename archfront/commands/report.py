"""`archfront report`: a study as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from archfront.commands.printing import DatabaseUrl, StudyName
from archfront.commands.results import open_named


def report(
    study: StudyName,
    to: Annotated[
        Path | None, typer.Option(help="The HTML file to write; without it STUDY.html.", metavar="FILE")
    ] = None,
    db: DatabaseUrl = None,
) -> None:
    """Write a self-contained HTML report of a study."""
    from archfront.contracts import WrongUse
    from archfront.report import write_report

    found = open_named(study, db)
    file = to or Path(f"{study}.html")
    if not file.parent.is_dir():
        raise WrongUse(f"no folder {file.parent}; make it first, or name another with --to")
    write_report(found, file)
    typer.echo(f"wrote {file}")
