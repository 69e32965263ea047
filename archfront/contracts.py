"""What the parts of Archfront say to each other: proposals, evaluations, metrics, objectives, constraints.

Light dataclasses only; every package may import this module.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

Direction = Literal["max", "min"]
Kind = Literal["measured", "predicted"]

TASK_METRICS: dict[str, tuple[Direction, str, str]] = {
    "accuracy": ("max", "fraction", "share of examples (tokens) whose most probable class is the right one"),
    "balanced_accuracy": ("max", "fraction", "accuracy of each class, averaged over the classes"),
    "loss": ("min", "nats", "mean loss of the task: cross-entropy, or squared error"),
    "mean_average_precision": ("max", "fraction", "average precision of each class of several, averaged over classes"),
    "f1": ("max", "fraction", "harmonic mean of precision and recall of each class, averaged over classes"),
    "perplexity": ("min", "", "exponential of the mean cross-entropy of a token"),
    "miou": ("max", "fraction", "intersection over union of the pixels of each class, averaged over classes"),
    "pixel_accuracy": ("max", "fraction", "share of pixels whose most probable class is the right one"),
    "mae": ("min", "", "mean absolute error, in units of the target"),
    "mse": ("min", "", "mean squared error, in squared units of the target"),
    "r2": ("max", "", "coefficient of determination: 1 less the share of the variance that is left"),
}
"""What tasks measure: direction, unit, meaning on the validation split, which selection uses."""
METRICS: dict[str, tuple[Direction, str, str]] = {
    **TASK_METRICS,
    **{
        f"test_{name}": (direction, unit, f"{text}; on the untouched test split, which reports use")
        for name, (direction, unit, text) in TASK_METRICS.items()
    },
    "params": ("min", "", "trainable parameters"),
    "macs": ("min", "", "multiply-accumulates of one forward pass of one input"),
    "activations": ("min", "", "elements of the outputs of all convolutions, linear layers and matrix products"),
    "latency_ms": ("min", "ms", "latency of the deployed network on a device"),
    "throughput": ("max", "1/s", "inputs per second on a device"),
    "peak_memory_mb": ("min", "MB", "peak memory on a device"),
    "energy_mj": ("min", "mJ", "energy of one inference on a device"),
}
"""The metrics every part knows: direction, unit, meaning. On a device the name carries it: `latency_ms@pixel6`."""
FURTHER: list[Callable[[], Mapping[str, tuple[Direction, str, str]]]] = []
"""Who else knows metrics, in the same form; asked for a name that `METRICS` doesn't have."""


def meaning(metric: str) -> tuple[Direction, str, str] | None:
    """Direction, unit and meaning of a metric, with or without its device; None where nobody knows it."""
    name = metric.partition("@")[0]
    if name in METRICS:
        return METRICS[name]
    return next((known[name] for further in FURTHER if name in (known := further())), None)


class WrongUse(ValueError):
    """Wrong input from the user: one line that names the cause and the cure. The command line exits with 2."""


class Status(StrEnum):
    """How an evaluation ended; everything but `OK` is an outcome with a reason, never a crash of the search.

    `SKIPPED` is what wasn't trained, since by what is cheap to know it couldn't have been worth its time.
    """

    OK = "ok"
    INFEASIBLE = "infeasible"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Objective:
    """A metric to maximise or minimise."""

    metric: str
    direction: Direction

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """`accuracy`, `latency_ms@pixel6` (known directions), or `NAME:max` and `NAME:min` for any metric."""
        name, _, direction = text.strip().partition(":")
        if direction in ("max", "min"):
            return cls(name, "max" if direction == "max" else "min")
        known = None if direction else meaning(name)
        if known is None:
            names = [*METRICS, *(metric for further in FURTHER for metric in further())]
            raise WrongUse(f"objective '{text}': say NAME:max or NAME:min; known without: {', '.join(names)}")
        return cls(name, known[0])

    def loss(self, value: float) -> float:
        """The value turned so that less is better."""
        return -value if self.direction == "max" else value

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"


@dataclass(frozen=True)
class Constraint:
    """An upper or lower bound on a metric that a candidate must keep."""

    metric: str
    bound: float
    upper: bool = True

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """`params<=200k`, `latency_ms@pixel6 <= 5`, `accuracy>=0.9`; numbers may end in k, M or G."""
        match = re.fullmatch(r"\s*([^\s<>=]+)\s*(<=|>=)\s*([-+.\deE]+)\s*([kKMG]?)\s*", text)
        try:
            if match is None:
                raise ValueError(text)
            number = float(match[3]) * {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}[match[4]]
        except ValueError:
            raise WrongUse(f"constraint '{text}': say METRIC<=NUMBER or METRIC>=NUMBER, as in params<=200k") from None
        return cls(match[1], number, match[2] == "<=")

    def excess(self, value: float) -> float:
        """By how much the value breaks the bound, relative to it; 0 when it is kept."""
        over = value - self.bound if self.upper else self.bound - value
        return max(0.0, over / abs(self.bound) if self.bound else over)

    def __str__(self) -> str:
        return f"{self.metric}{'<=' if self.upper else '>='}{self.bound:g}"


