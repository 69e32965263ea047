"""`archfront measure`: the latency of one network, outside a search."""

from pathlib import Path
from typing import Annotated

import typer

from archfront.commands.printing import AsJson, duration, figure, print_json, print_table, table_of


def measure(
    model: Annotated[Path, typer.Argument(help="An exported file: .onnx, or .pt2 for host-torch.", metavar="MODEL")],
    device: Annotated[str, typer.Option(help="A device that 'archfront devices' lists, or its TOML file.")] = "host",
    as_json: AsJson = False,
) -> None:
    """Measure a network's latency on a device."""
    from dataclasses import asdict

    from hardware_profiles.measuring import measure_file

    found = measure_file(model, device)
    if as_json:
        print_json({"model": str(model), **asdict(found)})
        return
    how = found.provenance
    shape = "×".join(map(str, how.input_shape))
    runs = found.summary
    rows = [
        ["latency", f"{figure(found.latency_ms)} ms, 95 % {figure(found.low)} to {figure(found.high)}"],
        ["runs", f"n {runs.n}, p10 {figure(runs.p10)}, p50 {figure(runs.p50)}, p90 {figure(runs.p90)}"],
        ["peak memory", f"{figure(found.peak_memory_mb)} MB"],
        ["device", f"{how.device}, {how.threads} threads, batch {how.batch}, input {shape}"],
        ["runtime", f"{how.runtime} {how.runtime_version}, {how.precision}"],
        ["protocol", f"{how.protocol}; {found.stopped} after {duration(found.seconds)}"],
    ]
    print_table(table_of(["", str(model)], rows))
