"""The timing process: `python -m hardware_profiles.timing SETTINGS`. Pinned to its cores, it serves one line at a time.

It imports numpy and the one runtime, nothing else. Each network is loaded and timed in a fork of it, so that every
network meets the same fresh process at the price of a few milliseconds, and one that crashes takes nothing along.
Requests and replies are JSON, a line each, on standard input and output.
"""

import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from hardware_profiles import sampling
from hardware_profiles.runtimes.base import RUNTIMES, Loaded, Runtime, Unsupported, first_line

Reply = dict[str, Any]


def main() -> None:
    """Serve requests until standard input ends."""
    settings = json.loads(sys.argv[1])
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints must not get between the replies
    os.sched_setaffinity(0, settings["cores"])
    runtime = RUNTIMES.get(settings["runtime"])()
    runtime.warm()
    _answer(channel, {"ready": os.getpid()})
    for line in sys.stdin:
        _answer(channel, in_fork(lambda request: timed(runtime, request), json.loads(line)))


def _answer(channel: Any, reply: Reply) -> None:
    channel.write(json.dumps(reply) + "\n")
    channel.flush()


def in_fork(work: Callable[[Any], Reply], request: Any) -> Reply:
    """What `work(request)` gives in a forked process; an error or a death of it as `{"error": kind, "reason": …}`."""
    inlet, outlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(inlet)
        try:
            reply = work(request)
        except Unsupported as error:
            reply = {"error": "unsupported", "reason": str(error)}
        except MemoryError as error:
            reply = {"error": "memory", "reason": str(error) or "out of memory"}
        except BaseException as error:
            reply = {"error": "failed", "reason": first_line(error)}
        with os.fdopen(outlet, "w") as pipe:
            pipe.write(json.dumps(reply))
        os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if text:
        return json.loads(text)
    if os.WIFSIGNALED(status):
        return {"error": "crashed", "reason": f"the runtime died of {signal.Signals(os.WTERMSIG(status)).name}"}
    return {"error": "crashed", "reason": f"the runtime ended the process with {os.WEXITSTATUS(status)}"}


def timed(runtime: Runtime, request: Reply) -> Reply:
    """Load, check and time one network; the figures are in ns, memory in bytes."""
    options, threads = request["options"], request["threads"]
    reference = _caller(runtime.load(Path(request["reference"]), threads, options))
    reference()
    before = _resident()
    loaded = runtime.load(Path(request["path"]), threads, options)
    difference = _difference(loaded, request.get("check"))
    network = _caller(loaded)
    network()
    memory = _peak() - before
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    plan = sampling.Plan(**request["plan"])
    found, stopped, rounds = sampling.sample(network, reference, plan, request["level"], _awaited)
    percentiles = numpy.percentile(found.samples, (10, 50, 90, 99))
    return {
        "headline": found.headline,
        "low": found.low,
        "high": found.high,
        "corrected": found.corrected,
        "quiet_share": found.quiet_share,
        "level": found.level,
        "samples": len(found.samples),
        "percentiles": [float(value) for value in percentiles],
        "rounds": rounds,
        "stopped": stopped,
        "seconds": time.perf_counter() - start,
        "memory": max(0, memory),
        "shape": list(loaded.shape),
        "precision": loaded.precision,
        "difference": difference,
        "cores": sorted(os.sched_getaffinity(0)),
    }


def _caller(loaded: Loaded) -> Callable[[], object]:
    drawn = numpy.random.default_rng(0)
    # Tokens 0 and 1 are in every vocabulary.
    ids = loaded.dtype == "int64"
    array = drawn.integers(0, 2, loaded.shape) if ids else drawn.standard_normal(loaded.shape).astype(loaded.dtype)
    run = loaded.run
    return lambda: run(array)


def _difference(loaded: Loaded, check: str | None) -> float | None:
    """The largest difference from the outputs that PyTorch gave, relative to their range where that exceeds 1."""
    if check is None:
        return None
    with numpy.load(check, allow_pickle=False) as arrays:
        expected, found = arrays["outputs"], loaded.run(arrays["inputs"])
    if expected.shape != found.shape:
        raise Unsupported(f"the converted network gives outputs of shape {found.shape}, not {expected.shape}")
    return float(numpy.abs(expected - found).max() / max(1.0, float(numpy.ptp(expected))))


def _awaited() -> bool:
    """Whether the process that asked still holds its end of standard input."""
    poll = select.poll()
    poll.register(0, select.POLLHUP)
    return not any(event & select.POLLHUP for _, event in poll.poll(0))


def _resident() -> int:
    """The resident memory in bytes; the kernel's record of the peak starts anew from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
