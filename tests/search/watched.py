"""A user's file: an evaluator that goes on only when somebody has seen what it does, as told by a file."""

import time
from pathlib import Path

from archfront.contracts import Context, Evaluation, Metric, Proposal
from evaluators.base import Evaluator
from search_spaces.table import TableSpace

space = TableSpace("line", ["a"], [(i,) for i in range(8)])
PATIENCE_S = 60.0


class Watched(Evaluator):
    """Says that it is half way, and waits there until the file `seen` exists."""

    name = "watched"
    doing = "weighing"

    def __init__(self, seen: str) -> None:
        self._seen = Path(seen)

    def metrics(self) -> tuple[str, ...]:
        return ("params",)

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        context.say("half way")
        deadline = time.monotonic() + PATIENCE_S
        while not self._seen.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self._seen.exists():
            raise TimeoutError("nobody looked")
        return Evaluation(proposal, metrics=(Metric("params", float(proposal.architecture.values[0])),))
