"""The report of a study: one HTML file that holds everything it shows, for a reader without Archfront."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from archfront import __version__
from archfront.contracts import Metric, Status, WrongUse
from archfront.report import confusion, pictures, texts
from archfront.report.architectures import Branch, branches
from archfront.report.figures import View, front_figure, history_figure
from archfront.report.results import Cloud, Results, axes_of
from archfront.settings import Settings
from archfront.study.study import Candidate, Study

MATRICES = 10
"""So many of the front's candidates are shown with their confusion matrices."""
TREES = 60
"""At most so many of the front's architectures are written out."""


def write_report(study: Study, path: str | Path) -> Path:
    """Write the report of `study` to the HTML file `path`; raises `WrongUse` where nothing can be written there."""
    target = Path(path)
    text = _page(study)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"can't write {target}: {error.strerror}; name another file with --to") from None
    return target


def write_figure(study: Study, path: str | Path, width: int = 1000, height: int = 560) -> Path:
    """Write the front as a picture (PNG, SVG, PDF by the file's ending); needs kaleido and a Chromium."""
    return write_picture(_front(study)[0], path, width, height)


def write_picture(figure: go.Figure, path: str | Path, width: int, height: int) -> Path:
    """Write a figure, on white, as a picture of `width` x `height`; raises `WrongUse` without kaleido."""
    try:
        import kaleido  # noqa: F401
    except ImportError:
        raise WrongUse("pictures need kaleido: pip install kaleido") from None
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    figure.write_image(str(path), width=width, height=height, scale=2)
    return Path(path)


def _front(study: Study) -> tuple[go.Figure, str]:
    """The front's figure, and what isn't to be seen in it."""
    x, y = axes_of(study)
    results = Results(study, [x.metric, y.metric]).refresh()
    return front_figure(results, results.cloud((x, y)), x, y, View())


def _page(study: Study) -> str:
    results = Results(study, [objective.metric for objective in study.objectives]).refresh()
    cloud = results.cloud(study.objectives)
    front, note = _front(study)
    history = results.history()
    figures = [front] + [
        history_figure(history, study.objectives, over, "light") for over in ("evaluations", "minutes")
    ]
    drawn = [_figure(figure, first=place == 0) for place, figure in enumerate(figures)]
    goals = [objective.metric for objective in study.objectives]
    candidates = [study.candidate(str(results.numbers[i])) for i in cloud.front[:TREES]]
    sections = [
        _headline(study, results, cloud),
        _section("The front", drawn[0], _note(note), _front_table(candidates, goals, len(cloud.front))),
        _section("Architectures of the front", *(_architecture(c) for c in candidates)),
        *_data(study),
        *_confusion(study, candidates),
        _section("How it grew", _note(_HYPERVOLUME), drawn[1], drawn[2]),
        _section("What did not end well", _failures(results)),
        _section("How the figures were got", _provenance(candidates)),
        _section("Settings", _settings(study)),
        _section(
            "What happened", _table(["when", "what", ""], [[texts.moment(t), k, d] for t, k, d in study.events()])
        ),
        _section("How to reproduce", _reproduce(study)),
    ]
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    title = f"Archfront report: {escape(study.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>\n<body>\n{"".join(sections)}\n</body></html>\n'
    )


_HYPERVOLUME = (
    "Hypervolume is the volume that the front dominates, measured from the worst value of each objective seen, "
    "as a share of what was reached in the end."
)


def _figure(figure: go.Figure, first: bool) -> str:
    """A figure as HTML; the first one brings plotly.js along, inline."""
    height = 520 if first else 170 * (len(figure.data) + 0.4)
    figure.update_layout(height=height)
    return str(
        figure.to_html(full_html=False, include_plotlyjs=first, config={"displaylogo": False, "responsive": True})
    )


def _section(title: str, *pieces: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(pieces)}</section>\n"


def _note(text: str) -> str:
    return f"<p class='lead'>{escape(text)}</p>" if text else ""


