"""`archfront supernet`: train one, search it, retrain the best, cut one network out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands import search as searching
from archfront.commands.listings import Pattern, described, matching, settings_of
from archfront.commands.printing import AsJson, DatabaseUrl, StudyName, duration, figure, print_json, print_rows

if TYPE_CHECKING:
    from archfront.supernets.training import Planned

app = typer.Typer(
    help="Train all networks of a space at once, then rank, search and cut them out.",
    rich_markup_mode=None,
    no_args_is_help=False,
)

Folder = Annotated[Path, typer.Argument(help="The supernet's folder.", metavar="FOLDER")]
MethodName = Annotated[str | None, typer.Option("--method", help="How it is trained: sandwich, fair, single-path …")]
To = Annotated[Path, typer.Option("--to", help="The supernet's folder; one that was begun goes on.", metavar="FOLDER")]
SetOne = Annotated[
    list[str] | None,
    typer.Option("--set", help="method.KEY, recipe.KEY, data.KEY, or another setting; repeat it.", metavar="KEY=VALUE"),
]


@app.command()
def train(
    to: To,
    space: Annotated[str | None, typer.Option(help="A space's name or FILE.py:NAME.")] = None,
    data: searching.DataName = None,
    target: searching.Target = None,
    method: MethodName = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, in place of epochs.")] = None,
    minutes: Annotated[float | None, typer.Option(help="As many epochs as take so long, by the estimate.")] = None,
    seed: searching.Seed = None,
    start: Annotated[
        str | None, typer.Option(help="Begin with the weights of the supernet in this folder.", metavar="FOLDER")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="A decision whose options get weights of their own, or auto.", metavar="PATH")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers that share each batch, on Ray.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each step.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda or auto.")] = "auto",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two checkpoints.")] = 15.0,
    set_: SetOne = None,
    as_json: AsJson = False,
) -> None:
    """Train a supernet, or go on with it where it stopped."""
    from archfront.settings import assignment, overlaid
    from archfront.supernets.settings import settled
    from archfront.supernets.training import POLICY, plan

    given: dict[str, Any] = {
        "space": space,
        "data": data,
        "method": method,
        "epochs": epochs,
        "steps": steps,
        "minutes": minutes,
        "seed": seed,
        "start": start,
        "split": split,
    }
    given = searching.with_target(given, target)
    for text in set_ or []:
        given = overlaid(given, assignment(text))
    planned = plan(settled(to, given), to, device, threads, workers)
    if not as_json:
        typer.echo(_before(planned, to))
        if planned.doubt:
            typer.echo(f"warning: {planned.doubt}")
    last: list[Any] = []

    def listen(progress: Any) -> None:
        last[:] = [progress]
        if not as_json:
            typer.echo(_line(progress))

    training = planned.run(to, every, listen)
    if as_json:
        print_json(_result(planned, to, last[-1]))
    else:
        policy = planned.policy()
        if policy is not None:
            typer.echo(f"what {policy.method} says of its policy, {to / POLICY}: {dict(policy.report)}")
        typer.echo(f"trained {training.done} of {training.steps} steps; next:")
        more = f" --controller one-shot --set controller.policy={to / POLICY}" if policy else ""
        typer.echo(f"  archfront supernet search {to} --evaluations 200{more}")
        typer.echo(f"  archfront supernet finalists {to.resolve().name}-search   # then")


def _before(planned: "Planned", to: Path) -> str:
    settings, training, estimate = planned.settings, planned.training, planned.estimate
    weights = sum(parameter.numel() for parameter in training.supernet.parameters())
    begun = f"goes on from step {training.done:,} of " if training.done else ""
    return (
        f"supernet of '{settings.space}' on {settings.data.name} by {settings.method.name}: {weights:,} weights, "
        f"{begun}{training.steps:,} steps\n"
        f"about {duration(estimate.seconds)} on this host as it is now, and {figure(round(estimate.memory_mb, 1))} MB "
        f"beside data and program\nin {to}; Ctrl-C stops it, the same command goes on from the last checkpoint"
    )


def _line(progress: Any) -> str:
    losses = (f"{name} {figure(getattr(progress, name))}" for name in ("smallest", "largest", "random"))
    return f"{duration(progress.seconds)}: step {progress.step:,} of {progress.steps:,}; loss of {', '.join(losses)}"


def _result(planned: "Planned", to: Path, last: Any) -> dict[str, Any]:
    from dataclasses import asdict

    policy = planned.policy()
    return {
        "folder": str(to),
        "settings": planned.settings.model_dump(),
        "estimate": asdict(planned.estimate),
        "doubt": planned.doubt,
        "progress": asdict(last),
        "learnt": dict(policy.report) if policy else {},
        "loss": [mean for _, mean in planned.training.history],
    }


@app.command()
def methods(pattern: Pattern = "*", as_json: AsJson = False) -> None:
    """List the ways to train a supernet, each with its source."""
    from search_spaces.weight_sharing.methods import METHODS

    rows = [{"name": e.name, "settings": settings_of(e.value), **described(e)} for e in matching(METHODS, pattern)]
    print_rows(rows, as_json, f"no training method's name matches '{pattern}'")


@app.command()
def search(
    folder: Folder,
    study: searching.Name = None,
    controller: searching.ControllerName = None,
    objective: searching.Objectives = None,
    constraint: searching.Constraints = None,
    device: searching.Device = None,
    evaluations: searching.Evaluations = None,
    minutes: searching.Minutes = None,
    workers: searching.Workers = None,
    seed: searching.Seed = None,
    set_: searching.Set = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Search a supernet's networks, with the weights that they have in it: a study like any other."""
    searching.search(
        study=study or f"{folder.resolve().name}-search",
        evaluator=f"supernet:{folder}",
        controller=controller,
        objective=objective,
        constraint=constraint,
        device=device,
        evaluations=evaluations,
        minutes=minutes,
        workers=workers,
        seed=seed,
        set_=set_,
        db=db,
        as_json=as_json,
    )


