"""The exported file timed as it is: the search timed the same network, but converted for a batch of one."""

from pathlib import Path

from archfront.contracts import Metric, WrongUse
from archfront.export.subject import Subject, figure

SUFFIXES = {".onnx": "model.onnx"}
"""Which exported file a runtime takes, by the suffix of its own files."""


def timed_again(subject: Subject, folder: Path) -> list[str]:
    """A note for each latency that the search measured on this very host: how long the exported file takes there."""
    notes = []
    for metric in subject.metrics:
        name, _, device = metric.name.partition("@")
        if name == "latency_ms" and device and metric.kind == "measured":
            notes += _note(metric, device, folder)
    return notes


def _note(metric: Metric, device: str, folder: Path) -> list[str]:
    from hardware_profiles import fingerprint, profile
    from hardware_profiles.measuring import TimingFailed, TimingTimedOut, measure_file, runtime_of
    from hardware_profiles.runtimes.base import Unsupported

    try:
        known = profile(device)
        file = folder / SUFFIXES.get(runtime_of(known).suffix, "")
        if metric.provenance.host != fingerprint.digest() or not file.is_file():
            return []
        again = measure_file(file, known)
    except (WrongUse, TimingFailed, TimingTimedOut, Unsupported) as error:
        return [f"{metric.name} of the exported file: not measured ({error})"]
    change = again.latency_ms / metric.value - 1
    return [
        f"{file.name} timed again on '{device}': {figure(again.latency_ms)} ms ({figure(again.low)} to "
        f"{figure(again.high)}), {change:+.1%} of the {figure(metric.value)} ms of the search"
    ]
