"""The REST API under /api."""

from dataclasses import asdict

import numpy as np
from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from archfront import __version__
from archfront.contracts import Metric, WrongUse
from archfront.report.architectures import differences
from archfront.report.results import Results, axes_of, direction_of
from archfront.study import FINISHED, Candidate, Study
from archfront.study.lineage import lineage, network_of
from dashboard.exports import Exports
from dashboard.library import Library
from dashboard.responses import (
    Ancestor,
    ArtifactResponse,
    CandidateResponse,
    EvaluationResponse,
    Failure,
    FrontPoint,
    FrontResponse,
    Health,
    MetricResponse,
    Parent,
    StudyDetail,
    StudySummary,
)


def router(library: Library, exports: Exports) -> APIRouter:
    """The routes over `library`. They are plain functions, which FastAPI runs in worker threads."""
    routes = APIRouter(prefix="/api")

    @routes.get("/health")
    def health() -> Health:
        return Health(status="ok", version=__version__, studies=len(library.studies()))

    @routes.get("/studies")
    def studies() -> list[StudySummary]:
        return [summary(library, study) for study in library.studies()]

    @routes.get("/studies/{name}")
    def study(name: str) -> StudyDetail:
        return detail(library, _study(library, name))

    @routes.get("/studies/{name}/front")
    def front(name: str, x: str | None = None, y: str | None = None) -> FrontResponse:
        return front_of(library, _study(library, name), x, y)

    @routes.get("/studies/{name}/candidates/{id}")
    def candidate(name: str, id: str) -> CandidateResponse:
        study = _study(library, name)
        return candidate_of(study, _candidate(study, id))

    @routes.get("/studies/{name}/candidates/{id}/export")
    def export(name: str, id: str) -> FileResponse:
        study = _study(library, name)
        found = _candidate(study, id)
        try:
            archive = exports.archive(study, found)
        except WrongUse as error:
            raise HTTPException(409, str(error)) from None
        return FileResponse(archive, media_type="application/zip", filename=f"{study.name}-{found.number}.zip")

    @routes.get("/{rest:path}", include_in_schema=False)
    def unknown(rest: str) -> None:
        raise HTTPException(404, f"no /api/{rest}; see /openapi.json")

    return routes


def _study(library: Library, name: str) -> Study:
    try:
        return library.study(name)
    except WrongUse as error:
        raise HTTPException(404, str(error)) from None


def _candidate(study: Study, id: str) -> Candidate:
    try:
        return study.candidate(id)
    except WrongUse as error:
        raise HTTPException(404, str(error)) from None


def summary(library: Library, study: Study) -> StudySummary:
    """The study at a glance."""
    counts = study.counts()
    return StudySummary(
        name=study.name,
        running=study.running(),
        space=study.space,
        objectives=[str(objective) for objective in study.objectives],
        constraints=[str(constraint) for constraint in study.constraints],
        seed=study.seed,
        created_at=study.created_at,
        last_change=study.last_change(),
        evaluations=sum(counts.values()),
        counts=dict(counts),
        best=best(library.shown(study)),
    )


def best(results: Results) -> dict[str, float]:
    """Each objective's best value among the feasible candidates that have every objective."""
    objectives = results.study.objectives
    points = results.cloud(objectives).points
    if not len(points):
        return {}
    found = {o.metric: results.values[o.metric][points] for o in objectives}
    return {o.metric: float((np.max if o.direction == "max" else np.min)(found[o.metric])) for o in objectives}


def detail(library: Library, study: Study) -> StudyDetail:
    """The study with its settings, metrics and failures."""
    failures = library.shown(study).failures()
    return StudyDetail(
        **summary(library, study).model_dump(),
        settings=study.settings,
        metrics=study.metric_names(),
        failures=[Failure(status=status, reason=reason, count=count) for status, reason, count in failures],
    )


def front_of(library: Library, study: Study, x: str | None, y: str | None) -> FrontResponse:
    """The front of two metrics; those of the study's usual picture where none is named."""
    usual_x, usual_y = axes_of(study)
    known = study.metric_names()
    for name in (x, y):
        if name is not None and name not in known:
            raise HTTPException(404, f"'{study.name}' has no metric '{name}'; it has {', '.join(known) or 'none yet'}")
    x_axis = direction_of(x, study) if x else usual_x
    y_axis = direction_of(y, study) if y else usual_y
    results = library.results(study, [x_axis.metric, y_axis.metric])
    cloud = results.cloud((x_axis, y_axis))
    points = [_point(results, int(row), x_axis.metric, y_axis.metric) for row in cloud.front]
    return FrontResponse(x=str(x_axis), y=str(y_axis), candidates=len(cloud.points), front=points)


def _point(results: Results, row: int, x: str, y: str) -> FrontPoint:
    def bound(column: dict[str, np.ndarray], metric: str) -> float | None:
        value = float(column[metric][row])
        return value if np.isfinite(value) else None

    return FrontPoint(
        number=int(results.numbers[row]),
        digest=results.digests[row],
        x=float(results.values[x][row]),
        y=float(results.values[y][row]),
        x_low=bound(results.lows, x),
        x_high=bound(results.highs, x),
        y_low=bound(results.lows, y),
        y_high=bound(results.highs, y),
        predicted=bool(results.predicted[x][row] or results.predicted[y][row]),
    )


def candidate_of(study: Study, candidate: Candidate) -> CandidateResponse:
    """Everything about one candidate."""
    evaluations = []
    for row in candidate.rows:
        fields = {key: getattr(row, key) for key in EvaluationResponse.model_fields}
        evaluations.append(EvaluationResponse(**fields))
    return CandidateResponse(
        number=candidate.number,
        digest=candidate.digest,
        architecture=candidate.architecture,
        evaluations=evaluations,
        metrics=[_metric(metric) for metric in candidate.metrics],
        artifacts=[ArtifactResponse(**asdict(artifact)) for artifact in candidate.artifacts],
        parents=parents_of(study, candidate),
        lineage=[Ancestor(**asdict(one)) for one in lineage(study, candidate)],
        parts=list(candidate.parts),
    )


def parents_of(study: Study, candidate: Candidate) -> list[Parent]:
    """The candidates that this one was made from, with what was changed."""
    found = []
    for digest in dict.fromkeys(digest for row in candidate.rows for digest in row.parents):
        try:
            parent = study.candidate(digest)
        except WrongUse:
            continue  # a study may be seeded with architectures that were never evaluated in it
        before, after = parent.architecture, candidate.architecture
        if any(row.origin == FINISHED for row in candidate.rows):
            before, after = network_of(before), network_of(after)
        changes = differences(before, after)
        found.append(Parent(digest=digest, number=parent.number, changes=changes))
    return found


def _metric(metric: Metric) -> MetricResponse:
    how = {key: value for key, value in asdict(metric.provenance).items() if value not in ("", None, ())}
    summary = asdict(metric.summary) if metric.summary else None
    fields = {key: getattr(metric, key) for key in ("name", "value", "unit", "kind", "low", "high")}
    return MetricResponse(**fields, summary=summary, provenance=how)