@dataclass(frozen=True)
class Summary:
    """What is kept of a measurement's raw samples."""

    n: int
    p10: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Provenance:
    """How a measurement was got. Two values compare only when device, runtime, precision, threads and batch agree."""

    device: str = ""
    runtime: str = ""
    runtime_version: str = ""
    precision: str = ""
    threads: int | None = None
    batch: int | None = None
    input_shape: tuple[int, ...] = ()
    host: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Metric:
    """One named figure of a candidate. `low` and `high` bound it (95 %), where its spread is known."""

    name: str
    value: float
    unit: str = ""
    kind: Kind = "measured"
    low: float | None = None
    high: float | None = None
    summary: Summary | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class Artifact:
    """A file that an evaluation left, below the study's folder."""

    kind: str
    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Proposal:
    """A candidate that a controller wants evaluated.

    `fidelity` is the training budget in epochs, None for the evaluator's full one; a candidate may be proposed again at
    a higher fidelity, and is then trained on from where it stopped. `origin` says how it was made (`random`,
    `mutation`, `crossover` …), `parents` from which digests. `number` is its place in the study.
    """

    architecture: Any
    digest: str
    fidelity: int | None = None
    parents: tuple[str, ...] = ()
    origin: str = ""
    number: int = -1


@dataclass(frozen=True)
class Evaluation:
    """What became of a proposal."""

    proposal: Proposal
    status: Status = Status.OK
    reason: str = ""
    metrics: tuple[Metric, ...] = ()
    seconds: float = 0.0
    artifacts: tuple[Artifact, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        """Metric values by name."""
        return {metric.name: metric.value for metric in self.metrics}

    def joined(self, other: "Evaluation") -> "Evaluation":
        """This evaluation with the outcome of a further part of it; the first that isn't OK decides the status."""
        status, reason = (self.status, self.reason) if self.status != Status.OK else (other.status, other.reason)
        return replace(
            self,
            status=status,
            reason=reason,
            metrics=self.metrics + other.metrics,
            seconds=self.seconds + other.seconds,
            artifacts=self.artifacts + other.artifacts,
        )

    def to_json(self) -> dict[str, Any]:
        """The outcome and the fidelity that was reached, without the rest of the proposal, as JSON values."""
        return {
            "status": str(self.status),
            "reason": self.reason,
            "fidelity": self.proposal.fidelity,
            "metrics": [asdict(metric) for metric in self.metrics],
            "seconds": self.seconds,
            "artifacts": [asdict(artifact) for artifact in self.artifacts],
        }

    @classmethod
    def from_json(cls, proposal: Proposal, value: Mapping[str, Any]) -> "Evaluation":
        """What `to_json` wrote, for `proposal`."""
        return cls(
            replace(proposal, fidelity=value.get("fidelity", proposal.fidelity)),
            Status(value["status"]),
            value["reason"],
            tuple(_metric(metric) for metric in value["metrics"]),
            value["seconds"],
            tuple(Artifact(**artifact) for artifact in value["artifacts"]),
        )


def _metric(value: Mapping[str, Any]) -> Metric:
    summary = value.get("summary")
    provenance = dict(value.get("provenance") or {})
    provenance["input_shape"] = tuple(provenance.get("input_shape") or ())
    return Metric(
        **{
            **value,
            "summary": Summary(**summary) if summary else None,
            "provenance": Provenance(**provenance),
        }
    )


def plural(count: int, what: str) -> str:
    """`1 evaluation`, `2 evaluations`, `1,200 evaluations`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def silent(text: str) -> None:
    """Takes what is said where nobody watches."""


@dataclass(frozen=True)
class Context:
    """What an evaluator is given besides the proposal.

    `folder` is the study's own; artifacts go below it, their paths relative to it. `checkpoint` is the safetensors
    file that the same candidate left at a lower fidelity, `parents` are the newest files of those parents that were
    trained. `data` is the loaded data set, where there is one. `until` is when the evaluation is to be done, by this
    process's `time.monotonic()`: a training then is made as long as fits. `final` says that the figures are those
    that will be handed over, so that they are worth more time than those of a search. `say` takes what the evaluator
    is doing at the moment, in a few words ("epoch 3 of 9"), for whoever watches; at most some times a second.
    """

    folder: Path
    seed: int = 0
    threads: int = 1
    inputs: tuple[int, ...] = ()
    outputs: int = 0
    data: Any = None
    checkpoint: Path | None = None
    parents: tuple[Path, ...] = ()
    timeout_s: float | None = None
    until: float | None = None
    final: bool = False
    say: Callable[[str], None] = silent


def feasible(values: Mapping[str, float], constraints: Iterable[Constraint]) -> bool:
    """Whether every constraint whose metric is known is kept."""
    return all(c.excess(values[c.metric]) == 0 for c in constraints if c.metric in values)


def judged(evaluation: Evaluation, constraints: Iterable[Constraint]) -> Evaluation:
    """The evaluation, infeasible where it breaks a constraint that its metrics so far can tell."""
    if evaluation.status is not Status.OK:
        return evaluation
    values = evaluation.values
    for constraint in constraints:
        if constraint.metric in values and constraint.excess(values[constraint.metric]) > 0:
            reason = f"{constraint.metric} {values[constraint.metric]:g} breaks {constraint}"
            return replace(evaluation, status=Status.INFEASIBLE, reason=reason)
    return evaluation


def losses(values: Mapping[str, float], objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """The objectives' values, less is better; None when one is missing or not finite."""
    found = [values.get(objective.metric, math.nan) for objective in objectives]
    if not all(math.isfinite(value) for value in found):
        return None
    return tuple(objective.loss(value) for objective, value in zip(objectives, found, strict=True))


def dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether losses `left` are nowhere worse than `right` and somewhere better."""
    return all(a <= b for a, b in zip(left, right, strict=True)) and any(
        a < b for a, b in zip(left, right, strict=True)
    )
