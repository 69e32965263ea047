"""A search's progress while it runs: a live table on a terminal, now and then a line anywhere else."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from archfront.commands.printing import duration, figure, fitting_front
from archfront.contracts import Objective, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archfront.run import Order
    from archfront.search import Listener, Progress

LINE_S = 9.0
"""A line comes so often where nothing happens: at least every ten seconds."""
FIRST_S = 2.0
"""So soon the first one comes that says what is being done."""
TICK_S = 0.2
ROWS = 20
"""So much of a front is shown while the search runs."""


@contextmanager
def listener(order: "Order", quiet: bool = False) -> "Iterator[Listener]":
    """What shows the search's progress, fit for where standard output goes to.

    It goes on by itself while the search is busy with other things than telling how it stands: reading data, choosing
    candidates, training one in this very process.
    """
    if quiet:
        yield lambda progress: None
        return
    title = f"study '{order.study}' in {order.url}; Ctrl-C finishes what runs and stops, a second one stops at once"
    if not sys.stdout.isatty():
        lines = Lines(title)
        with _ticking(lines.tick):
            yield lines
        return
    from rich.console import Console
    from rich.live import Live

    latest: list[Progress] = []
    news = News(title)

    def show(progress: "Progress") -> None:
        latest[:] = [progress]

    def picture() -> "RenderableType":
        return panel(latest[0]) if latest else f"'{order.study}' is starting …"

    # The display draws itself from a thread of its own, so that the clock goes on during a long evaluation.
    console = Console(highlight=False)
    with Live(console=console, get_renderable=picture, refresh_per_second=4, transient=True):

        def tell() -> None:
            for line in news.of(latest[0]) if latest and latest[0].about else ():
                console.print(line, markup=False)

        with _ticking(tell):
            yield show


@contextmanager
def _ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Calls `tick` from a thread of its own, several times a second, and once in the end."""
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.wait(TICK_S):
                tick()
        except BrokenPipeError:
            return  # the reader has left; the search's own thread finds that out, too, and ends

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    tick()


class News:
    """What of a search is said once: what it is about, what was found in the data, notes, and that it is stopping."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._told: set[str] = set()

    def of(self, progress: "Progress") -> list[str]:
        """The lines that were not given yet."""
        lines = [self._title, *progress.about, *(f"note: {line}" for line in (*progress.found, *progress.notes))]
        if progress.stopping:
            lines.append(stopping(progress))
            # Once, whatever is waited for when it is asked for again.
            progress.stopping = False
        fresh = [line for line in lines if line not in self._told]
        self._told.update(fresh)
        return fresh


class Lines:
    """Progress as plain lines: one every ten seconds, and one whenever the front changes, at most each second.

    Called by the search whenever something happened; `tick` by the clock, from another thread. Nothing is printed
    before it is known what the search is about, but for a line when that takes long: it may be refused until then.
    """

    def __init__(self, title: str) -> None:
        self._news = News(title)
        self._latest: Progress | None = None
        self._due = time.monotonic() + FIRST_S
        self._shown = 0.0
        self._front: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, progress: "Progress") -> None:
        self._latest = progress
        self.tick()

    def tick(self) -> None:
        """Print what is new, and how the search stands when it is time to."""
        progress = self._latest
        if progress is None:
            return
        with self._lock:
            if not progress.about and time.monotonic() < self._due:
                return
            for line in self._news.of(progress):
                typer.echo(line)
            front, now = [point.digest for point in progress.front], time.monotonic()
            changed = front != self._front and now - self._shown >= 1.0
            if now < self._due and not changed:
                return
            self._due, self._shown, self._front = now + LINE_S, now, front
            best = ", ".join(_best(progress, objective) for objective in progress.objectives)
            words = [status(progress), *([f"best {best}"] if front else []), *doing(progress)]
            typer.echo("; ".join(words))


def _best(progress: "Progress", objective: Objective) -> str:
    values = [point.values[objective.metric] for point in progress.front if objective.metric in point.values]
    return f"{objective.metric} {figure(min(values, key=objective.loss) if values else None)}"


def further(objectives: Sequence[Objective]) -> list[str]:
    """What a front's table shows beside the objectives: the size, and what is sought, on test data."""
    return ["params", *(f"test_{objective.metric}" for objective in objectives)]


def doing(progress: "Progress") -> list[str]:
    """What the search itself does, if it does something, and then each worker: one phrase each."""
    own = [f"{progress.stage}, {time.monotonic() - progress.stage_since:.0f} s"] if progress.stage else []
    return own + [str(activity) for activity in progress.activities]


def stopping(progress: "Progress") -> str:
    """The answer to Ctrl-C: what is kept, what is waited for."""
    waited = "; ".join(doing(progress))
    rest = f"waiting for {waited}; Ctrl-C again stops at once" if waited else "nothing is waited for"
    return f"stopping: {plural(progress.done, 'evaluation')} finished and kept; {rest}"


def status(progress: "Progress") -> str:
    """One line: how many, how fast, how long."""
    of = f" of {progress.budget.evaluations}" if progress.budget.evaluations else ""
    left = f", {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    at = duration(time.monotonic() - progress.began)
    if not progress.running and not progress.counts:
        return at
    infeasible = progress.counts["infeasible"]
    skipped = progress.counts["skipped"]
    failed = sum(progress.reasons.values()) - infeasible - skipped
    at_work = len(progress.activities) or progress.running
    words = [
        f"{at}{left}: {progress.done}{of} evaluated",
        f"{progress.rate:.2g}/s",
        *([progress.phase] if progress.phase else []),
        f"{at_work} running",
        f"front of {len(progress.front)}",
    ]
    counts = (
        (progress.running - at_work, "queued"),
        (failed, "failed"),
        (infeasible, "infeasible"),
        (skipped, "skipped"),
    )
    words += [f"{count} {kind}" for count, kind in counts if count > 0]
    return ", ".join(words)


def share(progress: "Progress") -> float | None:
    """How much of the budget is used up, 0 to 1; None without a budget."""
    parts = []
    if progress.budget.evaluations:
        parts.append(progress.done / progress.budget.evaluations)
    if progress.budget.minutes:
        parts.append(progress.seconds / (60 * progress.budget.minutes))
    return min(1.0, max(parts)) if parts else None


def panel(progress: "Progress") -> "RenderableType":
    """The live display: the front as a table, the status line with a bar, what each worker does, failures by reason."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    parts: list[RenderableType] = []
    if progress.front:
        parts.append(fitting_front(progress.front[:ROWS], progress.objectives, further(progress.objectives))[0])
    if len(progress.front) > ROWS:
        parts.append(Text(f"… and {len(progress.front) - ROWS} more", style="dim"))
    parts.append(Text(status(progress), style="bold"))
    used = share(progress)
    if used is not None:
        parts.append(ProgressBar(total=1.0, completed=used, width=60))
    parts += [Text(f"  {line}") for line in doing(progress)]
    parts += [Text(f"  {count} × {reason}", style="yellow") for reason, count in progress.reasons.most_common(3)]
    return Group(*parts)
