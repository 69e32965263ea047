"""`archfront measure`: the latency of one network, outside a search."""

from pathlib import Path
from typing import Annotated

import typer

from archfront.commands.printing import AsJson, duration, figure, print_json, print_table, table_of

STOPPED = {
    "converged": "the figure had settled",
    "cap": "the time for it was up",
    "never quiet": "the host wasn't quiet for long enough, and the time was up",
}
"""Why a measurement ended, in words."""


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
    threads = "thread" if how.threads == 1 else "threads"
    tenth, most = f"a tenth took up to {figure(runs.p10)} ms", f"nine tenths up to {figure(runs.p90)}"
    spread = f"{tenth}, half up to {figure(runs.p50)}, {most}"
    interval = f"95 % interval {figure(found.low)} to {figure(found.high)}"
    if found.corrected:
        latency = f"~{figure(found.latency_ms)} ms, predicted: what the host would take if it were quiet; {interval}"
        timed = f"{runs.n}, as they came on a host that isn't quiet: {spread}"
    else:
        latency = f"{figure(found.latency_ms)} ms, measured: the 10th percentile of the runs that count; {interval}"
        timed = f"{runs.n} count, taken while the host was quiet: {spread}"
    held = f"{found.slices} slices, {found.exclusive_s:.1f} s in all, {found.quiet_share:.0%} of the rounds quiet"
    rows = [
        ["latency", latency],
        ["runs", timed],
        ["peak memory", f"{figure(found.peak_memory_mb)} MB"],
        ["device", f"{how.device}, {how.threads} {threads}, batch {how.batch}, input {shape}"],
        ["runtime", f"{how.runtime} {how.runtime_version}, {how.precision}"],
        ["protocol", how.protocol],
        ["effort", f"{held}; {STOPPED[found.stopped]} after {duration(found.seconds)}"],
    ]
    print_table(table_of(["", str(model)], rows))
