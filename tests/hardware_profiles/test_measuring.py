"""Measurements with real runtimes in a real timing process."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional

from archfront.contracts import Context, Proposal, Status, WrongUse
from evaluators.base import attempt, create
from hardware_profiles import estimating, fingerprint, profile, quiet, timing
from hardware_profiles.device_profile import Profile
from hardware_profiles.measuring import Timer, TimingFailed, TimingTimedOut, convert, measure, measure_file, runtime_of
from hardware_profiles.runtimes.base import Unsupported
from hardware_profiles.runtimes.torch_eager import refuse_pickles

QUICK: dict[str, Any] = {"cap_s": 0.5, "patience_s": 0.6, "pauses_s": ()}
HOST = Profile("host", **QUICK)
INPUTS = (3, 16, 16)


class Attention(nn.Module):
    """Self-attention over the positions, with the norms that take conversions of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.out = nn.RMSNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(tokens)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(tokens + mixed).transpose(1, 2).unflatten(2, x.shape[2:])


def network(width: int = 16) -> nn.Module:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, width, 3, padding=1),
        nn.GroupNorm(2, width),
        nn.GELU(),
        Attention(width),
        nn.Conv2d(width, width, 3, padding=1, groups=width),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 5),
    ]
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def timer() -> Iterator[Timer]:
    with Timer(HOST) as made:
        yield made


def test_a_measurement_is_complete(timer: Timer) -> None:
    found = measure(network(), INPUTS, HOST, timer)
    assert 0 < found.low <= found.latency_ms <= found.high
    assert found.difference is not None and found.difference <= 1e-4
    assert found.peak_memory_mb > 0
    assert found.stopped in ("converged", "cap", "never quiet")
    latency, throughput, memory = found.metrics()
    assert [metric.name for metric in found.metrics()] == ["latency_ms@host", "throughput@host", "peak_memory_mb@host"]
    assert latency.summary is not None and latency.summary.n >= 8
    assert latency.summary.p10 <= latency.summary.p50 <= latency.summary.p90 <= latency.summary.p99
    assert throughput.value == pytest.approx(1000 / latency.value)
    assert throughput.low is not None and throughput.low <= throughput.value
    for metric in (latency, throughput, memory):
        how = metric.provenance
        assert metric.kind == ("predicted" if found.corrected and metric is not memory else "measured")
        assert (how.device, how.runtime, how.precision) == ("host", "onnxruntime", "float32")
        assert (how.threads, how.batch, how.input_shape) == (1, 1, INPUTS)
        assert how.runtime_version and how.host == fingerprint.digest()
        assert how.protocol == (estimating.CORRECTED if found.corrected else estimating.PROTOCOL)


def test_a_larger_network_takes_longer_and_more_memory(timer: Timer) -> None:
    small, large = (measure(network(width), INPUTS, HOST, timer) for width in (8, 192))
    assert large.latency_ms > 2 * small.latency_ms
    assert large.peak_memory_mb > small.peak_memory_mb


def test_the_timing_process_is_pinned_and_loads_no_torch(timer: Timer) -> None:
    core = sorted(os.sched_getaffinity(0))[0]
    with Timer(Profile("first", cores=(core,))) as first:
        first.start()
        assert first.pid is not None
        assert os.sched_getaffinity(first.pid) == {core}
        assert "libtorch" not in Path(f"/proc/{first.pid}/maps").read_text()
        assert "onnxruntime" in Path(f"/proc/{first.pid}/maps").read_text()


def test_a_killed_timing_process_is_an_error_and_the_next_one_works() -> None:
    with Timer(HOST) as timer:
        load(timer)
        pid = timer.pid
        assert pid is not None
        threading.Timer(1.0, os.killpg, (pid, signal.SIGKILL)).start()
        with pytest.raises(TimingFailed, match="died of SIGKILL"):
            timer.ask({"do": "slice", "seconds": 20}, 30)
        timer.start()
        assert timer.pid != pid


def test_a_timing_process_that_takes_too_long_is_killed() -> None:
    with Timer(HOST) as timer:
        load(timer)
        pid = timer.pid
        assert pid is not None
        start = time.perf_counter()
        with pytest.raises(TimingTimedOut, match="longer than 1 s"):
            timer.ask({"do": "slice", "seconds": 20}, 1)
        assert time.perf_counter() - start < 15
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def load(timer: Timer) -> dict[str, Any]:
    from hardware_profiles.reference import reference_file

    reference = str(reference_file(timer.runtime))
    request = {"do": "load", "path": reference, "reference": reference, "threads": 1, "options": {}}
    return timer.ask(request, 60)


