"""Measure the latency of a network on a device: convert it, time it in a process of its own, say how it was got."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from archfront.contracts import Kind, Metric, Provenance, Summary, WrongUse
from hardware_profiles import fingerprint, quiet
from hardware_profiles.device_profile import Profile
from hardware_profiles.device_profile import profile as find_profile
from hardware_profiles.reference import level_of, reference_file, remember_level
from hardware_profiles.runtimes.base import RUNTIMES, Runtime, Unsupported
from hardware_profiles.sampling import CORRECTED, PROTOCOL
from search_spaces.errors import SpaceError, near

if TYPE_CHECKING:
    from torch import nn

AGREEMENT = 1e-4
"""How far the converted network's outputs may be from PyTorch's, relative to their range."""
ALLOWANCE_S = 60.0
"""What loading, checking and warming up may take, beyond the sampling."""


class TimingFailed(RuntimeError):
    """The timing process crashed or gave an error; the message says which."""


class TimingTimedOut(TimeoutError):
    """The timing process gave no answer in time, and was killed."""


@dataclass(frozen=True)
class Measurement:
    """The latency of one network on one device.

    `latency_ms` (of one batch) lies between `low` and `high` at 95 %; `summary` is of the runs it rests on, in ms.
    `stopped` is "converged", "cap" or "never quiet"; `corrected` says that the host never was quiet, and the figure
    is worked out from the reference network instead; `quiet_share` is the share of rounds that were quiet.
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

    @property
    def throughput(self) -> float:
        """Inputs per second."""
        return 1000.0 * (self.provenance.batch or 1) / self.latency_ms

    @property
    def width(self) -> float:
        """The interval's width relative to the figure."""
        return (self.high - self.low) / self.latency_ms

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


def runtime_of(profile: Profile) -> Runtime:
    """The runtime that the profile names; raises `WrongUse` when it or one of its settings is unknown."""
    where = f"device profile '{profile.name}'"
    try:
        runtime = RUNTIMES.get(profile.runtime)()
    except SpaceError as error:
        raise WrongUse(f"{where}: {error}") from None
    if profile.precision not in runtime.precisions:
        advice = near(profile.precision, runtime.precisions)
        raise WrongUse(f"{where}: {profile.runtime} has no precision '{profile.precision}'; {advice}")
    for key in profile.options:
        if key not in runtime.options:
            raise WrongUse(f"{where}: {profile.runtime} has no option '{key}'; {near(key, runtime.options)}")
    return runtime


