"""The front that a budget of CPU seconds buys: a supernet and fine-tuned finalists, or Pareto evolution from scratch.

Both search the reduced `mobile` or `hybrid` for validation accuracy against multiply-accumulates, with the same
controller. One trains every candidate from scratch, as `benchmarks.supernet_truth` does. The other spends the share
TRAINING of the budget on a supernet, searches with inherited weights, and fine-tunes as many of the front as the rest
pays for; only those, fine-tuned, are its results. Everything that is spent counts: measuring, too. Each evaluation is a
line of a file, so a run that was stopped goes on; hypervolumes are of the test accuracy of what validation chose, up to
the worst of the uniformly drawn networks.

    python -m benchmarks.supernet_front --space hybrid [--cpu-seconds 1200] [--seed 0]
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from archfront.contracts import Context, Evaluation, Objective, Proposal, Status
from archfront.study.front import hypervolume, nondominated
from benchmarks.reduced_spaces import INPUTS, OUTPUTS, SPACES, data
from benchmarks.supernet_ranking import made
from benchmarks.supernet_truth import RECIPE, TO, rows
from controllers.pareto_evolution import ParetoEvolution
from evaluators.base import Evaluator, attempt
from evaluators.cost import CostEvaluator
from evaluators.supernet import SupernetEvaluator
from evaluators.training import TrainingEvaluator
from search_spaces import canonical

TRAINING, SEARCHED = 0.35, 200
"""The share of the budget that trains the supernet, and the networks that are then looked at with its weights."""
FINE_TUNING = {"epochs": 2, "batch_size": 64, "lr": 2e-3}
OBJECTIVES = (Objective("accuracy", "max"), Objective("macs", "min"))


class Run:
    """One way's evaluations in a file, with the CPU seconds spent up to each."""

    def __init__(self, file: Path, space: str, seed: int, work: Path) -> None:
        self.file, self.space, self.seed = file, SPACES[space](), seed
        self.rows = rows(file)
        self.context = Context(work, seed, 1, INPUTS, OUTPUTS, data())
        self.spent = self.rows[-1]["spent"] if self.rows else 0.0
        self._since = time.process_time()

    def record(self, stage: str, evaluation: Evaluation | None = None) -> None:
        """Write down what was done since the last record, and what it cost."""
        now = time.process_time()
        self.spent, self._since = self.spent + now - self._since, now
        row: dict[str, Any] = {"stage": stage, "spent": round(self.spent, 2)}
        if evaluation is not None:
            proposal = evaluation.proposal
            row |= {"architecture": canonical.text(proposal.architecture), "number": proposal.number}
            row |= {"digest": proposal.digest, **evaluation.to_json()}
        self.rows.append(row)
        with self.file.open("a") as out:
            out.write(json.dumps(row) + "\n")

    def evaluations(self, stage: str) -> list[Evaluation]:
        """What was recorded in a stage."""
        found = []
        for row in self.rows:
            if row["stage"] == stage and "digest" in row:
                architecture = canonical.from_json(json.loads(row["architecture"]))
                proposal = Proposal(architecture, row["digest"], number=row["number"])
                found.append(Evaluation.from_json(proposal, row))
        return found

    def measured(self, evaluator: Evaluator, proposal: Proposal) -> Evaluation:
        """The candidate's costs and what the evaluator says of it."""
        costs = CostEvaluator().evaluate(proposal, self.context)
        found = costs.joined(attempt(evaluator, proposal, self.context))
        if found.status != Status.OK:
            raise SystemExit(f"{proposal.digest[:8]} {found.status}: {found.reason}")
        return found

    def search(self, stage: str, evaluator: Evaluator) -> Iterator[Evaluation]:
        """Pareto evolution, from where the records end."""
        controller = ParetoEvolution(self.space, OBJECTIVES, seed=self.seed)
        before = self.evaluations(stage)
        controller.restore([evaluation.proposal for evaluation in before], before)
        while True:
            (proposal,) = controller.ask(1)
            evaluation = self.measured(evaluator, proposal)
            self.record(stage, evaluation)
            controller.tell([evaluation])
            yield evaluation


def from_scratch(run: Run, cpu_s: float) -> None:
    """Train candidates until the budget is spent."""
    evaluations = run.search("evolution", TrainingEvaluator(device="cpu", **RECIPE))
    while run.spent < cpu_s:
        next(evaluations)


