"""What the REST API answers."""

from typing import Any

from pydantic import BaseModel


class Health(BaseModel):
    """That the server works and its database can be read."""

    status: str
    version: str
    studies: int


class StudySummary(BaseModel):
    """A study at a glance. Times are seconds since the epoch; `best` has each objective's best feasible value."""

    name: str
    running: bool
    space: str
    objectives: list[str]
    constraints: list[str]
    seed: int
    created_at: float
    last_change: float
    evaluations: int
    counts: dict[str, int]
    best: dict[str, float]


class Failure(BaseModel):
    """Evaluations that ended alike."""

    status: str
    reason: str
    count: int


class StudyDetail(StudySummary):
    """A study with its settings, the metrics it has, and what failed."""

    settings: dict[str, Any]
    metrics: list[str]
    failures: list[Failure]


class FrontPoint(BaseModel):
    """A candidate of the front; bounds are those of the 95 % interval."""

    number: int
    digest: str
    x: float
    y: float
    x_low: float | None
    x_high: float | None
    y_low: float | None
    y_high: float | None
    predicted: bool


class FrontResponse(BaseModel):
    """The front of two metrics, among so many candidates that have both and keep every constraint."""

    x: str
    y: str
    candidates: int
    front: list[FrontPoint]


class EvaluationResponse(BaseModel):
    """One evaluation of a candidate; fidelity 0 is the full one."""

    number: int
    fidelity: int
    status: str
    reason: str
    origin: str
    asked_at: float
    told_at: float | None
    seconds: float


class MetricResponse(BaseModel):
    """A metric with its spread and how it was got."""

    name: str
    value: float
    unit: str
    kind: str
    low: float | None
    high: float | None
    summary: dict[str, float] | None
    provenance: dict[str, Any]


class ArtifactResponse(BaseModel):
    """A file that the evaluation left; the path is relative to the study's folder."""

    kind: str
    path: str
    sha256: str
    bytes: int


class Parent(BaseModel):
    """A candidate that this one was made from, and what was changed: path, before, after."""

    digest: str
    number: int
    changes: list[tuple[str, str, str]]


class Ancestor(BaseModel):
    """A candidate on the way to a finished one, and the step that made it, empty for the trained one."""

    number: int
    digest: str
    step: str


class CandidateResponse(BaseModel):
    """Everything about one candidate."""

    number: int
    digest: str
    architecture: Any
    evaluations: list[EvaluationResponse]
    metrics: list[MetricResponse]
    artifacts: list[ArtifactResponse]
    parents: list[Parent]
    lineage: list[Ancestor] = []
    parts: list[dict[str, Any]]
