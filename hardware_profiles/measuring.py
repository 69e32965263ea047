"""Measure the latency of a network on a device: convert it, time it in a process of its own, say how it was got."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy

from archfront.contracts import Kind, Metric, Provenance, Summary, WrongUse
from hardware_profiles import fingerprint
from hardware_profiles.device_profile import Profile
from hardware_profiles.device_profile import profile as find_profile
from hardware_profiles.estimating import CORRECTED, PROTOCOL, Estimate
from hardware_profiles.runtimes.base import Runtime
from hardware_profiles.session import Effort, Session, effort_of
from hardware_profiles.timer import Timer, TimingFailed, TimingTimedOut, runtime_of

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Measurement",
    "Timer",
    "TimingFailed",
    "TimingTimedOut",
    "convert",
    "measure",
    "measure_file",
    "runtime_of",
]


@dataclass(frozen=True)
class Measurement:
    """The latency of one network on one device.

    `latency_ms` (of one batch) lies between `low` and `high` at 95 %; `summary` is of the runs it rests on, in ms: of
    those that were quiet, its p10 is the figure, of a `corrected` figure it is of the runs as they were timed.
    `stopped` is "converged", "cap" or "never quiet"; `corrected` says that the host wasn't quiet for long enough, and
    the figure is worked out with the reference network instead; `quiet_share` is the share of `rounds` that were quiet.
    `seconds` is from the first of its `slices` to the last, `exclusive_s` how long others had to wait in them, in all.
    """

    latency_ms: float
    low: float
    high: float
    summary: Summary
    peak_memory_mb: float
    provenance: Provenance
    stopped: str
    corrected: bool
    quiet_share: float
    rounds: int
    seconds: float
    difference: float | None
    slices: int = 1
    exclusive_s: float = 0.0

    @property
    def throughput(self) -> float:
        """Inputs per second."""
        return 1000.0 * (self.provenance.batch or 1) / self.latency_ms

    def metrics(self) -> tuple[Metric, ...]:
        """`latency_ms@device`, `throughput@device` and `peak_memory_mb@device`, with their provenance.

        A corrected latency is worked out, not measured, and says so.
        """
        device, how, scale = self.provenance.device, self.provenance, 1000.0 * (self.provenance.batch or 1)
        kind: Kind = "predicted" if self.corrected else "measured"
        return (
            Metric(
                f"latency_ms@{device}",
                self.latency_ms,
                "ms",
                kind,
                low=self.low,
                high=self.high,
                summary=self.summary,
                provenance=how,
            ),
            Metric(
                f"throughput@{device}",
                self.throughput,
                "1/s",
                kind,
                low=scale / self.high,
                high=scale / self.low,
                provenance=how,
            ),
            Metric(f"peak_memory_mb@{device}", self.peak_memory_mb, "MB", provenance=how),
        )


def measure(
    model: "nn.Module",
    inputs: tuple[int, ...],
    profile: Profile,
    timer: Timer | None = None,
    timeout_s: float | None = None,
    effort: str = "search",
) -> Measurement:
    """Time the deployed `model` on inputs of shape `inputs` (no batch) as the profile says.

    Conversion, loading, the check and warming up need no quiet. The timing has the host to itself in short slices
    (`quiet.measurement`), between which others go on: at most 3 s in all as `effort` "search", longer as "final"
    (`session.EFFORTS`). `timeout_s` bounds the loading. Raises `Unsupported` when the runtime can't convert or run the
    network or its outputs aren't PyTorch's, `TimingTimedOut` where not even one run fits into that time,
    `TimingFailed`, `MemoryError`, or `WrongUse` for an unknown effort.
    """
    allowed = effort_of(effort, profile)
    own = timer or Timer(profile)
    try:
        with tempfile.TemporaryDirectory(prefix="archfront-") as name:
            path, check = convert(model, inputs, profile, own.runtime, Path(name))
            return _timed(path, profile, own, allowed, timeout_s, check)
    finally:
        if timer is None:
            own.close()


def convert(
    model: "nn.Module", inputs: tuple[int, ...], profile: Profile, runtime: Runtime, folder: Path
) -> tuple[Path, Path]:
    """The model converted for the runtime, and a file with inputs and PyTorch's outputs to check it by."""
    import torch

    from search_spaces.example_inputs import example_inputs

    example = example_inputs(model, inputs, profile.batch)
    with torch.no_grad():
        outputs = model(example)
    path = runtime.convert(model, inputs, profile.batch, folder)
    check = folder / "check.npz"
    numpy.savez(check, inputs=example.numpy(), outputs=outputs.numpy())
    return path, check


def measure_file(
    path: str | Path, profile: Profile | str, timeout_s: float | None = None, effort: str = "final"
) -> Measurement:
    """Time a converted file (`.onnx` or `.pt2`) as it is; raises `WrongUse` when it isn't one for this device."""
    profile = find_profile(profile) if isinstance(profile, str) else profile
    allowed = effort_of(effort, profile)
    path = Path(path).expanduser()
    if not path.is_file():
        raise WrongUse(f"no model file {path}; give a {runtime_of(profile).suffix} file")
    with Timer(profile) as timer:
        if path.suffix != timer.runtime.suffix:
            raise WrongUse(
                f"the device '{profile.name}' runs {timer.runtime.suffix} files ({profile.runtime}), not {path.name}; "
                "export the model in that format or choose another --device"
            )
        return _timed(path.resolve(), profile, timer, allowed, timeout_s, None)


def _timed(
    path: Path, profile: Profile, timer: Timer, effort: Effort, timeout_s: float | None, check: Path | None
) -> Measurement:
    session = Session(path, profile, timer, effort, timeout_s, check)
    start = time.monotonic()
    try:
        found, stopped = session.run()
    finally:
        session.close()
    return _measurement(session, found, stopped, time.monotonic() - start)


def _measurement(session: Session, found: Estimate, stopped: str, seconds: float) -> Measurement:
    loaded, profile, runtime = session.loaded, session.profile, session.timer.runtime
    batch, *shape = loaded["shape"]
    provenance = Provenance(
        device=profile.name,
        runtime=runtime.name,
        runtime_version=runtime.version(),
        precision=loaded["precision"],
        threads=profile.threads,
        batch=batch,
        input_shape=tuple(shape),
        host=fingerprint.digest(),
        protocol=CORRECTED if found.corrected else PROTOCOL,
    )
    percentiles = numpy.percentile(found.samples, (10, 50, 90, 99)) / 1e6
    return Measurement(
        latency_ms=found.headline / 1e6,
        low=found.low / 1e6,
        high=found.high / 1e6,
        summary=Summary(len(found.samples), *map(float, percentiles)),
        peak_memory_mb=loaded["memory"] / 1e6,
        provenance=provenance,
        stopped=stopped,
        corrected=found.corrected,
        quiet_share=found.quiet_share,
        rounds=sum(len(one.rounds) for one in session.slices),
        seconds=seconds,
        difference=loaded["difference"],
        slices=len(session.slices),
        exclusive_s=session.exclusive_s,
    )