@app.command()
def dilations(
    space: Annotated[str, typer.Option(help="A space's name or FILE.py:NAME, with dilations left open.")],
    data: Annotated[str, typer.Option(help="digits, npz:PATH, folder:PATH, torchvision:NAME or FILE.py:NAME.")],
    to: Annotated[Path, typer.Option(help="The file to write, for --warm-start.", metavar="FILE.json")],
    architecture: Annotated[
        Path | None, typer.Option(help="What else the network is; else a random one.", metavar="FILE.json")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the one training.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of every random draw.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each step.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Choose each channel's dilation by one training of a network whose kernels cover them all."""
    import json

    from archfront.contracts import WrongUse
    from archfront.plan import Experiment, Plan
    from controllers.given import listed, read
    from evaluators.dilation_search import search_dilations
    from evaluators.recipe import default_recipe

    if not to.parent.is_dir():
        raise WrongUse(f"no folder {to.parent}; make it first, or name another with --to")
    experiment = Experiment(Plan(space=space, data=data, seed=seed))
    within, pictures = experiment.space, experiment.data
    first = read(within, listed(str(architecture)))[0] if architecture else within.sample(f"{seed}/dilations")
    recipe = default_recipe(pictures, **({} if epochs is None else {"epochs": epochs}))
    found, chosen = search_dilations(within, first, pictures, recipe, seed, threads, device)
    to.write_text(json.dumps([within.to_json(found)]) + "\n", encoding="utf-8")
    if as_json:
        print_json({"to": str(to), "dilations": chosen})
        return
    for path, pairs in chosen.items():
        counts = {pair: pairs.count(pair) for pair in sorted(set(pairs))}
        typer.echo(f"{path}: " + ", ".join(f"{count} × {pair[0]}x{pair[1]}" for pair, count in counts.items()))
    typer.echo(f"wrote {to}; next:")
    typer.echo(f"  archfront search --space {space} --data {data} --warm-start {to} --evaluations 40")


@app.command()
def rank(
    folder: Folder,
    networks: Annotated[int, typer.Option(min=5, help="Evenly drawn networks to train from scratch.")] = 60,
    seeds: Annotated[int, typer.Option(help="Trainings of each.")] = 2,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.")] = None,
    truth: Annotated[
        str | None, typer.Option(help="A study whose candidates are trained, in place of a new one.", metavar="STUDY")
    ] = None,
    proxies: Annotated[str, typer.Option(help="Zero-cost proxies to show beside: all, none or A,B.")] = "all",
    workers: searching.Workers = None,
    seed: Annotated[int, typer.Option(help="The seed of the intervals' resamples.")] = 0,
    to: Annotated[
        Path | None, typer.Option(help="Write the report, too: a .html, .json, .txt, .png or .svg file.")
    ] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say how well the supernet ranks networks, against trainings from scratch."""
    from archfront.commands.results import open_named
    from archfront.report.ranking import write_ranking
    from archfront.supernets import ranking
    from evaluators.inherited_weights import about_supernet

    about_supernet(folder)
    ranking.zero_cost(proxies)
    if truth is None:
        truth = f"{folder.resolve().name}-truth"
        _train_truth(folder, truth, networks, seeds, epochs, workers, db, as_json)
        found = ranking.truth_in(open_named(truth, db), most=networks)
    else:
        found = ranking.truth_in(open_named(truth, db))
    report = ranking.ranked(folder, found, proxies, seed)
    written = [str(write_ranking(report, to))] if to else []
    if as_json:
        print_json({**report.to_json(), "truth": truth, "notes": found.notes, "written": written})
        return
    typer.echo(f"{report.networks} networks, {report.trainings} trainings (study '{truth}')\n{report.table()}")
    for note in (*found.notes, *(f"wrote {file}" for file in written)):
        typer.echo(note)


def _train_truth(
    folder: Path,
    name: str,
    networks: int,
    seeds: int,
    epochs: int | None,
    workers: int | None,
    db: str | None,
    quiet: bool,
) -> None:
    """Train what isn't trained yet of the networks that a ranking is judged by: a study like any other."""
    from dataclasses import replace

    from archfront import run
    from archfront.commands.progress import listener
    from archfront.study.database import DEFAULT_URL
    from archfront.supernets import ranking

    url = db or DEFAULT_URL
    known = searching.known_study(url, name)
    order = ranking.truth_settings(folder, networks, seeds, epochs, name, url, known).order()
    order = replace(order, workers=workers or order.workers)
    with listener(order, quiet=quiet) as show:
        run.search(order, show)


@app.command()
def finalists(
    study: StudyName,
    top: Annotated[int, typer.Option(help="So many of the front, spread along it.")] = 5,
    seeds: Annotated[int, typer.Option(help="Trainings of each.")] = 3,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.")] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Train on from the supernet's weights, not from scratch.")
    ] = False,
    to_study: Annotated[str | None, typer.Option(help="The new study; without it STUDY-finalists.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at the same time.")] = 1,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Retrain the best of a front on several seeds, as a study of their own."""
    from archfront.commands.results import open_named
    from archfront.study.database import DEFAULT_URL
    from archfront.supernets.finalists import Final, settings_for

    url = db or DEFAULT_URL
    final = Final(top, seeds, epochs, fine_tune, workers)
    name = to_study or f"{study}-finalists"
    settings = settings_for(open_named(study, db), final, name, url, searching.known_study(url, name))
    searching.run_study(settings, as_json)


@app.command()
def extract(
    folder: Folder,
    to: Annotated[Path, typer.Option(help="The folder to write to.", metavar="DIR")],
    candidate: Annotated[
        str | None, typer.Option(help="A study's candidate, by number or digest.", metavar="STUDY:NUMBER")
    ] = None,
    architecture: Annotated[Path | None, typer.Option(help="An architecture as JSON.", metavar="FILE.json")] = None,
    formats: Annotated[
        str | None, typer.Option("--format", help="Export it, too: python, onnx, pt2, comma-separated.", metavar="A,B")
    ] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Cut one network out of a supernet, with its weights and recalibrated statistics."""
    from archfront.commands.results import open_named
    from archfront.contracts import WrongUse
    from archfront.supernets import extraction
    from evaluators.inherited_weights import about_supernet

    if (candidate is None) == (architecture is None):
        raise WrongUse("say which network: --candidate STUDY:NUMBER or --architecture FILE.json")
    about = about_supernet(folder)
    if architecture is not None:
        chosen = extraction.architecture_in(architecture, about)
    else:
        name, colon, number = str(candidate).rpartition(":")
        if not colon:
            raise WrongUse(f"--candidate {candidate}: say STUDY:NUMBER, as in {candidate}:12")
        chosen = extraction.candidate_of(open_named(name, db), number)
    names = tuple(name.strip() for name in formats.split(",")) if formats else ()
    found = extraction.extract(folder, chosen, to, names)
    if as_json:
        print_json(found.to_json())
        return
    for note in found.notes:
        typer.echo(note)
    said = ", ".join(f"{metric.name} {figure(metric.value)}" for metric in found.metrics)
    typer.echo(f"{said}; outputs differ from the supernet's by {found.difference:.1g} at most")
    typer.echo(f"wrote {found.folder}: {', '.join(found.files)}")
