"""`archfront front`, `show` and `studies`: what a study found."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands.printing import (
    AsJson,
    DatabaseUrl,
    StudyName,
    duration,
    figure,
    fitting_front,
    point_json,
    print_json,
    print_rows,
    print_table,
    table_of,
)

if TYPE_CHECKING:
    from archfront.contracts import Metric
    from archfront.study.lineage import Ancestor
    from archfront.study.study import Candidate, Study


def open_named(name: str, db: str | None) -> "Study":
    """The study to look at, opened so that nothing can be written."""
    from archfront.study import open_study
    from archfront.study.database import DEFAULT_URL

    return open_study(name, db or DEFAULT_URL)


def front(
    study: StudyName,
    objectives: Annotated[
        str | None,
        typer.Option("--objectives", help="Other objectives than the study's, comma-separated.", metavar="A,B"),
    ] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's Pareto front."""
    from archfront.commands.progress import further
    from archfront.contracts import Objective, WrongUse
    from search_spaces.errors import near

    found = open_named(study, db)
    wanted = [Objective.parse(text) for text in objectives.split(",")] if objectives else list(found.objectives)
    known = found.metric_names()
    for objective in wanted:
        if objectives and objective.metric not in known:
            raise WrongUse(
                f"no candidate of '{study}' has a metric '{objective.metric}'; {near(objective.metric, known)}"
            )
    known = list(dict.fromkeys([*further(wanted), *known]))
    points = found.front(wanted)
    if as_json:
        print_json([point_json(p) for p in points])
        return
    table, missing = fitting_front(points, wanted, known)
    print_table(table)
    if missing:
        typer.echo(f"{', '.join(missing)}: in a wider window, or with --json")
    counts = ", ".join(f"{count} {status}" for status, count in sorted(found.counts().items())) or "none"
    volume = figure(found.hypervolume(objectives=wanted))
    typer.echo(f"front of {len(points)}; hypervolume {volume}; evaluations: {counts}")


def show(
    study: StudyName,
    candidate: Annotated[str, typer.Argument(help="Its number, or the first digits of its digest.")],
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show one candidate with all its metrics."""
    from archfront.report.confusion import confusions, recalls, said
    from archfront.study.lineage import lineage, told

    found = open_named(study, db)
    shown = found.candidate(candidate)
    ancestors = lineage(found, shown)
    if as_json:
        print_json(_as_json(shown, ancestors))
        return
    typer.echo(f"candidate {shown.number} of {study}, digest {shown.digest}")
    if ancestors:
        typer.echo(f"lineage: {told(ancestors)}")
    for row in shown.rows:
        origin = f"{row.origin} of {', '.join(p[:8] for p in row.parents)}" if row.parents else row.origin
        outcome = f"{row.status} ({row.reason})" if row.reason else row.status
        epochs = f" at {row.fidelity} epochs" if row.fidelity else ""
        typer.echo(f"evaluation {row.number}{epochs}: {outcome}, {origin}, {duration(row.seconds)}")
    typer.echo("")
    heads = ["metric", "value", "95 %", "unit", "kind", "how"]
    print_table(table_of(heads, [_metric_row(metric) for metric in shown.metrics]))
    for artifact in shown.artifacts:
        typer.echo(f"{artifact.kind}: {found.folder / artifact.path}")
    for matrix in confusions(found, shown):
        for line in filter(None, (recalls(matrix), said(matrix))):
            typer.echo(line)
    typer.echo("\n" + "\n".join(_tree(shown.architecture)))


def studies(db: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the studies of a database."""
    from archfront.study.database import DEFAULT_URL, Database
    from archfront.study.study import studies_in

    rows = []
    for study in studies_in(Database(db or DEFAULT_URL, read_only=True)):
        counts = study.counts()
        rows.append(
            {
                "study": study.name,
                "state": "running" if study.running() else "stopped",
                "evaluations": sum(counts.values()),
                "ok": counts["ok"],
                "front": len(study.front()),
                "space": study.space,
                "objectives": ", ".join(map(str, study.objectives)),
                "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(study.created_at)),
            }
        )
    print_rows(rows, as_json, "no studies yet; start one with 'archfront search'")


def _as_json(candidate: "Candidate", ancestors: "list[Ancestor]") -> dict[str, Any]:
    from dataclasses import asdict

    lineage = {"lineage": [asdict(ancestor) for ancestor in ancestors]} if ancestors else {}
    return asdict(candidate) | {"number": candidate.number} | lineage


def _metric_row(metric: "Metric") -> list[str]:
    spread = "" if metric.low is None or metric.high is None else f"{figure(metric.low)} to {figure(metric.high)}"
    how = metric.provenance
    threads = f"{how.threads} threads" if how.threads else ""
    batch = f"batch {how.batch}" if how.batch else ""
    runtime = " ".join(filter(None, [how.runtime, how.runtime_version]))
    words = filter(None, [how.device, runtime, how.precision, threads, batch, how.protocol])
    return [metric.name, figure(metric.value), spread, metric.unit, metric.kind, ", ".join(words)]


def _tree(value: Any, name: str = "", depth: int = 0) -> list[str]:
    """An architecture's JSON as an indented outline, one part per line."""
    from search_spaces.canonical import shown

    indent = "  " * depth + (f"{name}: " if name else "")
    if isinstance(value, list):
        return [line for i, item in enumerate(value) for line in _tree(item, f"{name}.{i}", depth)] or [f"{indent}none"]
    if not isinstance(value, dict):
        return [f"{indent}{value}"]
    plain = {k: v for k, v in shown(value).items() if not isinstance(v, dict | list)}
    lines = [f"{indent}{value.get('part', '')} " + ", ".join(f"{k}={v}" for k, v in plain.items())]
    for key, inner in value.items():
        if isinstance(inner, dict | list):
            lines += _tree(inner, key, depth + 1)
    return lines
