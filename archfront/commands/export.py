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
        str | None,
        typer.Option(
            "--format",
            help="onnx, pipeline (from raw pictures to classes), pt2, python, comma-separated; without it all.",
            metavar="A,B",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder to write to.", metavar="DIR")] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Export a candidate, each format verified; other formats that lie in the folder stay."""
    from archfront.export import export_candidate
    from archfront.export.script import SCRIPT

    found = open_named(study, db)
    chosen = found.candidate(candidate) if candidate else None
    names = [name.strip() for name in formats.split(",")] if formats else None
    folder = to or Path("exports") / (f"{study}-{chosen.number}" if chosen else study)
    result = export_candidate(found, chosen, names, folder, say=lambda line: typer.echo(line, err=as_json))
    if as_json:
        print_json(result.to_json())
        return
    for note in result.notes:
        typer.echo(note)
    typer.echo(f"wrote {result.folder}: {', '.join(result.files)}")
    if SCRIPT in result.files:
        typer.echo(
            f"next: archfront predict {folder} PHOTO...   # or without Archfront: python {folder / SCRIPT} PHOTO..."
        )
