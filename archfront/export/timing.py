"""The exported file timed as it is: the search timed the same network, but converted for a batch of one."""

from collections.abc import Callable
from pathlib import Path

from archfront.contracts import Metric, WrongUse
from archfront.export.subject import Subject, figure, silent

SUFFIXES = {".onnx": "model.onnx"}
"""Which exported file a runtime takes, by the suffix of its own files."""


def timed_again(subject: Subject, folder: Path, say: Callable[[str], None] = silent) -> list[str]:
    """A note for each latency that the search measured on this very host: how long the exported file takes there.

    `say` is told a line before each measurement, which may take a while.
    """
    notes = []
    for metric in subject.metrics:
        name, _, device = metric.name.partition("@")
        if name == "latency_ms" and device and metric.kind == "measured":
            notes += _note(metric, device, folder, say)
    return notes


def _note(metric: Metric, device: str, folder: Path, say: Callable[[str], None]) -> list[str]:
    from hardware_profiles import fingerprint, profile
    from hardware_profiles.measuring import TimingFailed, TimingTimedOut, measure_file, runtime_of
    from hardware_profiles.runtimes.base import Unsupported

    try:
        known = profile(device)
        file = folder / SUFFIXES.get(runtime_of(known).suffix, "")
        if metric.provenance.host != fingerprint.digest() or not file.is_file():
            return []
        say(f"{file.name}: timing it on '{device}' …")
        again = measure_file(file, known)
    except (WrongUse, TimingFailed, TimingTimedOut, Unsupported) as error:
        return [f"{metric.name} of the exported file: not measured ({error})"]
    change = again.latency_ms / metric.value - 1
    return [
        f"{file.name} timed again on '{device}': {figure(again.latency_ms)} ms ({figure(again.low)} to "
        f"{figure(again.high)}), {change:+.1%} of the {figure(metric.value)} ms of the search"
    ]
