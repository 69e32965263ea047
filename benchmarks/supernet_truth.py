"""What a supernet's ranking is judged by: uniformly drawn networks, each trained from scratch with two seeds.

Every training is a line of a file, so a run that was stopped goes on where it was.

    python -m benchmarks.supernet_truth --space mobile --networks 60 [--seeds 2] [--to docs/benchmarks/supernets]
"""

import argparse
import json
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from archfront.contracts import Context, Proposal
from benchmarks.reduced_spaces import INPUTS, OUTPUTS, SPACES, data
from evaluators.base import attempt
from evaluators.training import TrainingEvaluator
from search_spaces.space import Space

RECIPE = {"epochs": 6, "batch_size": 64}
TO = Path("docs/benchmarks/supernets")


def main() -> None:
    """Train what isn't in the file yet."""
    arguments = parsed()
    space = SPACES[arguments.space]()
    arguments.to.mkdir(parents=True, exist_ok=True)
    file = arguments.to / f"truth_{arguments.space}.jsonl"
    known = {(row["digest"], row["seed"]) for row in rows(file)}
    for architecture in sample(space, arguments.networks):
        for seed in range(arguments.seeds):
            if (space.digest(architecture), seed) not in known:
                row = trained(space, architecture, seed)
                with file.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                print(row["digest"][:8], seed, row["accuracy"], f"{row['cpu_s']:.1f} s", flush=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=list(SPACES), required=True)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--to", type=Path, default=TO)
    return parser.parse_args()


def rows(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none where there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def sample(space: Space, networks: int) -> list[Any]:
    """Different networks, drawn uniformly: every option of each decision is equally likely."""
    rng, found = Random(20), {}
    while len(found) < networks:
        architecture = space.sample(rng)
        found.setdefault(space.digest(architecture), architecture)
    return list(found.values())


def trained(space: Space, architecture: Any, seed: int) -> dict[str, Any]:
    """One training from scratch."""
    proposal = Proposal(architecture, space.digest(architecture))
    start = time.process_time()
    with TemporaryDirectory() as folder:
        context = Context(Path(folder), seed, 1, INPUTS, OUTPUTS, data())
        found = attempt(TrainingEvaluator(device="cpu", **RECIPE), proposal, context)
    values = found.values
    return {
        "digest": proposal.digest,
        "seed": seed,
        "status": found.status,
        "accuracy": values.get("accuracy"),
        "test_accuracy": values.get("test_accuracy"),
        "cpu_s": round(time.process_time() - start, 2),
        "architecture": space.to_text(architecture),
    }


if __name__ == "__main__":
    main()
