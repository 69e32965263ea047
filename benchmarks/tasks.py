"""Every task through the same commands: search, report, export, supernet, ranking, proxies, finalists.

For each data set this runs, in a folder of its own, what a user would: `archfront search` for some minutes, `report`,
`export` (every format, verified), `supernet train`, `supernet search`, `supernet finalists`, `supernet rank` and a
search by zero-cost proxies. It prints a table of the best candidate by validation data, with its figures on test data,
and what each command said; `benchmarks.task_baselines` prints the field's simple baselines on the same splits.

    ARCHFRONT_DATA=FOLDER python -m benchmarks.tasks --to FOLDER [--minutes 3] [--only masks,text] [--steps search,...]
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.task_data import Source, sources

STEPS = ("search", "report", "export", "supernet", "inherit", "finalists", "rank", "proxies")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True, help="where studies, supernets, reports and exports go")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each search; supernets take a third of it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="numbers of data sets as `benchmarks.task_data` lists them, from 0")
    parser.add_argument("--steps", default=",".join(STEPS))
    given = parser.parse_args()
    lines = []
    every = sources(given.to.resolve() / "data")
    chosen = [every[int(number)] for number in given.only.split(",")] if given.only else every
    for source in chosen:
        lines.append(Runs(source, given.to.resolve(), given.minutes, given.workers).all(given.steps.split(",")))
    print("\n| task | data | evaluations | front | best on validation | on test | latency | also |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


class Runs:
    """The commands of one task."""

    def __init__(self, source: Source, root: Path, minutes: float, workers: int) -> None:
        named = "-".join([source.task, Path(source.spec.partition(":")[2] or source.spec).stem, *source.settings])
        self.name = re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-")
        self.source, self.folder, self.minutes, self.workers = source, root / self.name, minutes, workers
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = shlex.split(source.options)
        self.db = ["--db", f"sqlite:///{self.folder}/studies.db"]
        self.said: list[str] = []

    def all(self, steps: Sequence[str]) -> str:
        """The task's row of the table."""
        for step in filter(None, steps):
            begun = time.monotonic()
            try:
                getattr(self, step)()
            except subprocess.CalledProcessError as error:
                self.said.append(f"{step} FAILED: {(error.stderr or error.stdout).strip().splitlines()[-1]}")
            print(f"{self.name} {step}: {time.monotonic() - begun:.0f} s; {self.said[-1:]}", flush=True)
        return self.row()

    def run(self, *words: str) -> str:
        command = [sys.executable, "-m", "archfront", *words]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=True)
        (self.folder / "log.txt").open("a").write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        return done.stdout

    def search(self) -> None:
        budget = ["--minutes", str(self.minutes), "--workers", str(self.workers), "--study", self.name]
        self.run("search", *self.data, *budget, *self.db)

    def report(self) -> None:
        self.run("report", self.name, "--to", "report.html", *self.db)

    def export(self) -> None:
        said = self.run("export", self.name, "--to", "export", *self.db)
        self.said.append(f"{sum('largest difference' in line for line in said.splitlines())} formats verified")

    def supernet(self) -> None:
        minutes = str(self.minutes / 3)
        self.run("supernet", "train", "--to", "supernet", *self.data, "--minutes", minutes)

    def inherit(self) -> None:
        study = f"{self.name}-inherited"
        budget = ["--evaluations", "12", "--study", study, "--objective", self.sought, "--objective", "macs"]
        self.run("supernet", "search", "supernet", *budget, *self.db)

    def finalists(self) -> None:
        words = ["--top", "2", "--seeds", "2", "--epochs", "2", "--fine-tune"]
        self.run("supernet", "finalists", f"{self.name}-inherited", *words, *self.db)
        found = self.front(f"{self.name}-inherited-finalists")
        figures = [one["metrics"][self.sought] for one in found]
        self.said.append(f"finalists {', '.join(f'{figure:.3g}' for figure in figures)}")

    def rank(self) -> None:
        words = ["--networks", "6", "--seeds", "1", "--epochs", "2", "--proxies", "all", "--json"]
        found = json.loads(self.run("supernet", "rank", "supernet", *words, *self.db))
        rows = {row["predictor"]: row["whole"]["tau"] for row in found["rows"]}
        tau = rows.get(f"supernet {self.sought}")
        self.said.append(f"supernet's τ {tau if tau is None else format(tau, '.2f')} (n = 6)")

    def proxies(self) -> None:
        words = ["--evaluator", "zero_cost", "--objective", "naswot:max", "--objective", "macs"]
        self.run("search", *self.data, *words, "--evaluations", "6", "--study", f"{self.name}-proxies", *self.db)

    @property
    def sought(self) -> str:
        """The task's first measure."""
        return str(self.about()["objectives"]).partition(":")[0]

    def about(self) -> dict[str, Any]:
        """What is said of the task's own study."""
        listed = json.loads(self.run("studies", "--json", *self.db))
        return next(study for study in listed if study["study"] == self.name)

    def front(self, study: str) -> list[dict[str, Any]]:
        return list(json.loads(self.run("front", study, "--json", *self.db)))

    def row(self) -> str:
        front, sought = self.front(self.name), self.sought
        best = front[0]["metrics"]
        latency = next((f"{value:.3g} ms" for key, value in best.items() if key.startswith("latency")), "-")
        cells = [
            self.source.task,
            f"`{' '.join(Path(word).name if '/' in word else word for word in self.data[1:])}`",
            str(self.about()["evaluations"]),
            str(len(front)),
            f"{sought} {best[sought]:.4g}",
            f"{best.get(f'test_{sought}', float('nan')):.4g}",
            latency,
            "; ".join(self.said),
        ]
        return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
