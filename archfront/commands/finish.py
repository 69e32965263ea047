"""`archfront finish`: new candidates made of a study's trained ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands.printing import (
    AsJson,
    DatabaseUrl,
    StudyName,
    figure,
    fitting_front,
    point_json,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from archfront.finish import Outcome
    from archfront.study import Point, Study


def finish(
    study: StudyName,
    with_: Annotated[
        list[str],
        typer.Option(
            "--with",
            help="Finishers in a row, as block_drop,static_int8 or 'width_prune(share=0.25)' or path/to/file.py:Class; "
            "'archfront blocks --family finisher' lists them.",
            metavar="A,B",
        ),
    ],
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="Its number or the first digits of its digest; several times for several. [the front]"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How long to heal. [a third of a training]", metavar="N")] = None,
    db: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Prune, quantize or otherwise finish trained candidates; what comes of it joins the front."""
    from archfront.finish import finish as finished
    from archfront.finishing import finishers
    from archfront.study import Database, Study
    from archfront.study.database import DEFAULT_URL

    steps = finishers(with_, epochs)
    found = Study(Database(db or DEFAULT_URL), study)
    chosen = {one.digest: one for one in (found.candidate(name) for name in candidate or [])}
    before = (found.points(), found.front())

    def told(outcome: "Outcome") -> None:
        if outcome.number is not None and not as_json:
            typer.echo(str(outcome), err=True)

    outcomes = finished(found, steps, list(chosen.values()), told)
    _check_made(outcomes)
    after = (found.points(), found.front())
    volumes = _hypervolumes(found, before[0], after[0])
    if as_json:
        print_json(_summary(outcomes, before[1], after[1], volumes))
    else:
        _print(found, outcomes, before[1], after[1], volumes)


def _hypervolumes(study: "Study", before: Sequence["Point"], after: Sequence["Point"]) -> tuple[float, float]:
    """Of the front before and after, both up to the worst value of each objective that there is after."""
    from archfront.study import hypervolume

    losses = [[point.losses for point in points] for points in (before, after)]
    if not losses[1]:
        return 0.0, 0.0
    bound = [max(values) for values in zip(*losses[1], strict=True)]
    return hypervolume(losses[0], bound), hypervolume(losses[1], bound)


def _summary(
    outcomes: Sequence["Outcome"],
    before: Sequence["Point"],
    after: Sequence["Point"],
    volumes: tuple[float, float],
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "finished": [asdict(outcome) for outcome in outcomes],
        "front_before": [point_json(point) for point in before],
        "front": [point_json(point) for point in after],
        "hypervolume_before": volumes[0],
        "hypervolume": volumes[1],
    }


def _print(
    study: "Study",
    outcomes: Sequence["Outcome"],
    before: Sequence["Point"],
    after: Sequence["Point"],
    volumes: tuple[float, float],
) -> None:
    from archfront.commands.progress import further

    names = further(study.objectives)
    for title, points, volume in zip(("before", "after"), (before, after), volumes, strict=True):
        typer.echo(f"front {title}: {len(points)} candidates, hypervolume {figure(volume)}")
        if points:
            print_table(fitting_front(points, study.objectives, names)[0])
        typer.echo()
    for outcome in outcomes:
        if outcome.number is None:
            typer.echo(str(outcome))
    made = {outcome.number for outcome in outcomes if outcome.number is not None}
    on_front = sorted(made & {point.number for point in after})
    which = f": {', '.join(map(str, on_front))}" if on_front else ""
    typer.echo(f"{len(made)} made, {len(on_front)} of them on the front{which}")


def _check_made(outcomes: Sequence["Outcome"]) -> None:
    """Raise where nothing was made: `WrongUse` where that is due to the candidates, else `NoneSucceeded`."""
    from archfront.contracts import WrongUse
    from archfront.search import NoneSucceeded

    if any(outcome.number is not None for outcome in outcomes):
        return
    first = next((outcome for outcome in outcomes if outcome.wrong), outcomes[0])
    more = f" (and {len(outcomes) - 1} more)" if len(outcomes) > 1 else ""
    raise (WrongUse if first.wrong else NoneSucceeded)(f"nothing was finished: {first}{more}")
