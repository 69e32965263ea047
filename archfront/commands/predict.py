"""`archfront predict`: what an exported network says of files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from archfront.commands.printing import AsJson, figure, print_json


def predict(
    bundle: Annotated[
        str,
        typer.Argument(help="The folder that 'archfront export' wrote, or a study below exports/.", metavar="BUNDLE"),
    ],
    files: Annotated[list[Path], typer.Argument(help="Pictures; or .npy arrays of raw inputs.", metavar="FILES...")],
    top: Annotated[int, typer.Option(help="So many of the likeliest classes.", min=1)] = 5,
    as_json: AsJson = False,
) -> int:
    """Say what an exported network sees in files; exits with 1 when one can't be read."""
    from archfront.bundle import Bundle, Unreadable

    network = Bundle.at(bundle)
    shown = top if network.kind == "categorical" else None
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            examples = network.predict(file)
        except Unreadable as error:
            found.append({"file": str(file), "error": str(error)})
            if not as_json:
                typer.echo(f"error: {file}: {error}", err=True)
            continue
        for place, values in enumerate(examples):
            name = f"{file}[{place}]" if len(examples) > 1 else str(file)
            found.append({"file": name, "outputs": [{"name": key, "value": value} for key, value in values[:shown]]})
            if not as_json:
                said = ", ".join(f"{key} {_said(value, network.kind)}" for key, value in values[:shown])
                typer.echo(f"{name}: {said}")
    if as_json:
        print_json(found)
    return int(any("error" in one for one in found))


def _said(value: float, kind: str) -> str:
    """Probabilities with four digits behind the point, so that they stand below each other; numbers as figures."""
    return figure(value) if kind == "numeric" else f"{value:.4f}"