def _headline(study: Study, results: Results, cloud: Cloud) -> str:
    counts = study.counts()
    minutes = (study.last_change() - study.created_at) / 60
    tiles = [
        (texts.number(sum(counts.values())), "evaluation" if sum(counts.values()) == 1 else "evaluations"),
        (texts.number(counts[Status.OK]), "finished well"),
        (texts.number(len(cloud.front)), "on the front"),
        (f"{minutes:.0f} min", "from first to last"),
    ]
    for objective in study.objectives:
        found = results.values[objective.metric][cloud.points]
        if len(found):
            best = found.max() if objective.direction == "max" else found.min()
            tiles.append((texts.number(float(best)), f"best {objective.metric}"))
    inner = "".join(f"<div class='tile'><b>{escape(v)}</b><span>{escape(k)}</span></div>" for v, k in tiles)
    goals = ", ".join(map(str, study.objectives)) + "".join(f", {constraint}" for constraint in study.constraints)
    lead = f"{goals} · space {study.space} · seed {study.seed} · begun {texts.moment(study.created_at)}"
    return f"<h1>{escape(study.name)}</h1><p class='lead'>{escape(lead)}</p><div class='tiles'>{inner}</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table; the columns `numbers` are aligned right. Everything is escaped."""
    style = ["n" if place in numbers else "long" for place in range(len(head))]
    top = "".join(f"<th class='{c}'>{_breaking(escape(text))}</th>" for c, text in zip(style, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td class='{c}'>{escape(str(t))}</td>" for c, t in zip(style, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _breaking(name: str) -> str:
    """A metric's name that may be broken into lines where words end: it must not make its column wide."""
    return name.replace("_", "_<wbr>").replace("@", "<wbr>@")


def _front_table(candidates: Sequence[Candidate], goals: Sequence[str], total: int) -> str:
    known = {metric.name for candidate in candidates for metric in candidate.metrics}
    first = [name for goal in goals for name in (goal, f"test_{goal}")]
    # What is sought comes first, so that a narrow window shows it; the others can be scrolled to.
    names = [name for name in sorted(first, key=goals.__contains__, reverse=True) if name in known]
    names += sorted(known - set(names))
    rows = []
    for candidate in candidates:
        found = {metric.name: metric for metric in candidate.metrics}
        cells = [_marked(found[name]) if name in found else "–" for name in names]
        rows.append([str(candidate.number), *cells, candidate.digest[:8]])
    more = _note(f"the first {len(candidates)} of {total}") if total > len(candidates) else ""
    return _table(["candidate", *names, "digest"], rows, range(1, 1 + len(names))) + more


def _marked(metric: Metric) -> str:
    """The figure, which may be broken into lines before its interval only."""
    figure, space, interval = texts.spread(metric).partition(" [")
    text = figure.replace(" ", "\u00a0") + space + interval.replace(" ", "\u00a0")
    return text + (" (predicted)" if metric.kind == "predicted" else "")


def _architecture(candidate: Candidate) -> str:
    figures = " · ".join(f"{metric.name} {texts.number(metric.value)}" for metric in candidate.metrics)
    tree = _branch(branches(candidate.architecture), depth=0)
    return (
        f"<details class='candidate'><summary><b>candidate {candidate.number}</b> {escape(figures)}</summary>"
        f"{_pictures(candidate)}<div class='tree'>{tree}</div></details>"
    )


def _pictures(candidate: Candidate) -> str:
    panels = pictures.graphs(candidate.architecture)
    drawn = "".join(
        f"<figure><figcaption>{escape(panel.title)}</figcaption>{pictures.svg(panel)}</figure>" for panel in panels
    )
    meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in pictures.kinds(panels))
    legend = f"<p class='lead'>{escape(meanings)}</p>" if meanings else ""
    return f"<div class='pictures'>{drawn}</div>{legend}"


def _branch(branch: Branch, depth: int) -> str:
    line = f"<i>{escape(branch.field)}</i> <b>{escape(branch.part)}</b> {escape(branch.settings)}"
    if not branch.children:
        return f"<div>{line}</div>"
    inner = "".join(_branch(child, depth + 1) for child in branch.children)
    return f"<details{' open' if depth < 3 else ''}><summary>{line}</summary>{inner}</details>"


def _confusion(study: Study, candidates: Sequence[Candidate]) -> list[str]:
    """What the front's first candidates that were tested take for what, where the task has classes."""
    pieces: list[str] = []
    for candidate in candidates:
        matrices = confusion.confusions(study, candidate)
        if matrices and len(pieces) < MATRICES:
            drawn = "".join(
                f"<figure><figcaption>{escape(matrix.split)}</figcaption>{confusion.svg(matrix)}</figure>"
                for matrix in matrices
            )
            opened = "" if pieces else " open"
            lines = [line for matrix in matrices for line in (confusion.recalls(matrix), confusion.said(matrix))]
            said = "".join(map(_note, lines))
            pieces.append(
                f"<details class='candidate'{opened}><summary><b>candidate {candidate.number}</b></summary>"
                f"<div class='confusions'>{drawn}</div>{said}</details>"
            )
    lead = _note("Rows are what examples are, columns what they were taken for; the stronger, the larger the share.")
    return [_section("What is taken for what", lead, *pieces)] if pieces else []


def _data(study: Study) -> list[str]:
    """What was found out about the data, where there is something to know."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in study.data_found)
    return [_section("What was found out about the data", f"<ul id='found'>{lines}</ul>")] if lines else []


def _failures(results: Results) -> str:
    failures = results.failures()
    if not failures:
        return _note("Every evaluation ended well.")
    return _table(
        ["outcome", "reason (# stands for a number)", "how many"], [(s, r, str(n)) for s, r, n in failures], [2]
    )


def _provenance(candidates: Sequence[Candidate]) -> str:
    """One line for each way in which a metric of the front was got."""
    ways: dict[tuple[str, str, str], list[Metric]] = {}
    for candidate in candidates:
        for metric in candidate.metrics:
            ways.setdefault((metric.name, metric.kind, texts.provenance(metric)), []).append(metric)
    rows = []
    for (name, kind, how), metrics in ways.items():
        samples = [metric.summary.n for metric in metrics if metric.summary]
        span = f"{min(samples)}–{max(samples)}" if samples else "–"
        rows.append([name, kind, how or "–", span, str(len(metrics))])
    return _table(["metric", "kind", "how", "samples", "candidates"], rows, [3, 4])


def _settings(study: Study) -> str:
    fixed = [
        ("space", study.space),
        ("space fingerprint", study.fingerprint),
        ("archfront of this report", __version__),
    ]
    return _table(["setting", "value"], [*fixed, *texts.lines(study.settings)])


def _reproduce(study: Study) -> str:
    file = study.database.file
    url = f"sqlite:///{file.name}" if file else "URL"
    name = study.name
    commands = (
        f"archfront search study.toml --study {name}-again   # the same search anew, study.toml as below\n"
        f"archfront front {name} --db {url}\narchfront export {name} --db {url}\narchfront dashboard --db {url}"
    )
    return f"<pre>{escape(commands)}</pre><pre>{escape(toml(study_file(study)))}</pre>"


def study_file(study: Study) -> dict[str, Any]:
    """The study file that starts the same search: of what was recorded, what such a file may say."""
    known = study.settings
    chosen: dict[str, Any] = {}
    for key in ("controller", "evaluator", "data"):
        value = known.get(key)
        named = dict(value) if isinstance(value, Mapping) else {"name": value, **(known.get(f"{key}_settings") or {})}
        chosen[key] = value if len(named) == 1 or not value else named
    goals = {"objectives": list(map(str, study.objectives)), "constraints": list(map(str, study.constraints))}
    budget = {"evaluations": max(1, study.counts().total())}
    found = {**known, **chosen, **goals, "seed": study.seed, "budget": budget}
    return {key: found[key] for key in Settings.model_fields if found.get(key) not in (None, "", [], {})}


def toml(settings: Mapping[str, Any], table: str = "") -> str:
    """Settings as a TOML file; what is None is left out."""
    plain, deeper = [], []
    for key, value in settings.items():
        name = key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)
        if isinstance(value, Mapping):
            inner = f"{table}.{name}" if table else name
            deeper.append(f"\n[{inner}]\n{toml(value, inner)}")
        elif value is not None:
            plain.append(f"{name} = {_toml_value(value)}\n")
    return "".join(plain + deeper)


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return json.dumps(value)
