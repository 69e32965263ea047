"""Who finds the better networks with the same CPU-seconds: a search, a tuned engineer, Optuna, a supernet?

    ARCHFRONT_DATA=… python -m benchmarks.automl --to FOLDER [--sets …] [--budgets 10,40] [--contenders …] [--seeds 3]

Each contender gets a data set, a split of it and CPU-minutes, in which it trains, searches, measures and finishes; the
CPU-seconds of its process and of all that it starts are counted (`benchmarks.cpu_meter`). What it hands over is written
as ONNX, tested, and timed in interleaved rounds by one code path, outside of the budget. See `benchmarks.contenders`
for the contenders, `benchmarks.automl_standings` for what is compared.

Goes on where it was stopped: a run whose record is in FOLDER/results.jsonl isn't run again, nor is a file measured
more than `--rounds` times. `--data SPEC` compares on other data; a search with a part of its plan switched off,
`--ablate portfolio,finals`, is a contender like others. One run at a time has the host to itself; `--jobs 2` lets two
run at once, which suits contenders that use one core (engineer, supernet).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archfront.export.onnx_network import with_batch
from benchmarks.automl_report import plot, standings, tables, write_page
from benchmarks.automl_run import ORDER, RECORD
from benchmarks.automl_standings import latencies
from benchmarks.contenders.interface import ABLATIONS, MODULES, Data, names
from hardware_profiles import fingerprint
from hardware_profiles.measuring import measure_file

ROOT = Path(__file__).resolve().parents[1]
DEVICE = "host"
STEPS = ("run", "measure", "report")
IMAGES = {
    "cifar10": "cifar10_subset_uint8",
    "flowers17": "flowers17_16px_uint8",
    "sign_digits": "sign_digits_64px_uint8",
    "usps": "usps_16px_uint8",
    "spoken_digits": "fsdd_logmel32_uint8",
}
PHOTOS = {"ants_bees": {"size": 128, "skip_unreadable": True}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what isn't there yet, measure what isn't measured yet, and write the page."""
    given = parsed(arguments)
    given.to.mkdir(parents=True, exist_ok=True)
    steps = given.steps.split(",")
    if "run" in steps:
        run_all(given)
    rows = known(given.to / "results.jsonl")
    rows = [row for row in rows if not given.sets or row["set"] in given.sets.split(",") or given.data]
    if "measure" in steps:
        measure_all(given.to, rows, given.rounds)
    if "report" in steps:
        report(given.to, rows, given.page)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="where records, networks and latencies are kept")
    parser.add_argument("--sets", default="", help=f"of {', '.join([*IMAGES, *PHOTOS])}; without it all")
    parser.add_argument("--data", action="append", default=[], metavar="SPEC", help="other data; repeat it")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of --data; repeat it"
    )
    parser.add_argument("--budgets", "--cpu-minutes", default="10,40", help="CPU-minutes of each run")
    parser.add_argument("--contenders", default=",".join(MODULES), help="whom to run")
    parser.add_argument("--ablate", default="", help=f"also searches without each of: {', '.join(ABLATIONS)}")
    parser.add_argument("--seeds", default="0,1,2", help="the seeds of splits and draws")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--rounds", type=int, default=3, help="latency measurements of each network")
    parser.add_argument("--steps", default=",".join(STEPS), help="which of run, measure, report")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "automl.md", help="the page to write")
    given = parser.parse_args(arguments)
    ablated = tuple(filter(None, given.ablate.split(",")))
    for name in set(ablated) - set(ABLATIONS):
        parser.error(f"nothing of a plan is named '{name}'; say {', '.join(ABLATIONS)}")
    given.contenders = [*filter(None, given.contenders.split(",")), *names(ablated)[len(MODULES) :]]
    for name in set(given.contenders) - set(names(ABLATIONS)):
        parser.error(f"no contender is named '{name}'; say {', '.join(MODULES)}")
    for name in set(filter(None, given.sets.split(","))) - {*IMAGES, *PHOTOS}:
        parser.error(f"no data set is named '{name}'; say {', '.join([*IMAGES, *PHOTOS])}, or --data SPEC")
    if not given.data and "run" in given.steps and "ARCHFRONT_DATA" not in os.environ:
        parser.error("ARCHFRONT_DATA must name the folder of the data sets; or say --data SPEC")
    return given


def sets(given: argparse.Namespace) -> list[Data]:
    """The data sets to run on."""
    if given.data:
        settings = dict(_setting(text) for text in given.set)
        return [Data(_named(spec), spec, settings) for spec in given.data]
    root = Path(os.environ["ARCHFRONT_DATA"]).resolve()
    found = [Data(name, f"npz:{root / 'images' / file}.npz") for name, file in IMAGES.items()]
    found += [Data(name, f"folder:{root / 'photos' / name}", settings) for name, settings in PHOTOS.items()]
    return [data for data in found if not given.sets or data.name in given.sets.split(",")]