class Timer:
    """The timing process of one profile: started when first needed, kept, and started anew when it died.

    Not shared among threads. After a fork, the child starts its own.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.runtime = runtime_of(profile)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._errors: Any = None

    def start(self, timeout_s: float = ALLOWANCE_S) -> None:
        """Start the process where none runs, and wait until it is ready."""
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        self.close()
        settings = {"runtime": self.profile.runtime, "cores": self.profile.pinned_to()}
        root = str(Path(__file__).parents[1])
        threads = str(self.profile.threads)
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the process
        # A session of its own: Ctrl-C ends the search, which ends this process when it is done.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hardware_profiles.timing", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        self._owner = os.getpid()
        self._read(timeout_s)

    @property
    def pid(self) -> int | None:
        """The process's id, where one was started."""
        return self._process.pid if self._process else None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One request's reply; raises what its error stands for, `TimingTimedOut` or `TimingFailed`."""
        self.start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        reply = self._read(timeout_s)
        kind, reason = reply.get("error"), str(reply.get("reason", ""))
        if kind == "unsupported":
            raise Unsupported(f"{self.profile.runtime}: {reason}")
        if kind == "memory":
            raise MemoryError(reason)
        if kind:
            raise TimingFailed(f"{self.profile.runtime} could not time the network: {reason}")
        return reply

    def _read(self, timeout_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        descriptor, text, deadline = self._process.stdout.fileno(), b"", time.monotonic() + timeout_s
        try:
            while not text.endswith(b"\n"):
                left = max(0.0, deadline - time.monotonic())
                if not select.select([descriptor], [], [], left)[0]:
                    raise TimingTimedOut(f"timing on '{self.profile.name}' took longer than {timeout_s:.0f} s")
                more = os.read(descriptor, 65536)
                if not more:
                    raise self._died()
                text += more
        except BaseException:
            self.close()  # half a reply must not be taken for the next one's
            raise
        return json.loads(text)

    def _died(self) -> TimingFailed:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self.close()
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return TimingFailed(f"the timing process of '{self.profile.name}' {how}: {' '.join(last) or 'no message'}")

    def close(self) -> None:
        """End the process, and with it what it forked."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, self._errors):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "Timer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def measure(
    model: "nn.Module",
    inputs: tuple[int, ...],
    profile: Profile,
    timer: Timer | None = None,
    timeout_s: float | None = None,
) -> Measurement:
    """Time the deployed `model` on inputs of shape `inputs` (no batch) as the profile says.

    Conversion and its check need no quiet; the timing waits until it has the host to itself (`quiet.measurement`).
    Raises `Unsupported` when the runtime can't convert or run the network or its outputs aren't PyTorch's,
    `TimingTimedOut`, `TimingFailed`, or `MemoryError`.
    """
    own = timer or Timer(profile)
    try:
        with tempfile.TemporaryDirectory(prefix="archfront-") as name:
            path, check = convert(model, inputs, profile, own.runtime, Path(name))
            return _time_until_quiet(path, profile, own, timeout_s, check)
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


def measure_file(path: str | Path, profile: Profile | str, timeout_s: float | None = None) -> Measurement:
    """Time a converted file (`.onnx` or `.pt2`) as it is; raises `WrongUse` when it isn't one for this device."""
    profile = find_profile(profile) if isinstance(profile, str) else profile
    path = Path(path).expanduser()
    if not path.is_file():
        raise WrongUse(f"no model file {path}; give a {runtime_of(profile).suffix} file")
    with Timer(profile) as timer:
        if path.suffix != timer.runtime.suffix:
            raise WrongUse(
                f"the device '{profile.name}' runs {timer.runtime.suffix} files ({profile.runtime}), not {path.name}; "
                "export the model in that format or choose another --device"
            )
        return _time_until_quiet(path.resolve(), profile, timer, timeout_s, None)


def _time_until_quiet(
    path: Path, profile: Profile, timer: Timer, timeout_s: float | None, check: Path | None
) -> Measurement:
    """Time again after pauses, in which others may train, while the host isn't quiet; the last figure stands then."""
    found = _time(path, profile, timer, timeout_s, check)
    for pause in profile.pauses_s:
        if not found.corrected:
            break
        time.sleep(pause)
        found = _time(path, profile, timer, timeout_s, check)
    return found


def _time(path: Path, profile: Profile, timer: Timer, timeout_s: float | None, check: Path | None) -> Measurement:
    runtime = timer.runtime
    reference = reference_file(runtime)
    timer.start()
    request: dict[str, Any] = {
        "path": str(path),
        "reference": str(reference),
        "check": str(check) if check else None,
        "threads": profile.threads,
        "options": dict(profile.options),
        "plan": {"cap_s": profile.cap_s, "patience_s": profile.patience_s},
    }
    with quiet.measurement():
        request["level"] = level_of(reference, profile)
        reply = timer.ask(request, min(timeout_s or ALLOWANCE_S, ALLOWANCE_S) + profile.patience_s)
        remember_level(reference, profile, reply["level"])
    difference = reply["difference"]
    if difference is not None and not difference <= AGREEMENT:
        raise Unsupported(f"{runtime.name}: conversion changed the outputs by {difference:.1e} of their range")
    return _measurement(reply, profile, runtime)


def _measurement(reply: dict[str, Any], profile: Profile, runtime: Runtime) -> Measurement:
    batch, *shape = reply["shape"]
    provenance = Provenance(
        device=profile.name,
        runtime=runtime.name,
        runtime_version=runtime.version(),
        precision=reply["precision"],
        threads=profile.threads,
        batch=batch,
        input_shape=tuple(shape),
        host=fingerprint.digest(),
        protocol=CORRECTED if reply["corrected"] else PROTOCOL,
    )
    return Measurement(
        latency_ms=reply["headline"] / 1e6,
        low=reply["low"] / 1e6,
        high=reply["high"] / 1e6,
        summary=Summary(reply["samples"], *(value / 1e6 for value in reply["percentiles"])),
        peak_memory_mb=reply["memory"] / 1e6,
        provenance=provenance,
        stopped=reply["stopped"],
        corrected=reply["corrected"],
        quiet_share=reply["quiet_share"],
        rounds=reply["rounds"],
        seconds=reply["seconds"],
        difference=reply["difference"],
    )
