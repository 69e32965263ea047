"""Durable evaluations per second: ask, record, evaluate (nothing), record, tell; Optuna on SQLite beside it.

Both write to a SQLite file on the same disk, and count an evaluation when its result is committed. Ours runs the
whole search loop on the space `hybrid`; Optuna asks for 20 categorical values. Run it with:
python benchmarks/study_throughput.py --candidates 100000 --optuna 200
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from archfront.contracts import Context, Evaluation, Metric, Objective, Proposal
from archfront.launchers.inline import InlineLauncher
from archfront.plan import Experiment, Plan
from archfront.search import Budget, Progress, Search
from archfront.study import Database, create_study
from controllers import CONTROLLERS
from evaluators.base import Evaluator
from search_spaces.spaces import get_space

WINDOW = 1000


class Trivial(Evaluator):
    """Two figures from the digest, at no cost."""

    name = "trivial"
    cheap = True

    def metrics(self) -> tuple[str, ...]:
        return ("accuracy", "latency_ms@host")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        figures = int(proposal.digest[:8], 16) / 2**32, int(proposal.digest[8:16], 16) / 2**32
        return Evaluation(proposal, metrics=tuple(map(Metric, self.metrics(), figures)))


def ours(folder: Path, controller_name: str, candidates: int) -> None:
    """Search until there are so many candidates, and print the rate over the last 1,000 at each power of ten."""
    space = get_space("hybrid")
    objectives = (Objective.parse("accuracy"), Objective.parse("latency_ms@host"))
    study = create_study(
        Database(f"sqlite:///{folder}/{controller_name}.db", create=True),
        "throughput",
        space="hybrid",
        fingerprint=space.fingerprint(),
        settings={},
        objectives=objectives,
        constraints=(),
        seed=0,
    )
    plan = Plan()
    experiment = Experiment(plan)
    experiment.__dict__["evaluators"] = {"trivial": Trivial()}
    times = [time.perf_counter()]

    def listen(progress: Progress) -> None:
        while len(times) <= progress.done:
            times.append(time.perf_counter())

    controller = CONTROLLERS.get(controller_name)(space, objectives, (), 0)
    launcher = InlineLauncher(plan, experiment=experiment)
    Search(study, space, controller, experiment.evaluators, launcher, Budget(candidates), listen).run()
    for count in (1_000, 10_000, 100_000):
        if count <= candidates:
            rate = WINDOW / (times[count] - times[count - WINDOW])
            print(f"| archfront, {controller_name} | {count:,} | {rate:.0f} |", flush=True)
    memory = psutil.Process().memory_info().rss / 2**20
    print(f"(memory of the whole process after {candidates:,} candidates: {memory:.0f} MB)")


def optuna_peer(folder: Path, trials: int) -> None:
    """The same with Optuna: its NSGA-II, 20 categorical values, SQLite, as its documentation sets it up."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/optuna.db",
        directions=["minimize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(seed=0),
    )
    start = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        figures = [trial.suggest_categorical(f"choice{i}", [0, 1, 2]) for i in range(20)]
        study.tell(trial, [float(sum(figures)), float(figures[0])])
    print(f"| Optuna {optuna.__version__}, NSGA-II | {trials:,} | {trials / (time.perf_counter() - start):.0f} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--optuna", type=int, default=200, help="trials of the peer")
    parser.add_argument("--controllers", default="random,pareto-evolution")
    arguments = parser.parse_args()
    print("| who | evaluations in the study | evaluations/s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        optuna_peer(Path(folder), arguments.optuna)
        for name in arguments.controllers.split(","):
            ours(Path(folder), name, arguments.candidates)


if __name__ == "__main__":
    main()
