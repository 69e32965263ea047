"""`archfront bench`: controllers against each other, on tables and in virtual time."""

import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archfront.commands import search as searching
from archfront.commands.printing import AsJson, figure, print_json, print_table, table_of

if TYPE_CHECKING:
    from archfront.simulator import Benchmark, Contender, Contest, Standing

app = typer.Typer(
    help="Compare controllers on published tables, without training anything.",
    rich_markup_mode=None,
    no_args_is_help=False,
)

CONTROLLERS = "auto,random,pareto-evolution,nsga2,optuna:tpe"


@app.callback()
def bench() -> None:
    """Compare controllers on published tables, without training anything."""


@app.command()
def search(
    space: Annotated[str, typer.Option(help="table:FILE, or the name of a space that fits the table.")],
    evaluator: Annotated[str, typer.Option(help="table:FILE.")],
    objective: searching.Objectives = None,
    constraint: searching.Constraints = None,
    decisions: searching.Decisions = None,
    where: searching.Where = None,
    repeats: Annotated[
        str, typer.Option(help="Rows that are equal in all decisions: 'error', or 'mean' to average them.")
    ] = "error",
    controllers: Annotated[
        list[str] | None,
        typer.Option(help="Controllers, their settings after +: nsga2+population=50. Repeat it.", metavar="A,B"),
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, help="Evaluations of each run.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each controller.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The first run's seed.")] = 0,
    reference: Annotated[
        str | None, typer.Option(help="The worst values that count, COLUMN=VALUE,…", metavar="A=X,B=Y")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Evaluations at the same time, in virtual time.")] = 1,
    seconds: Annotated[str, typer.Option(help="What an evaluation takes: a column, or a number.")] = "1",
    fidelity: Annotated[
        list[str] | None,
        typer.Option(
            help="The column that stands for the first objective after a share of the training. Repeat it.",
            metavar="SHARE=COLUMN",
        ),
    ] = None,
    marks: Annotated[
        str | None,
        typer.Option(
            help="Virtual seconds at which runs are compared; they end at the last of them, not by --evaluations.",
            metavar="S,S",
        ),
    ] = None,
    at: Annotated[str | None, typer.Option(help="Counts of evaluations that the table shows.", metavar="N,N")] = None,
    to: Annotated[Path | None, typer.Option(help="Write .html, .png, .svg or .json.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what controllers find in so many evaluations, or so much time: share of the true hypervolume, or regret.

    Medians over the seeds, quartiles in brackets. Several objectives are judged by hypervolume, one by regret.
    """
    from archfront.plan import Plan
    from archfront.simulator import Benchmark, Contender, run_contest

    _check_file(to)
    columns = tuple(filter(None, (name.strip() for name in (decisions or "").split(","))))
    plan = Plan(
        space=space,
        decisions=columns,
        where=where,
        evaluator=evaluator,
        evaluator_settings={} if repeats == "error" else {"repeats": repeats},
        objectives=tuple(objective or ()),
        constraints=tuple(constraint or ()),
    )
    named = [name for text in controllers or [CONTROLLERS] for name in _split(text) if name.strip()]
    counts, seconds_shown = _counts(at, evaluations), _marks(marks)
    contenders = [Contender.parse(name) for name in named]
    benchmark = Benchmark.of(
        plan,
        _number(seconds),
        _assignments(reference),
        _fidelities(fidelity or []),
        [column for contender in contenders for column in contender.proxies],
    )
    contest = run_contest(
        benchmark,
        contenders,
        evaluations,
        seeds,
        workers,
        seed,
        _Progress(len(named) * seeds, quiet=not sys.stderr.isatty()),
        measured_at=counts,
        marks=seconds_shown,
    )
    if to:
        _write(contest, to)
    if as_json:
        print_json(contest.to_json())
    else:
        _print(contest, benchmark, seconds_shown or counts)
        if to:
            typer.echo(f"wrote {to}")


class _Progress:
    """Says on a terminal how many runs are done."""

    def __init__(self, runs: int, quiet: bool) -> None:
        self.runs, self.done, self.quiet = runs, 0, quiet

    def __call__(self, contender: "Contender", done: int) -> None:
        self.done += 1
        if not self.quiet:
            end = "\n" if self.done == self.runs else ""
            typer.echo(f"\r\033[K{contender.label}: run {self.done} of {self.runs}{end}", err=True, nl=False)


def _split(text: str) -> list[str]:
    """At the commas that stand in no brackets: `random,asha+fidelities=[0.1,0.5]`."""
    return re.split(r",(?![^\[{]*[\]}])", text)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _assignments(text: str | None) -> dict[str, float]:
    from archfront.contracts import WrongUse

    found = {}
    for pair in filter(None, (text or "").split(",")):
        name, _, value = pair.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise WrongUse(f"--reference {text}: say COLUMN=VALUE,COLUMN=VALUE") from None
    return found


def _counts(text: str | None, evaluations: int) -> list[int]:
    from archfront.contracts import WrongUse

    try:
        found = sorted({int(count) for count in (text or "").split(",") if count.strip()})
    except ValueError:
        raise WrongUse(f"--at {text}: say counts of evaluations, as in --at 50,100,200") from None
    if found and not 1 <= found[0] <= found[-1] <= evaluations:
        raise WrongUse(f"--at {text}: counts lie between 1 and --evaluations {evaluations}")
    return found


def _marks(text: str | None) -> list[float]:
    from archfront.contracts import WrongUse

    try:
        found = sorted({float(mark) for mark in (text or "").split(",") if mark.strip()})
    except ValueError:
        found = [0.0]
    if found and not 0 < found[0] <= found[-1] < float("inf"):
        raise WrongUse(f"--marks {text}: say virtual seconds above 0, as in --marks 1000,5000")
    return found


def _fidelities(texts: list[str]) -> dict[float, str]:
    from archfront.contracts import WrongUse

    found = {}
    for text in texts:
        share, equals, column = text.partition("=")
        try:
            value = float(Fraction(share.strip()))
        except (ValueError, ZeroDivisionError):
            value = 0.0
        if not (equals and column.strip() and 0 < value < 1):
            raise WrongUse(f"--fidelity {text}: say SHARE=COLUMN with a share below 1, as in 12/200=accuracy_12")
        found[value] = column.strip()
    return found


def _check_file(to: Path | None) -> None:
    """Before hours of simulation, not after."""
    from archfront.contracts import WrongUse

    if to is None:
        return
    if to.suffix not in (".html", ".png", ".svg", ".json"):
        raise WrongUse(f"--to {to}: the file's name must end in .html, .png, .svg or .json")
    if not to.parent.is_dir():
        raise WrongUse(f"no folder {to.parent}; make it first, or name another with --to")


def _write(contest: "Contest", to: Path) -> None:
    if to.suffix == ".json":
        import json

        to.write_text(json.dumps(contest.to_json()))
        return
    from archfront.simulator.figure import write_figure

    write_figure(contest, to)


def _print(contest: "Contest", benchmark: "Benchmark", shown: Sequence[float]) -> None:
    from archfront.simulator.contest import TARGETS, milestones

    points = [point for point in shown if point in contest.axis] or milestones(int(contest.axis[-1]))
    ratio = benchmark.measure != "regret"
    unit = " s" * contest.timed
    heads = ["controller", *(f"at {point:,g}{unit}" for point in points)]
    heads += [f"{target:.0%} after" for target in TARGETS] * ratio
    heads += [f"as good as {contest.standings[0].contender.name} after"] * contest.timed
    heads += ["evaluations" if contest.timed else "virtual s", "CPU ms each"]
    rows = []
    for standing in contest.standings:
        cells = _cells(contest, standing, points)
        cells += [figure(contest.reached(standing, target)) for target in TARGETS] * ratio
        cells += [figure(contest.caught_up(standing))] * contest.timed
        last = (standing.evaluations if contest.timed else standing.seconds)[:, -1]
        end = [figure(float(sorted(last)[contest.seeds // 2])), f"{standing.thinking_ms:.2f}"]
        rows.append([standing.contender.label, *cells, *end])
    size = f"{len(benchmark.every):,} feasible candidates, {len(benchmark.front)} on the front"
    print_table(table_of(heads, rows, f"{benchmark.measure}, {contest.seeds} seeds, {contest.workers} workers; {size}"))
    if ratio:
        typer.echo("reference: " + ", ".join(f"{name}={value:g}" for name, value in benchmark.reference.items()))


def _cells(contest: "Contest", standing: "Standing", points: Sequence[float]) -> list[str]:
    low, middle, high = standing.quartiles()
    width = 4 if contest.benchmark.measure != "regret" else 3
    return [
        f"{middle[i]:.{width}f} ({low[i]:.{width}f}–{high[i]:.{width}f})" if middle[i] < float("inf") else "-"
        for i in contest.at(points)
    ]
