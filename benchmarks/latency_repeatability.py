"""What a latency costs the others on the host, how repeatable it is, and whether its interval holds what is true.

Several networks are measured again and again as a search does it, round after round, beside no training and beside two
processes that train as workers of a search do (they wait while a slice is taken). Printed for each are: how long others
wait for one measurement, how long it takes, by how much the figures of one network scatter, how many intervals hold the
network's quiet latency, and how well the networks are ranked. The quiet latency is what the quiet rounds of all the
network's measurements come to together, those of a long one (`final`) at the beginning included.

    python -m benchmarks.latency_repeatability [--repeats 5] [--networks mobile:1 hybrid:1 ...] [--beside 0 2]

With `--own`, one network is measured several times, each time by a process of its own, and after each, in another fresh
process, by a plain loop over `InferenceSession.run` on the same core. Both take the 10th percentile of what ran
while the host was quiet. (ONNX Runtime's profiler is no yardstick: its events double the time of a small network.)

    python -m benchmarks.latency_repeatability --own [--repeats 10] [--pause 20] [--networks mobile:1]
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

from hardware_profiles import profile, quiet
from hardware_profiles.device_profile import Profile
from hardware_profiles.estimating import TOLERANCE, Estimate, percentile
from hardware_profiles.measuring import Timer, measure_file, runtime_of
from hardware_profiles.reference import level_of, reference_file
from hardware_profiles.session import Session, effort_of

NETWORKS = ("mobile:1", "mobile:2", "mobile:3", "hybrid:1", "hybrid:2", "hybrid:4")
CHUNK_S = 0.01
"""A plain loop is looked at in chunks this long, with the reference's time before and after."""
TRAINER = """
import torch
from torch import nn
from hardware_profiles import quiet
torch.set_num_threads(1)
model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
x, y = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
model(x)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
print("up", flush=True)
while True:
    with quiet.training_step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
"""
"""What trains beside the measurements: a small network, batch after batch, on one thread."""


@dataclass(frozen=True)
class Repeat:
    """One measurement of one network: its figure, how long others waited for it, and how long it took in all."""

    network: str
    found: Estimate
    exclusive_s: float
    wall_s: float
    slices: int


def main() -> None:
    """Print the table, or the comparison with a plain loop."""
    arguments = parsed()
    host = profile("host")
    with tempfile.TemporaryDirectory() as name:
        files = {}
        for network in arguments.networks:
            folder = Path(name) / network.replace(":", "-")
            folder.mkdir()
            files[network] = converted(network, host, folder)
        if arguments.own:
            against_own(next(iter(files.values())), host, arguments.repeats, arguments.pause)
        else:
            against_trainers(files, host, arguments.repeats, arguments.beside)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="SPACE:SEED", help="samples of spaces")
    parser.add_argument("--beside", nargs="+", type=int, default=[0, 2], metavar="N", help="training processes")
    parser.add_argument("--own", action="store_true", help="compare with a plain loop over ONNX Runtime instead")
    parser.add_argument("--pause", type=float, default=20.0, help="seconds between the runs of --own")
    return parser.parse_args()


def against_trainers(files: dict[str, Path], host: Profile, repeats: int, beside: list[int]) -> None:
    """Measure all networks, round after round, beside so many trainings, and print a table."""
    rounds: dict[str, list[Repeat]] = {}
    with Timer(host) as timer:
        truths = [told(one_repeat(name, path, host, timer, "final")) for name, path in files.items()]
        for count in beside:
            with trainers(count):
                rounds[f"{count} trainings"] = [
                    told(one_repeat(name, path, host, timer, "search"))
                    for _ in range(repeats)
                    for name, path in files.items()
                ]
    truth = {name: quiet_latency([*truths, *(r for some in rounds.values() for r in some)], name) for name in files}
    print("quiet latency, ms: " + ", ".join(f"{name} {value / 1e6:.3f}" for name, value in truth.items()))
    print_table({"final, 0 trainings": truths, **rounds}, truth)