def with_supernet(run: Run, cpu_s: float, work: Path) -> None:
    """Train a supernet, search in it, fine-tune its front until the budget is spent."""
    folder = work / f"front-{run.space.name}-{cpu_s:g}-{run.seed}"
    if not run.rows:
        about = {"space": f"{Path(__file__).parent / 'reduced_spaces.py'}:{run.space.name}"}
        training = made("sandwich", run.space.name, TRAINING * cpu_s, run.seed, run.context.data, about)
        training.run(folder, every_s=1e9)
        run.record("supernet")
    searched = len(run.evaluations("search"))
    evaluations = run.search("search", SupernetEvaluator(str(folder), test=False, device="cpu"))
    while searched < SEARCHED:
        next(evaluations)
        searched += 1
    tuner = TrainingEvaluator(device="cpu", inherit=str(folder), **FINE_TUNING)
    done = {evaluation.proposal.digest for evaluation in run.evaluations("finalists")}
    for proposal in ranked(run.evaluations("search")):
        if run.spent >= cpu_s:
            break
        if proposal.digest not in done:
            run.record("finalists", run.measured(tuner, proposal))


def ranked(evaluations: list[Evaluation]) -> list[Proposal]:
    """The front, spread out from its ends: every next one is the farthest from those before; then the next front."""
    found: list[Proposal] = []
    left = list(evaluations)
    while left:
        points = torch.tensor([[-e.values["accuracy"], e.values["macs"]] for e in left], dtype=torch.float64)
        front = [i for i, kept in enumerate(nondominated(points.tolist())) if kept]
        scaled = (points - points.amin(0)) / (points.amax(0) - points.amin(0)).clamp(min=1e-9)
        order = [min(front, key=lambda i: points[i, 0].item())]
        while len(order) < len(front):
            distance = torch.cdist(scaled[front], scaled[order]).amin(1)
            distance[[front.index(i) for i in order]] = -1
            order.append(front[int(distance.argmax())])
        found += [left[i].proposal for i in order]
        left = [e for i, e in enumerate(left) if i not in set(front)]
    return found


def volume(evaluations: list[Evaluation], reference: tuple[float, float]) -> float:
    """The hypervolume of the test accuracy of those that validation finds on the front."""
    good = [e for e in evaluations if e.status == "ok"]
    kept = nondominated([[-e.values["accuracy"], e.values["macs"]] for e in good])
    chosen = [[-e.values["test_accuracy"], e.values["macs"]] for e, on in zip(good, kept, strict=True) if on]
    return hypervolume([point for point in chosen if point[0] < reference[0] and point[1] < reference[1]], reference)


def reference_of(run: Run, truth: Path) -> tuple[float, float]:
    """The worst test accuracy and the most multiply-accumulates of the uniformly drawn networks."""
    drawn = rows(truth)
    architectures = {row["digest"]: canonical.from_json(json.loads(row["architecture"])) for row in drawn}
    proposals = [Proposal(architecture, digest) for digest, architecture in architectures.items()]
    macs = [CostEvaluator().evaluate(proposal, run.context).values["macs"] for proposal in proposals]
    return -min(row["test_accuracy"] for row in drawn), max(macs)


def main() -> None:
    """Run both ways, print the hypervolumes over the CPU seconds, and write them down."""
    arguments = parsed()
    torch.set_num_threads(1)
    stem = f"{arguments.space}_{arguments.cpu_seconds:g}_{arguments.seed}"
    scratch = Run(arguments.to / f"front_scratch_{stem}.jsonl", arguments.space, arguments.seed, arguments.work)
    if "scratch" in arguments.ways:
        from_scratch(scratch, arguments.cpu_seconds)
    shared = Run(arguments.to / f"front_supernet_{stem}.jsonl", arguments.space, arguments.seed, arguments.work)
    if "supernet" in arguments.ways:
        with_supernet(shared, arguments.cpu_seconds, arguments.work)
    reference = reference_of(scratch, arguments.to / f"truth_{arguments.space}.jsonl")
    for run, stage in ((scratch, "evolution"), (shared, "finalists")):
        spent = [row["spent"] for row in run.rows if row["stage"] == stage]
        found = run.evaluations(stage)
        print(run.file.stem, f"{len(found)} trained networks, {run.spent:.0f} CPU s")
        for count in sorted({1, 2, 3, 5, 8, 12, 20, 30, 40, 60, len(found)}):
            if 0 < count <= len(found):
                print(f"  {spent[count - 1]:7.0f} s  {count:3d}  {volume(found[:count], reference):.5g}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=list(SPACES), required=True)
    parser.add_argument("--cpu-seconds", type=float, default=1200.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", default="scratch,supernet")
    parser.add_argument("--to", type=Path, default=TO)
    parser.add_argument("--work", type=Path, default=Path("build/supernets"), help="where weights are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
