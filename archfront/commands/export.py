"""`archfront export`: a verified, deployable winner."""

from pathlib import Path
from typing import Annotated

import typer

from archfront.commands.printing import AsJson, DatabaseUrl, StudyName, print_json
from archfront.commands.results import open_named


def export(
    study: StudyName,
    candidate: Annotated[
        str | None,
        typer.Option(help="Its number or the first digits of its digest; without it the best in the first objective."),
    ] = None,
    formats: Annotated[
        str | None, typer.Option("--format", help="python, onnx, pt2, comma-separated; without it all.", metavar="A,B")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder to write to.", metavar="DIR")] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Export a candidate, each format verified."""
    from archfront.contracts import WrongUse
    from archfront.export import FORMATS, export_candidate

    found = open_named(study, db)
    if candidate is None:
        front = found.front()
        if not front:
            raise WrongUse(f"the study '{study}' has no front yet, so no winner; name a candidate with --candidate")
        candidate = str(front[0].number)
    chosen = found.candidate(candidate)
    folder = to or Path("exports") / study / chosen.digest[:8]
    names = formats.split(",") if formats else FORMATS.names()
    done = export_candidate(found, chosen, names, folder)
    if as_json:
        print_json(done)
        return
    typer.echo(f"exported candidate {chosen.number} of {study} to {folder}")