def _named(spec: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(spec.partition(":")[2] or spec).stem).strip("-")


def _setting(text: str) -> tuple[str, Any]:
    key, _, value = text.removeprefix("data.").partition("=")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def run_all(given: argparse.Namespace) -> None:
    """Every run that has no record yet; seeds come last, so that a first table is there early."""
    results = given.to / "results.jsonl"
    done = {_key(row) for row in known(results)}
    budgets = [float(text) for text in given.budgets.split(",")]
    seeds = [int(text) for text in given.seeds.split(",")]
    orders = [
        {"set": data.name, "spec": data.spec, "settings": dict(data.settings), **dict(zip(KEYS[1:], rest, strict=True))}
        for seed, minutes, data, contender in product(seeds, budgets, sets(given), given.contenders)
        for rest in [(minutes, contender, seed)]
    ]
    missing = [order for order in orders if _key(order) not in done]
    print(f"{len(missing)} of {len(orders)} runs to do", flush=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        for order, record in zip(missing, pool.map(lambda order: run_one(order, given.to), missing), strict=True):
            print(_line(order, record), flush=True)
            if isinstance(record, dict):
                append(results, record)


KEYS = ("set", "minutes", "contender", "seed")


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in KEYS)


def folder_of(row: dict[str, Any]) -> Path:
    """Where a run keeps what it makes, below the folder of all."""
    return Path("runs", row["set"], f"{row['minutes']:g}", row["contender"], str(row["seed"]))


def run_one(order: dict[str, Any], to: Path) -> dict[str, Any] | str:
    """A run in a process of its own; its record, or the last line of what it said when it failed.

    A run that was stopped begins anew, since what it used before isn't known.
    """
    folder = to / folder_of(order)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / ORDER).write_text(json.dumps(order), "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "benchmarks.automl_run", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    (folder / "output.txt").write_text(done.stdout + done.stderr, "utf-8")
    if done.returncode == 0:
        return json.loads((folder / RECORD).read_text("utf-8"))
    return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]


def _line(order: dict[str, Any], record: dict[str, Any] | str) -> str:
    said = ", ".join(f"{key} {order[key]}" for key in KEYS)
    if isinstance(record, str):
        return f"{said}: FAILED, will be run again: {record}"
    best = max((one["test"] for one in record["networks"]), default=float("nan"))
    what = record["note"] or f"{len(record['networks'])} networks, test accuracy up to {best:.3f}"
    return f"{said}: {record['cpu_seconds']:.0f} CPU-seconds in {record['wall_seconds']:.0f} s; {what}"


def measure_all(to: Path, records: Sequence[dict[str, Any]], rounds: int) -> None:
    """Each network's latency, as often as `rounds` says on this host; in each round every network has its turn."""
    file, host = to / "latencies.jsonl", fingerprint.digest()
    taken = [row["sha256"] for row in known(file) if row["host"] == host]
    networks = {one["sha256"]: to / folder_of(r) / one["file"] for r in records for one in r["networks"]}
    for round in range(rounds):
        for digest, network in networks.items():
            if taken.count(digest) <= round:
                row = {"sha256": digest, "host": host, **measured(network)}
                taken.append(digest)
                append(file, row)
        print(f"measured {len(networks)} networks, round {round + 1} of {rounds}", flush=True)


def measured(network: Path) -> dict[str, Any]:
    """The latency of an ONNX file for one picture, as searches time networks: its open batch is set to 1."""
    with TemporaryDirectory(prefix="archfront-") as folder:
        found = measure_file(with_batch(network, 1, Path(folder) / "model.onnx"), DEVICE)
    return {"latency_ms": found.latency_ms, "low": found.low, "high": found.high, "corrected": found.corrected}


def report(to: Path, records: Sequence[dict[str, Any]], page: Path) -> None:
    """Print the tables and write the page."""
    found = standings(records, latencies(known(to / "latencies.jsonl")))
    notes = [f"{' '.join(str(r[key]) for key in KEYS)}: {r['note']}" for r in records if r["note"]]
    text = tables(found, notes)
    print(text)
    if found:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_page(page, text, plot(found, page.with_suffix(".png")))
        print(f"\nwrote {page}")


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a row to a file of JSON lines; a last line that was cut off ends before it."""
    with file.open("a+b") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - 1))
        cut = opened.read(1) not in (b"", b"\n")
        opened.write(b"\n" * cut + json.dumps(row).encode() + b"\n")


def known(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; a last line that was cut off is left out, and its run done again."""
    return list(_rows(file)) if file.exists() else []


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


if __name__ == "__main__":
    main()
