"""`archfront search`: start a study, or go on with it."""

import os
import shlex
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands.printing import (
    AsJson,
    DatabaseUrl,
    duration,
    figure,
    fitting_front,
    point_json,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from archfront.search import Progress
    from archfront.settings import Settings
    from archfront.study import Study

"""Metrics that a front's table shows besides the objectives."""

File = Annotated[Path | None, typer.Argument(help="A study file; 'archfront init' writes one.", metavar="[STUDY.toml]")]
Name = Annotated[str | None, typer.Option("--study", help="The study's name.", metavar="NAME")]
SpaceName = Annotated[str | None, typer.Option("--space", help="A space's name, FILE.py:NAME or table:FILE.")]
Decisions = Annotated[str | None, typer.Option(help="Columns of a table that are the decisions.", metavar="A,B")]
Where = Annotated[str | None, typer.Option(help="A rule: a table's column, or FILE.py:NAME of a function.")]
DataName = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, folder:PATH, npz:PATH, torchvision:NAME, text:PATH, audio:PATH, masks:PATH, csv:FILE, "
        "sklearn:NAME or FILE.py:NAME.",
    ),
]
Target = Annotated[str | None, typer.Option("--target", help="The column of a table to predict.", metavar="COLUMN")]
ControllerName = Annotated[str | None, typer.Option("--controller", help="A controller's name or FILE.py:NAME.")]
EvaluatorName = Annotated[
    str | None, typer.Option("--evaluator", help="An evaluator's name, FILE.py:NAME or table:FILE.")
]
Objectives = Annotated[
    list[str] | None, typer.Option("--objective", help="METRIC, METRIC:max or METRIC:min; repeat it.")
]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", help="METRIC<=NUMBER or >=; repeat it.", metavar="LIMIT")
]
Device = Annotated[str | None, typer.Option(help="Where latency is measured; 'archfront devices' lists them.")]
Evaluations = Annotated[int | None, typer.Option(help="End when the study has so many evaluations.")]
Minutes = Annotated[float | None, typer.Option(help="End after so many minutes.")]
Workers = Annotated[int | None, typer.Option(help="Evaluations at the same time.")]
Launcher = Annotated[str | None, typer.Option(help="inline, ray, ray-tune or FILE.py:NAME.")]
Seed = Annotated[int | None, typer.Option(help="The seed of every random draw.")]
WarmStart = Annotated[
    str | None,
    typer.Option(
        help="What to begin with: FILE.json, the best of another study (study:NAME:COUNT), or the best of random "
        "candidates by a cheap score (proxy:METRIC:COUNT/DRAWN).",
        metavar="FROM",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        help="Weights to begin with: those of another study's candidates (study:NAME), with which the search then "
        "begins, too, or a supernet's FOLDER.",
        metavar="FROM",
    ),
]
Weights = Annotated[
    str | None, typer.Option(help="A folder of pretrained weights of timm's networks: NAME.safetensors.", metavar="DIR")
]
Pretrained = Annotated[
    bool | None, typer.Option("--pretrained/--no-pretrained", help="Begin timm's networks with pretrained weights.")
]
SearchRecipe = Annotated[
    list[str] | None,
    typer.Option(
        help="A field of the training recipe to search, too: uniform(LOW,HIGH), log_uniform(LOW,HIGH), "
        "integers(LOW,HIGH) or A,B,…; repeat it.",
        metavar="FIELD=CHOICE",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs of each training.")]
ShowPlan = Annotated[bool, typer.Option("--plan", help="Say what the budget would be spent on, and stop.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting of a study file: KEY=VALUE; repeat it.", metavar="KEY=VALUE"),
]


def search(
    file: File = None,
    study: Name = None,
    space: SpaceName = None,
    decisions: Decisions = None,
    where: Where = None,
    data: DataName = None,
    target: Target = None,
    controller: ControllerName = None,
    evaluator: EvaluatorName = None,
    objective: Objectives = None,
    constraint: Constraints = None,
    device: Device = None,
    evaluations: Evaluations = None,
    minutes: Minutes = None,
    workers: Workers = None,
    launcher: Launcher = None,
    seed: Seed = None,
    epochs: Epochs = None,
    search_recipe: SearchRecipe = None,
    warm_start: WarmStart = None,
    start: Start = None,
    pretrained: Pretrained = None,
    weights: Weights = None,
    set_: Set = None,
    plan: ShowPlan = False,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Start a study, or go on with it where it stopped."""
    options: dict[str, Any] = {
        "name": study,
        "space": space,
        "decisions": decisions,
        "where": where,
        "data": data,
        "controller": {"name": controller} if controller else None,
        "evaluator": _filled(name=evaluator, epochs=epochs, pretrained=pretrained, weights=weights) or None,
        "search_recipe": _choices(search_recipe or []) or None,
        "objectives": objective or None,
        "constraints": constraint or None,
        "device": device,
        "budget": _filled(evaluations=evaluations, minutes=minutes) or None,
        "workers": workers,
        "launcher": launcher,
        "seed": seed,
        "warm_start": warm_start,
        "start": start,
        "db": db,
    }
    settings = wanted(file, with_target(options, target), set_ or [])
    if plan:
        _show_plan(settings, as_json)
    else:
        run_study(settings, as_json)


def _show_plan(settings: "Settings", as_json: bool) -> None:
    from archfront.run import plan_for

    spending = plan_for(settings.order())
    if as_json:
        print_json(spending.to_json())
    else:
        typer.echo("\n".join(spending.lines()))


def with_target(options: dict[str, Any], target: str | None) -> dict[str, Any]:
    """The options with the target's column among the settings of the data."""
    from archfront.settings import overlaid

    return options if target is None else overlaid(options, {"data": {"target": target}})


def _choices(texts: list[str]) -> dict[str, str]:
    from archfront.contracts import WrongUse

    found: dict[str, str] = {}
    for text in texts:
        name, equals, choice = (part.strip() for part in text.partition("="))
        if not (name and equals and choice):
            raise WrongUse(f"--search-recipe '{text}': say FIELD=CHOICE, as in --search-recipe 'lr=0.001,0.01'")
        if name in found:
            raise WrongUse(f"--search-recipe names {name} twice; put all of its values into one, with commas between")
        found[name] = choice
    return found


def _filled(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def wanted(file: Path | None, options: dict[str, Any], assignments: list[str]) -> "Settings":
    """What the study file says, under what the options say; above what the study was started with, if it is there."""
    from archfront.settings import assignment, overlaid, read_study_file, settings_from, settings_of

    for text in assignments:
        options = overlaid(options, assignment(text))
    from_file = read_study_file(file) if file else {}
    if file and "name" not in from_file:
        from_file["name"] = file.stem
    given = overlaid(from_file, options)
    origin = f"{file}" if file else "options"
    settings = settings_from(given, origin)
    known = known_study(settings.db, settings.study_name)
    return settings_from(overlaid(settings_of(known), given), origin) if known else settings


def known_study(url: str, name: str) -> "Study | None":
    """The study to go on with, where there is one of this name."""
    from archfront.study import Database, Study

    file = Database.planned(url).file
    if file is not None and not file.exists():
        return None
    database = Database(url, read_only=True)
    return Study(database, name) if database.has(name) else None


def run_study(settings: "Settings", as_json: bool) -> None:
    """Search, showing how it goes, and say what was found and what to do with it.

    Raises `NoneSucceeded` in the end where nothing was found for other reasons than constraints.
    """
    from archfront import run
    from archfront.commands.progress import listener
    from archfront.search import NoneSucceeded
    from archfront.used_up import used_up

    known = known_study(settings.db, settings.study_name)
    ended = used_up(known, settings) if known is not None else None
    if known is not None and ended is not None:
        study, progress = known, ended
    else:
        # The user's minutes began with the command, before anything was imported.
        order = replace(settings.order(), begun=time.monotonic() - _age())
        with listener(order, quiet=as_json) as show:
            study, progress = run.search(order, show)
    if as_json:
        print_json(_summary(study, progress))
    else:
        _conclude(study, progress, settings.db)
    if progress.failure:
        raise NoneSucceeded(progress.failure)


def _age() -> float:
    """Seconds since this process began."""
    import psutil

    return time.time() - psutil.Process().create_time()


def _summary(study: "Study", progress: "Progress") -> dict[str, Any]:
    front = study.front()
    return {
        "study": study.name,
        "ended": progress.ended,
        "seconds": round(progress.seconds, 3),
        "evaluations": dict(study.counts()),
        "evaluations_in_this_run": progress.done_here,
        "failures": dict(progress.reasons),
        "notes": progress.notes,
        "hypervolume": study.hypervolume(),
        "front": [point_json(p) for p in front],
    }


def _conclude(study: "Study", progress: "Progress", db: str) -> None:
    from archfront.commands.progress import further
    from archfront.contracts import plural
    from archfront.study import DEFAULT_URL
    from archfront.supernets.judging import judged

    front = study.front()
    if front:
        print_table(fitting_front(front, study.objectives, further(study.objectives))[0])
        typer.echo()
    typer.echo(
        f"ended: {progress.ended}; {plural(progress.done_here, 'evaluation')} in {duration(progress.seconds)}; "
        f"front of {len(front)}; hypervolume {figure(study.hypervolume())}"
    )
    if any(point.predicted & {objective.metric for objective in study.objectives} for point in front):
        typer.echo("  ~ marks figures that are predicted: the device was never quiet enough to measure them")
    for reason, count in progress.reasons.most_common(5):
        typer.echo(f"  {count} × {reason}")
    if not front:
        typer.echo(_empty(progress))
        return
    where = [] if db == DEFAULT_URL else ["--db", db]
    program = _program()
    again = shlex.join([*program, "search", "--study", study.name, *where])
    typer.echo("next:")
    best = str(front[0].number)
    trained = any(artifact.kind == "weights" for artifact in study.candidate(best).artifacts)
    commands = [["show", study.name, best], ["report", study.name], ["dashboard"]]
    # The figures are those that networks have within a supernet: its best are still to be trained.
    if judged(study)[0]:
        commands.insert(0, ["supernet", "finalists", study.name])
    for words in [["export", study.name, "--candidate", best], *commands] if trained else commands:
        typer.echo("  " + shlex.join([*program, *words, *where]))
    typer.echo(f"  {again} --minutes 10   # goes on")


def _empty(progress: "Progress") -> str:
    """Why the front is empty."""
    if progress.counts["ok"]:
        return "no candidate has figures of all objectives after a full evaluation; more evaluations may bring one"
    if progress.failure:
        return "no evaluation succeeded"
    if progress.counts["infeasible"]:
        return "no candidate kept all constraints; loosen them in a new study"
    return "nothing was evaluated"


def _program() -> list[str]:
    """How this program was called, so that what is printed works when pasted into the same shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [_short(Path(sys.executable)), "-m", "archfront"]
    found = shutil.which("archfront")
    same = called.name != "archfront" or (found is not None and Path(found).resolve() == called.resolve())
    return ["archfront"] if same else [_short(called)]


def _short(file: Path) -> str:
    """The path from the working folder when it lies below, without resolving links."""
    path, here = os.path.abspath(file), os.getcwd()
    return os.path.relpath(path) if path.startswith(here + os.sep) else path
