"""How repeatable a latency is, and whether ONNX Runtime's own timing of the same file agrees.

Ten separate runs (each with a process of its own) of one network, spread over several minutes; after each, in another
fresh process, a plain loop over `InferenceSession.run` on the same core. Both take the 10th percentile of what ran
while the host was quiet. (ONNX Runtime's profiler is no yardstick: its events double the time of a small network.)

    python -m benchmarks.latency_repeatability [--runs 10] [--pause 20] [--space mobile] [--seed 1]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy

from hardware_profiles import profile, quiet
from hardware_profiles.device_profile import Profile
from hardware_profiles.measuring import measure_file, runtime_of
from hardware_profiles.reference import level_of, reference_file
from hardware_profiles.sampling import TOLERANCE

CHUNK_S = 0.01
"""A plain loop is looked at in chunks this long, with the reference's time before and after."""


def main() -> None:
    """Print each run, the coefficient of variation and the differences."""
    arguments = parsed()
    host = profile("host")
    with tempfile.TemporaryDirectory() as folder:
        path = converted(arguments.space, arguments.seed, host, Path(folder))
        rows = []
        for number in range(arguments.runs):
            time.sleep(arguments.pause if number else 0)
            rows.append(one_run(path, host))
            cells = "  ".join(f"{key} {value:.4f}" for key, value in rows[-1].items())
            print(f"run {number + 1:2d}: {cells}  load {os.getloadavg()[0]:.1f}", flush=True)
    report(rows)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--pause", type=float, default=20.0, help="seconds between runs")
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--seed", type=int, default=1, help="which sample of the space is timed")
    return parser.parse_args()


def converted(space: str, seed: int, host: Profile, folder: Path) -> Path:
    """One network of the space as an ONNX file."""
    from search_spaces.building import build
    from search_spaces.deployment import deployed
    from search_spaces.spaces import get_space

    model = deployed(build(get_space(space).sample(seed), (3, 32, 32), 10, seed=0))
    return runtime_of(host).convert(model, (3, 32, 32), 1, folder)


def one_run(path: Path, host: Profile) -> dict[str, float]:
    """The headline figure, and ONNX Runtime's own of the same file right after; both in ms."""
    found = measure_file(path, host)
    reference = reference_file(runtime_of(host))
    with quiet.measurement():
        job = {
            "path": str(path),
            "reference": str(reference),
            "level": level_of(reference, host),
            "cores": host.pinned_to(),
        }
        command = [sys.executable, "-c", f"import {__spec__.name} as b; b.own()", json.dumps(job)]
        own_ms = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"headline": found.latency_ms, "own": own_ms, "quiet_share": found.quiet_share, "width": found.width}


def own() -> None:
    """In a process of its own: print the 10th percentile (ms) of a plain loop while the host was quiet."""
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, job["cores"])
    reference, network = session(job["reference"]), session(job["path"])
    loop(network, 0.3)
    chunks: list[list[float]] = []
    references, started = [level(reference)], time.perf_counter()
    picked = numpy.zeros(0, bool)
    while time.perf_counter() < started + 8 and (picked.sum() < 40 or time.perf_counter() < started + 1.5):
        chunks.append(loop(network, CHUNK_S))
        references.append(level(reference))
        calm = numpy.array(references) < (1 + TOLERANCE) * job["level"]
        picked = calm[:-1] & calm[1:]
    counted = [chunk for chunk, quiet_then in zip(chunks, picked, strict=True) if quiet_then] or [[float("nan")]]
    print(numpy.percentile(numpy.concatenate(counted), 10))


def session(path: str) -> Callable[[], object]:
    """A session as ONNX Runtime's documentation sets one up, and the call that runs it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = made.get_inputs()[0]
    array = numpy.random.default_rng(0).standard_normal(feed.shape).astype("float32")
    return lambda: made.run(None, {feed.name: array})


def loop(network: Callable[[], object], seconds: float) -> list[float]:
    """Run for so long; each run's time in ms."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        network()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def level(reference: Callable[[], object]) -> float:
    """The reference's time now, in ns: the second slowest of five runs after a first."""
    reference()
    times = []
    for _ in range(5):
        start = time.perf_counter_ns()
        reference()
        times.append(time.perf_counter_ns() - start)
    return sorted(times)[-2]


def report(rows: list[dict[str, float]]) -> None:
    """The coefficient of variation of the headline figure, and how far ONNX Runtime's own timing is from it."""
    for key in ("headline", "own"):
        values = [row[key] for row in rows if row[key] == row[key]]
        spread = statistics.stdev(values) / statistics.fmean(values) if len(values) > 1 else 0.0
        print(f"{key:8s} mean {statistics.fmean(values):.4f} ms, CV {spread:.2%} of {len(values)} runs")
    apart = [row["headline"] / row["own"] - 1 for row in rows if row["own"] == row["own"]]
    print(f"headline against own: median {statistics.median(apart):+.2%}, from {min(apart):+.2%} to {max(apart):+.2%}")


if __name__ == "__main__":
    main()