def test_a_crash_of_the_runtime_is_an_error_of_that_network_alone() -> None:
    def crash(_: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    assert timing.Fork(crash).ask({}) == {"error": "crashed", "reason": "the runtime died of SIGKILL"}
    assert timing.Fork(lambda _: os._exit(3)).ask({})["reason"] == "the runtime ended the process with 3"
    fork = timing.Fork(lambda value: {"got": 1 / value})
    assert fork.ask(0)["reason"].startswith("ZeroDivisionError")
    assert fork.ask(2) == {"got": 0.5}, "one that gave an error goes on"
    os.kill(fork.pid, signal.SIGKILL)
    assert [fork.ask(2)["reason"] for _ in range(2)] == ["the runtime died of SIGKILL"] * 2
    fork.end()
    timing.Fork(crash).end()


def test_the_timing_process_ends_with_the_one_that_asked() -> None:
    code = """
import sys
from hardware_profiles import profile
from hardware_profiles.measuring import Timer
timer = Timer(profile("host"))
timer.start()
print(timer.pid, flush=True)
sys.stdin.read()
"""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", code]
    asker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert asker.stdout is not None and asker.stdin is not None
    pid = int(asker.stdout.readline())
    asker.kill()
    asker.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the timing process outlived its asker"
        time.sleep(0.05)
    asker.stdin.close()
    asker.stdout.close()


@pytest.mark.parametrize("device", ["host", "host-torch"])
def test_conversion_leaves_the_outputs_as_they_were(device: str, tmp_path: Path) -> None:
    chosen = profile(device)
    runtime = runtime_of(chosen)
    path, check = convert(network(), INPUTS, chosen, runtime, tmp_path)
    loaded = runtime.load(path, 1, {})
    assert loaded.shape == (1, *INPUTS)
    with numpy.load(check) as arrays:
        assert numpy.abs(loaded.run(arrays["inputs"]) - arrays["outputs"]).max() < 1e-5


def test_outputs_that_changed_are_refused(timer: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    original = type(timer.runtime).convert

    def wrong(self: Any, model: nn.Module, *rest: Any) -> Path:
        return original(self, nn.Sequential(model, nn.Softmax(1)), *rest)

    monkeypatch.setattr(type(timer.runtime), "convert", wrong)
    with pytest.raises(Unsupported, match="conversion changed the outputs"):
        measure(network(), INPUTS, HOST, timer)


def test_a_network_that_cannot_be_converted_is_unsupported(timer: Timer) -> None:
    class Fourier(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(x).real.flatten(1)

    with pytest.raises(Unsupported, match="can't be converted to ONNX"):
        measure(Fourier(), INPUTS, HOST, timer)


def test_files(tmp_path: Path) -> None:
    path, _ = convert(network(), INPUTS, HOST, runtime_of(HOST), tmp_path)
    found = measure_file(path, HOST)
    assert found.latency_ms > 0
    assert found.provenance.input_shape == INPUTS
    with pytest.raises(WrongUse, match=r"runs \.pt2 files"):
        measure_file(path, "host-torch")
    with pytest.raises(WrongUse, match="no model file"):
        measure_file(tmp_path / "gone.onnx", "host")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing of the kind")
    with pytest.raises(Unsupported, match="can't load it"):
        measure_file(broken, HOST)


def test_pickles_in_a_pt2_file_are_refused(tmp_path: Path) -> None:
    good = runtime_of(profile("host-torch")).convert(network(), INPUTS, 1, tmp_path)
    refuse_pickles(good)

    def changed(name: str, change: Any) -> Path:
        target = tmp_path / "changed.pt2"
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(target, "w") as copy:
            for member in source.namelist():
                data = source.read(member)
                copy.writestr(member, change(data) if member.endswith(name) else data)
        return target

    def pickled(data: bytes) -> bytes:
        config = json.loads(data)
        next(iter(config["config"].values()))["use_pickle"] = True
        return json.dumps(config).encode()

    class Evil:
        def __reduce__(self) -> Any:
            return (os.system, ("true",))

    evil = io.BytesIO()
    torch.save((Evil(),), evil)
    with pytest.raises(Unsupported, match="pickled"):
        refuse_pickles(changed("model_weights_config.json", pickled))
    with pytest.raises(Unsupported, match="trusted"):
        refuse_pickles(changed("sample_inputs/model.pt", lambda _: evil.getvalue()))
    legacy = tmp_path / "legacy.pt2"
    legacy.write_bytes(evil.getvalue())
    with pytest.raises(Unsupported, match="no exported program"):
        refuse_pickles(legacy)


def test_the_evaluator(tmp_path: Path) -> None:
    from search_spaces.spaces import get_space

    settings = tmp_path / "quick.toml"
    settings.write_text("cap_s = 0.5\npatience_s = 0.6\npauses_s = []\n")
    evaluator = create("latency", {"device": str(settings)})
    assert evaluator.resource == "device:quick"
    space = get_space("cell201")
    architecture = space.sample(0)
    proposal = Proposal(architecture, space.digest(architecture))
    context = Context(tmp_path, inputs=(3, 16, 16), outputs=10)
    evaluator.prepare(context)
    found = attempt(evaluator, proposal, context)
    assert found.status == Status.OK, found.reason
    assert tuple(found.values) == evaluator.metrics()
    with quiet.training_step():
        # The timing waits for the running step, and for nothing longer.
        done = threading.Thread(target=attempt, args=(create("latency", {"device": str(settings)}), proposal, context))
        done.start()
        done.join(2.5)
        assert done.is_alive()
    done.join(30)
    assert not done.is_alive()


def test_the_evaluator_refuses_unknown_devices() -> None:
    with pytest.raises(WrongUse, match="did you mean 'host'"):
        create("latency:hosst")
