"""A user's file, as the command line takes it: a space, and a deterministic evaluator that keeps a log."""

import os
import time
from pathlib import Path

from archfront.contracts import Artifact, Context, Evaluation, Metric, Proposal, Status
from evaluators.base import Evaluator
from search_spaces.table import TableSpace

space = TableSpace("grid", ["a", "b", "c", "d"], [(i // 216, i // 36 % 6, i // 6 % 6, i % 6) for i in range(1296)])


class Counting(Evaluator):
    """Figures from the row alone; each call leaves a line in `log`, and takes `pause` seconds."""

    name = "counting"

    def __init__(self, log: str = "", pause: float = 0.0, die_at: str = "") -> None:
        self.log, self.pause, self.die_at = log, pause, die_at

    def metrics(self) -> tuple[str, ...]:
        return ("accuracy", "latency", "params")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        a, b, c, d = proposal.architecture.values
        time.sleep(self.pause)
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{proposal.digest} {os.getpid()}\n")
        if self.die_at == "always" or (self.die_at and not Path(self.die_at).exists()):
            if self.die_at != "always":
                Path(self.die_at).touch()
            os._exit(9)
        if (a + b + c + d) % 11 == 10:
            return Evaluation(proposal, Status.DIVERGED, "the loss became nan")
        values = {"accuracy": a + b - 0.1 * c * d, "latency": a * a + c + 0.5 * d, "params": a + d}
        weights = Artifact("weights", f"{proposal.digest}.safetensors", "0" * 64, 1)
        metrics = tuple(Metric(name, float(value)) for name, value in values.items())
        return Evaluation(proposal, metrics=metrics, artifacts=(weights,))