def told(repeat: Repeat) -> Repeat:
    """The repeat, after a line about it."""
    found = repeat.found
    print(
        f"{repeat.network}: {found.headline / 1e6:.4f} ms ({found.low / 1e6:.4f} to {found.high / 1e6:.4f})"
        f"{' predicted' if found.corrected else ''}, {found.quiet_share:.0%} quiet, {repeat.slices} slices, "
        f"{repeat.exclusive_s:.1f} s of {repeat.wall_s:.1f} s, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return repeat


@contextlib.contextmanager
def trainers(count: int) -> Iterator[None]:
    """So many processes that train, until the end."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    started = [
        subprocess.Popen([sys.executable, "-c", TRAINER], stdout=subprocess.PIPE, env=environment) for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def one_repeat(name: str, path: Path, host: Profile, timer: Timer, effort: str) -> Repeat:
    """One measurement as a search takes it."""
    start = time.monotonic()
    session = Session(path, host, timer, effort_of(effort, host), None, None)
    try:
        found, _ = session.run()
    finally:
        session.close()
    return Repeat(name, found, session.exclusive_s, time.monotonic() - start, len(session.slices))


def quiet_latency(repeats: list[Repeat], name: str) -> float:
    """The figure of all quiet runs of a network together, in ns; of all its figures the median where none was quiet."""
    mine = [one.found for one in repeats if one.network == name]
    quiet_runs = [one.samples for one in mine if not one.corrected]
    if not quiet_runs:
        return statistics.median(one.headline for one in mine)
    return percentile(numpy.concatenate(quiet_runs))


def print_table(rounds: dict[str, list[Repeat]], truth: dict[str, float]) -> None:
    """One row for each kind of measurement."""
    from scipy.stats import spearmanr

    print(
        "| | others wait, s (most) | takes, s (most) | measured | scatter | error (90 %) | intervals that hold it | ±"
    )
    for what, repeats in rounds.items():
        errors = [abs(one.found.headline / truth[one.network] - 1) for one in repeats]
        held = [one.found.low <= truth[one.network] <= one.found.high for one in repeats]
        half = statistics.median((one.found.high - one.found.low) / 2 / one.found.headline for one in repeats)
        waits, takes = [one.exclusive_s for one in repeats], [one.wall_s for one in repeats]
        passes = [repeats[start : start + len(truth)] for start in range(0, len(repeats), len(truth))]
        ranks = [
            float(spearmanr([one.found.headline for one in some], [truth[one.network] for one in some])[0])
            for some in passes
        ]
        print(
            f"| {what} | {statistics.fmean(waits):.1f} ({max(waits):.1f}) | {statistics.fmean(takes):.1f} "
            f"({max(takes):.1f}) | {sum(not one.found.corrected for one in repeats)} of {len(repeats)} | "
            f"{scatter(repeats):.1%} | {statistics.median(errors):.1%} ({numpy.percentile(errors, 90):.1%}) | "
            f"{sum(held)} of {len(held)} | {half:.1%} | rank correlation {statistics.fmean(ranks):.3f}, "
            f"at least {min(ranks):.3f} |"
        )


def scatter(repeats: list[Repeat]) -> float:
    """The coefficient of variation of one network's figures, the mean over networks."""
    figures: dict[str, list[float]] = {}
    for one in repeats:
        figures.setdefault(one.network, []).append(one.found.headline)
    each = [statistics.stdev(some) / statistics.fmean(some) for some in figures.values() if len(some) > 1]
    return statistics.fmean(each) if each else float("nan")


def against_own(path: Path, host: Profile, runs: int, pause: float) -> None:
    """Print each run of the comparison with a plain loop, the coefficient of variation and the differences."""
    rows = []
    for number in range(runs):
        time.sleep(pause if number else 0)
        rows.append(one_run(path, host))
        cells = "  ".join(f"{key} {value:.4f}" for key, value in rows[-1].items())
        print(f"run {number + 1:2d}: {cells}  load {os.getloadavg()[0]:.1f}", flush=True)
    report(rows)


def converted(network: str, host: Profile, folder: Path) -> Path:
    """One network, named `space:seed`, as an ONNX file."""
    from search_spaces.building import build
    from search_spaces.deployment import deployed
    from search_spaces.spaces import get_space

    space, _, seed = network.partition(":")
    model = deployed(build(get_space(space).sample(int(seed)), (3, 32, 32), 10, seed=0))
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
    return {"headline": found.latency_ms, "own": own_ms, "quiet_share": found.quiet_share, "slices": found.slices}


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
