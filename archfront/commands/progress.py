"""A search's progress while it runs: a live table on a terminal, now and then a line anywhere else."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from archfront.commands.printing import duration, figure, front_table
from archfront.contracts import Objective, meaning

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archfront.run import Order
    from archfront.search import Listener, Progress

LINE_S = 10.0
ROWS = 20
"""So much of a front is shown while the search runs."""


@contextmanager
def listener(order: "Order", quiet: bool = False) -> "Iterator[Listener]":
    """What shows the search's progress, fit for where standard output goes to."""
    if quiet:
        yield lambda progress: None
        return
    title = f"study '{order.study}' in {order.url}; Ctrl-C finishes what runs and stops, a second one stops at once"
    if not sys.stdout.isatty():
        yield Lines(title)
        return
    from rich.console import Console
    from rich.live import Live

    latest: list[Progress] = []

    def show(progress: "Progress") -> None:
        latest[:] = [progress]

    def picture() -> "RenderableType":
        return panel(latest[0], title) if latest else f"'{order.study}' is starting …"

    # The display draws itself from a thread of its own, so that the clock goes on during a long evaluation.
    with Live(console=Console(highlight=False), get_renderable=picture, refresh_per_second=4, transient=True):
        yield show


class Lines:
    """Progress as plain lines: one every ten seconds, and one whenever the front changes, at most each second."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = 0.0
        self._front: list[str] = []

    def __call__(self, progress: "Progress") -> None:
        front = [point.digest for point in progress.front]
        patience = 1.0 if front != self._front else LINE_S
        if time.monotonic() - self._shown < patience:
            return
        if self._title:
            typer.echo("\n".join([self._title, *progress.notes]))
            self._title = ""
        self._shown, self._front = time.monotonic(), front
        best = ", ".join(_best(progress, objective) for objective in progress.objectives)
        typer.echo(status(progress) + (f"; best {best}" if front else ""))


def _best(progress: "Progress", objective: Objective) -> str:
    values = [point.values[objective.metric] for point in progress.front if objective.metric in point.values]
    return f"{objective.metric} {figure(min(values, key=objective.loss) if values else None)}"


def further(objectives: Sequence[Objective]) -> list[str]:
    """What a front's table shows beside the objectives: the size, and what is sought, on test data."""
    return ["params", *(f"test_{o.metric}" for o in objectives if meaning(f"test_{o.metric}"))]


def status(progress: "Progress") -> str:
    """One line: how many, how fast, how long."""
    of = f" of {progress.budget.evaluations}" if progress.budget.evaluations else ""
    left = f", {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    infeasible = progress.counts["infeasible"]
    failed = sum(progress.reasons.values()) - infeasible
    words = [
        f"{duration(progress.seconds)}{left}: {progress.done}{of} evaluated",
        f"{progress.rate:.2g}/s",
        f"{progress.running} running",
        f"front of {len(progress.front)}",
    ]
    words += [f"{count} {kind}" for count, kind in ((failed, "failed"), (infeasible, "infeasible")) if count]
    return ", ".join(words)


def panel(progress: "Progress", title: str) -> "RenderableType":
    """The live display: the front as a table, the status line, failures by reason."""
    from rich.console import Group
    from rich.text import Text

    table = front_table(progress.front[:ROWS], progress.objectives, further(progress.objectives))
    parts: list[RenderableType] = [Text("\n".join([title, *progress.notes]), style="dim"), table]
    if len(progress.front) > ROWS:
        parts.append(Text(f"… and {len(progress.front) - ROWS} more", style="dim"))
    parts.append(Text(status(progress), style="bold"))
    parts += [Text(f"  {count} × {reason}", style="yellow") for reason, count in progress.reasons.most_common(3)]
    return Group(*parts)
