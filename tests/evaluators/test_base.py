"""The evaluator contract: creation from names and settings, errors as outcomes."""

import subprocess
import sys
from pathlib import Path

import pytest

from archfront.contracts import Context, Evaluation, Metric, Proposal, Status, WrongUse
from evaluators.base import EVALUATORS, Diverged, Evaluator, attempt, create, outcome_of
from search_spaces.errors import SpaceError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError("no memory"), Status.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Status.OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), Status.OUT_OF_MEMORY),
        (Diverged("loss is nan"), Status.DIVERGED),
        (ZeroDivisionError("division by zero"), Status.DIVERGED),
        (TimeoutError("too slow"), Status.TIMED_OUT),
        (SpaceError("no such row"), Status.UNSUPPORTED),
        (NotImplementedError("no count"), Status.UNSUPPORTED),
        (OSError(28, "No space left on device"), Status.FAILED),
        (RuntimeError("shapes differ\nat line 3"), Status.FAILED),
    ],
)
def test_errors_become_outcomes(error: Exception, status: Status) -> None:
    found, reason = outcome_of(error)
    assert found is status
    assert reason and "\n" not in reason


def test_torch_out_of_memory_is_told() -> None:
    import torch

    assert outcome_of(torch.OutOfMemoryError("CUDA"))[0] is Status.OUT_OF_MEMORY


class Brittle(Evaluator):
    """Fails on demand."""

    name = "brittle"

    def __init__(self, message: str = "") -> None:
        self.message = message

    def metrics(self) -> tuple[str, ...]:
        return ("accuracy",)

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        if self.message:
            raise ValueError(self.message)
        return Evaluation(proposal, metrics=(Metric("accuracy", 0.5),))


def test_attempt_records_the_error_and_the_seconds(tmp_path: Path) -> None:
    failed = attempt(Brittle("it broke"), Proposal("a", "d"), Context(tmp_path))
    assert failed.status is Status.FAILED and failed.reason == "brittle: ValueError: it broke"
    passed = attempt(Brittle(), Proposal("a", "d"), Context(tmp_path))
    assert passed.status is Status.OK and passed.values == {"accuracy": 0.5} and passed.seconds > 0


def test_attempt_lets_an_interrupt_through(tmp_path: Path) -> None:
    class Interrupted(Brittle):
        def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(Interrupted(), Proposal("a", "d"), Context(tmp_path))


def test_registry_lists_the_evaluators() -> None:
    assert {"cost", "table", "training"} <= set(EVALUATORS.names())


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("trainin", {}, "did you mean 'training'"),
        ("cost:x", {}, "takes nothing after a colon"),
        ("cost", {"size": 3}, "has no setting 'size'"),
        ("table", {}, "say table:FILE"),
        ("training", {"learning_rate": 1}, "has no setting 'learning_rate'"),
        ("training", {"lr": -1.0}, "recipe.lr"),
        ("training", {"device": "tpu"}, "say auto, cpu or cuda"),
    ],
)
def test_wrong_evaluators_are_one_line(spec: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises((WrongUse, SpaceError), match=message) as raised:
        create(spec, settings)
    assert "\n" not in str(raised.value)


def test_own_evaluator_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from archfront.contracts import Evaluation, Metric\n"
        "from evaluators.base import Evaluator\n"
        "class Length(Evaluator):\n"
        "    name = 'length'\n"
        "    def metrics(self): return ('length',)\n"
        "    def evaluate(self, proposal, context):\n"
        "        return Evaluation(proposal, metrics=(Metric('length', float(len(proposal.architecture))),))\n"
    )
    evaluator = create(f"{file}:Length")
    assert attempt(evaluator, Proposal("abc", "d"), Context(tmp_path)).values == {"length": 3.0}
    with pytest.raises(WrongUse, match="yields no metric 'lenght'; did you mean 'length'"):
        evaluator.check_metric("lenght")


def test_a_table_evaluator_needs_no_torch() -> None:
    code = "import sys, evaluators, evaluators.base, evaluators.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
