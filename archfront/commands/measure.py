"""`archfront measure`: the latency of one network, outside a search."""

from typing import Annotated

import typer

from archfront.commands.printing import AsJson


def measure(
    model: Annotated[str, typer.Argument(help="An ONNX file.", metavar="MODEL")],
    device: Annotated[str, typer.Option(help="The device; 'archfront devices' lists them.")] = "host",
    as_json: AsJson = False,
) -> None:
    """Measure a network's latency on a device."""
    raise SystemExit(1)
