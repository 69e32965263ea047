"""What contenders share that are commands of Archfront: running them, and handing a study's front over."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders.interface import Refused, Trained

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
"""A search trains on so many cores at once; its minutes are its CPU-seconds divided by them."""
LARGEST = 12
"""At most so many networks of a front are compared, spread along it."""


class Commands:
    """The commands of one contender: its study database and its log lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.db = ["--db", f"sqlite:///{self.folder}/studies.db"]

    def run(self, *words: str) -> str:
        """What `archfront WORDS` prints; raises `Refused` where it calls its use wrong, `RuntimeError` if it failed."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(
            [sys.executable, "-m", "archfront", *words], env=environment, capture_output=True, text=True
        )
        with (self.folder / "log.txt").open("a") as log:
            log.write(f"$ archfront {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        if done.returncode == 0:
            return done.stdout
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise (Refused if done.returncode == 2 else RuntimeError)(f"archfront {words[0]}: {said[-1]}")

    def search(self, study: str, options: Sequence[str], minutes: float, seed: int) -> list[Trained]:
        """Search for some minutes; the study's front."""
        budget = ["--minutes", f"{minutes:.4g}", "--workers", str(WORKERS), "--seed", str(seed), "--study", study]
        self.run("search", *options, *budget, *self.db)
        return self.front(study)

    def front(self, study: str) -> list[Trained]:
        """The networks of a study's front."""
        points = json.loads(self.run("front", study, "--json", *self.db))
        return [self._trained(study, point) for point in _spread(points)]

    def _trained(self, study: str, point: dict[str, Any]) -> Trained:
        number = str(point["candidate"])

        def write(folder: Path) -> Path:
            exported = folder / "export"
            self.run("export", study, "--candidate", number, "--format", "onnx", "--to", str(exported), *self.db)
            return Path(shutil.move(exported / "model.onnx", folder / "model.onnx"))

        return Trained(f"candidate {number}", float(point["metrics"]["accuracy"]), write)


def _spread(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `LARGEST` points, evenly by their place along the front, both ends among them."""
    if len(points) <= LARGEST:
        return points
    return [points[round(i * (len(points) - 1) / (LARGEST - 1))] for i in range(LARGEST)]
