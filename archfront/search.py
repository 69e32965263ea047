"""The search loop: asks the controller, gives out the work, records what comes back, tells the controller."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Protocol

from sqlalchemy.exc import OperationalError

from archfront.budget.finals import Finals, Record, chosen, untried
from archfront.budget.timetable import Timetable
from archfront.contracts import Evaluation, Objective, Proposal, Status, judged, plural
from archfront.launchers.base import Done, Job, Launcher
from archfront.study import FINISHED, Point, Recorded, Study, StudyWriter
from archfront.watching import Watched
from controllers.base import Controller
from evaluators.base import Evaluator
from search_spaces.canonical import IDENTITY
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace

POLL_S = 0.2
FULL = 10**9
"""More epochs than any training has."""
INTERRUPTED = "interrupted"
FRUITLESS = 1000
"""So many candidates in a row that break a cheap constraint end a search."""
CURES = {
    Status.INFEASIBLE: "loosen it in a new study",
    Status.DIVERGED: "a lower learning rate may help, where it trains: --set evaluator.lr=…",
    Status.OUT_OF_MEMORY: "take fewer --workers, smaller batches or a --space of smaller networks",
    Status.TIMED_OUT: "give each more time: --set timeout_s=SECONDS",
    Status.UNSUPPORTED: "take another --space or --device, since this evaluator can't judge such candidates",
}
"""What helps against most evaluations of a kind; of those that failed, the reason itself must say it."""


class NoneSucceeded(RuntimeError):
    """A search has ended without any result, and not because of constraints; the message says why in one line."""


class StudyUnwritable(RuntimeError):
    """The database can't take results any more: a full disk, or a lock that doesn't end."""


@dataclass(frozen=True)
class Budget:
    """When a search ends: evaluations of the whole study, minutes of this run, or whichever comes first.

    A candidate that a cheap constraint rejects isn't counted, since it cost nothing.
    """

    evaluations: int | None = None
    minutes: float | None = None


@dataclass
class Progress(Watched):
    """How a search stands; the listener gets it when a stage begins, and after every result."""

    budget: Budget
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    running: int = 0
    done: int = 0
    done_here: int = 0
    started: float = field(default_factory=time.monotonic)
    front: list[Point] = field(default_factory=list)
    last: Evaluation | None = None
    ended: str = ""
    notes: list[str] = field(default_factory=list)
    objectives: tuple[Objective, ...] = ()
    phase: str = ""
    """What a planned search is at; empty where nothing was planned."""

    @property
    def seconds(self) -> float:
        """Since this run began."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Evaluations per second of this run."""
        return self.done_here / self.seconds if self.seconds > 0 else 0.0

    @property
    def failure(self) -> str:
        """One line that says why there is no result at all; empty where there is one, or constraints ruled all out."""
        total = sum(self.counts.values())
        if self.counts[Status.OK] or total == self.counts[Status.INFEASIBLE]:
            return ""
        common = self.reasons.most_common(2)
        said = "; ".join(f"{count} × {reason}" for reason, count in common)
        cure = CURES.get(Status(common[0][0].partition(":")[0]))
        return f"none of the {plural(total, 'evaluation')} succeeded: {said}" + (f"; {cure}" if cure else "")

    @property
    def seconds_left(self) -> float | None:
        """Until the budget is used up, as far as that can be told."""
        left = []
        if self.budget.minutes is not None:
            left.append(self.budget.minutes * 60 - self.seconds)
        if self.budget.evaluations is not None and self.done_here:
            left.append((self.budget.evaluations - self.done) / self.rate)
        return max(0.0, min(left)) if left else None


class Listener(Protocol):
    """Whoever shows a search's progress."""

    def __call__(self, progress: Progress) -> None:
        """Called often; must be quick."""


@dataclass
class _Open:
    """An evaluation under way: its row in the study, what is still to do, what came back so far."""

    id: int
    proposal: Proposal
    architecture: str
    left: list[str]
    so_far: Evaluation
    until: float | None = None
    final: bool = False


class Search:
    """One run of a search on a study. What was recorded before is taken over first: nothing is paid for twice."""

    def __init__(
        self,
        study: Study,
        space: SearchSpace,
        controller: Controller,
        evaluators: Mapping[str, Evaluator],
        launcher: Launcher,
        budget: Budget,
        listener: Listener | None = None,
        graded: Collection[str] = (),
        progress: Progress | None = None,
        timetable: Timetable | None = None,
    ) -> None:
        """`graded` names the evaluators whose figures depend on a proposal's fidelity; `progress` is kept current.

        By a `timetable`, candidates are screened first, and the best of them trained to the end in the time that was
        kept for it.
        """
        self.study = study
        self.space = space
        self.controller = controller
        self.evaluators = evaluators
        self.launcher = launcher
        self.progress = progress or Progress(budget)
        self.progress.objectives, self.progress.watch = study.objectives, launcher.activities
        # By a plan, the user's minutes began before data were read and workers started.
        self.progress.started = time.monotonic() if timetable is None else timetable.begun
        self._listener: Listener = listener or (lambda progress: None)
        self._open: dict[int, _Open] = {}
        self._checkpoints: dict[str, tuple[int, str]] = {}
        self._graded = frozenset(graded)
        self._known: dict[str, Evaluation] = {}
        self._networks: dict[str, Evaluation] = {}
        self._draining = ""
        self._fruitless = 0
        self._timetable = timetable
        self._finals: Finals | None = None
        self._record = Record(study.objectives)

    def run(self) -> Progress:
        """Search until the budget is used up, the space is exhausted, or Ctrl-C; running evaluations are finished."""
        try:
            with StudyWriter(self.study) as writer, self._interruptible():
                self._work(writer)
        except OperationalError as error:
            raise StudyUnwritable(
                f"the study '{self.study.name}' can't be written ({error.orig}); all results recorded so far are kept: "
                "free space on the disk, or see who locks the database, and give the same command again"
            ) from error
        self._report()
        return self.progress

    def _work(self, writer: StudyWriter) -> None:
        self._restore(writer)
        self.progress.enter("")
        writer.event("search", "started")
        for device in filter(None, (evaluator.device() for evaluator in self.evaluators.values())):
            writer.device(*device)
        while True:
            self._fill(writer)
            if not self._open and not self._begin_finals(writer):
                break
            for done in self.launcher.results(POLL_S):
                self._take(writer, done)
            self._report()
        self.progress.ended = self._draining
        writer.event("search", f"ended: {self._draining}")

    @contextmanager
    def _interruptible(self) -> Any:
        """The first Ctrl-C drains, the second stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def drain(number: int, frame: FrameType | None) -> None:
            if self._draining == INTERRUPTED:
                raise KeyboardInterrupt
            self._draining = INTERRUPTED
            self.progress.stopping = True

        known = {number: signal.signal(number, drain) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in known.items():
                signal.signal(number, handler)

    def _restore(self, writer: StudyWriter) -> None:
        """Give the controller the study's history, and the launcher what was left unfinished.

        What finishers made isn't part of it: the search goes on as if it were not there.
        """
        if self.study.identity < IDENTITY:
            writer.respell(self._respelled, self.space.fingerprint())
        searched = (record for record in writer.history() if record.proposal.origin != FINISHED)
        records = [self._rebuilt(record) for record in searched]
        told = sorted((r for r in records if r.told is not None), key=lambda r: r.told or 0)
        self.controller.restore([r.proposal for r in records], [r.evaluation for r in told])
        for record in told:
            self._count(record.evaluation)
            self._remember(record.evaluation)
            self._record.add(record.evaluation, record.evaluation.seconds)
        self._checkpoints = writer.checkpoints()
        for record in records:
            if record.told is None:
                left = [name for name in self.evaluators if name not in record.done]
                architecture = self.space.to_text(record.proposal.architecture)
                self._start(_Open(record.id, record.proposal, architecture, left, record.evaluation))

    def _respelled(self, architecture: Any) -> tuple[str, str]:
        """The text and digest, as they are written now, of an architecture in a JSON form of earlier."""
        found = self.space.from_json(architecture)
        return self.space.to_text(found), self.space.digest(found)

    def _rebuilt(self, record: Recorded) -> Recorded:
        proposal = replace(record.proposal, architecture=self.space.from_json(record.proposal.architecture))
        return replace(record, proposal=proposal, evaluation=replace(record.evaluation, proposal=proposal))

    def _fill(self, writer: StudyWriter) -> None:
        """Ask for as many candidates as can be under way."""
        while self._finals is not None and not self._draining and (found := self._finals.next()) is not None:
            self._begin(writer, *found, final=True)
        while len(self._open) < self.launcher.capacity and not self._ending():
            self.progress.enter("choosing the next candidate")
            proposals = self.controller.ask(1)
            self.progress.enter("")
            if not proposals and self.controller.waiting and self._open:
                return
            if not proposals:
                self._draining = self._draining or "the space is exhausted"
                return
            self._begin(writer, proposals[0], self._timetable.screened if self._timetable else None)

    def _begin(self, writer: StudyWriter, proposal: Proposal, until: float | None, final: bool = False) -> None:
        """Record a proposal, take over what is known of its candidate, and give it out."""
        # The controller counts its own proposals, the study those candidates that finishers made, too.
        proposal = replace(proposal, number=writer.asked)
        architecture = self.space.to_text(proposal.architecture)
        [id] = writer.ask([(proposal, architecture)])
        if final and proposal.digest in self._known:
            self.controller.take(proposal)
        work = _Open(id, proposal, architecture, list(self.evaluators), Evaluation(proposal), until, final)
        self._carry_over(writer, work)
        self._start(work)

    def _begin_finals(self, writer: StudyWriter) -> bool:
        """Choose who comes into the finals, when the screening is over; whether anybody does."""
        table = self._timetable
        if table is None or self._finals is not None or not table.spending.finals or self._draining == INTERRUPTED:
            return False
        plan, left = table.spending, table.ends - time.monotonic()
        members = chosen(self._record, plan.finals, left, plan.workers, plan.good_epochs)
        if not members and not self._draining.startswith("the space"):
            # There was no time to screen anybody, so the first that would have been are trained at once.
            members = untried(self.controller.ask(min(plan.finals, plan.workers)))
        self._finals = Finals(members, plan.workers, table.ends)
        names = ", ".join(str(one.evaluation.proposal.number) for one in members)
        writer.event("search", f"finals: candidates {names or 'none'} of {len(self._record.screened())} screened")
        self._draining = "" if members else self._draining
        return bool(members)

    def _carry_over(self, writer: StudyWriter, work: _Open) -> None:
        """Take from earlier evaluations what is paid for: all but the training of this candidate at another fidelity.

        Of its network under another recipe, what depends on the network alone.
        """
        known = self._known.get(work.proposal.digest)
        if known is not None and known.status in (Status.OK, Status.INFEASIBLE):
            # What the finals hand over is measured again, and longer; what is counted stays as it is.
            kept = [name for name in work.left if self.evaluators[name].cheap or not work.final]
            self._take_over(writer, work, known, [name for name in kept if name not in self._graded])
        alike = self._networks.get(self._network(work.proposal))
        if alike is not None:
            self._take_over(writer, work, alike, [name for name in work.left if self.evaluators[name].network_alone])

    def _network(self, proposal: Proposal) -> str:
        """The identity of the network that the candidate's recipe is for; empty where it brings no recipe."""
        network = without_recipe(proposal.architecture)
        return "" if network is proposal.architecture else self.space.digest(network)

    def _remember(self, evaluation: Evaluation) -> None:
        """Keep what later evaluations of the candidate, or of its network under another recipe, need not pay for."""
        self._known[evaluation.proposal.digest] = evaluation
        network = self._network(evaluation.proposal)
        if network and evaluation.status is Status.OK:
            self._networks[network] = evaluation

    def _take_over(self, writer: StudyWriter, work: _Open, known: Evaluation, parts: Sequence[str]) -> None:
        for name in parts:
            names = self.evaluators[name].metrics()
            metrics = tuple(metric for metric in known.metrics if metric.name in names)
            if not metrics:
                continue
            part = _once(Evaluation(work.proposal, metrics=metrics), work.so_far)
            work.so_far = work.so_far.joined(part)
            work.left.remove(name)
            writer.tell_part(work.id, name, part)

    def _ending(self) -> bool:
        budget = self.progress.budget
        if self._draining or self._finals is not None:
            if self._finals is not None and not self._open and not self._finals.left:
                self._draining = self._draining or "all finals are done"
            return True
        if self._timetable is not None and not self._timetable.room_for_one:
            self._draining = "the budget of time is used up"
            return True
        if budget.evaluations is not None and self.progress.done + len(self._open) >= budget.evaluations:
            if not self._open:
                self._draining = "the budget of evaluations is used up"
            return True
        if budget.minutes is not None and self.progress.seconds >= budget.minutes * 60:
            self._draining = "the budget of time is used up"
        elif self._fruitless >= FRUITLESS:
            self._draining = f"{FRUITLESS} candidates in a row broke a constraint; loosen it"
        return bool(self._draining)

    def _start(self, work: _Open) -> None:
        """Give out the next part of an evaluation; of a final all of them, as its device and its training don't wait
        for one another."""
        self._open[work.id] = work
        self.progress.running = len(self._open)
        for name in work.left if work.final else work.left[:1]:
            self.launcher.submit(self._job(work, name))

    def _job(self, work: _Open, name: str) -> Job:
        path = self._checkpoint(work.proposal)
        return Job(
            work.id,
            name,
            self.evaluators[name].resource,
            work.proposal,
            work.architecture,
            path,
            tuple(self._checkpoints[of][1] for of in work.proposal.parents if of in self._checkpoints),
            self._checkpoints[work.proposal.digest][0] if path else 0,
            work.until,
            work.final,
        )

    def _checkpoint(self, proposal: Proposal) -> str | None:
        """The weights that the candidate left at a lower fidelity."""
        epochs, path = self._checkpoints.get(proposal.digest, (0, None))
        return path if 0 < epochs < (proposal.fidelity or FULL) else None

    def _take(self, writer: StudyWriter, done: Done) -> None:
        """Record a finished part; end the evaluation, or go on with the next part of it."""
        work = self._open[done.job.id]
        if done.evaluation.proposal.fidelity != work.proposal.fidelity:  # the launcher stopped it early
            work.proposal = replace(work.proposal, fidelity=done.evaluation.proposal.fidelity)
            work.so_far = replace(work.so_far, proposal=work.proposal)
        part = _once(done.evaluation, work.so_far)
        work.so_far = judged(work.so_far.joined(part), self.controller.constraints)
        work.left.remove(done.job.evaluator)
        self._left_out(work)
        if work.left and (work.so_far.status is Status.OK or work.final):
            writer.tell_part(work.id, done.job.evaluator, part)
            if not work.final:
                self._start(work)
            return
        writer.tell(work.id, work.so_far, done.job.evaluator, part)
        del self._open[work.id]
        if self._finals is not None:
            self._finals.done(work.proposal.digest)
        self._remember_checkpoint(work)
        self._remember(work.so_far)
        self._record.add(work.so_far, done.evaluation.seconds)
        self._fruitless = self._fruitless + 1 if self._free(work.so_far) else 0
        self._count(work.so_far)
        self.progress.done_here += 1
        self.controller.tell([work.so_far])
        self.progress.last = work.so_far

    def _left_out(self, work: _Open) -> None:
        """Don't train what can't be worth it, by what is known before."""
        training_left = bool(self._graded & set(work.left))
        if self._timetable is None or work.final or not training_left or work.so_far.status is not Status.OK:
            return
        first = self._known.get(work.proposal.digest) is None
        why = self._record.unworthy(work.so_far, self._timetable.spending) if first else ""
        if why:
            work.so_far = replace(work.so_far, status=Status.SKIPPED, reason=why)

    def _remember_checkpoint(self, work: _Open) -> None:
        for artifact in work.so_far.artifacts:
            if artifact.kind == "weights":
                self._checkpoints[work.proposal.digest] = (work.proposal.fidelity or 0, artifact.path)

    def _count(self, evaluation: Evaluation) -> None:
        progress = self.progress
        progress.counts[str(evaluation.status)] += 1
        if evaluation.status is not Status.OK:
            progress.reasons[f"{evaluation.status}: {_kind(evaluation)}"] += 1
        progress.done += not self._free(evaluation)

    def _free(self, evaluation: Evaluation) -> bool:
        """Whether the candidate was rejected before anything but cheap evaluators had run."""
        costly = {name for e in self.evaluators.values() if not e.cheap for name in e.metrics()}
        return (
            bool(costly)
            and evaluation.status in (Status.INFEASIBLE, Status.SKIPPED)
            and not costly & evaluation.values.keys()
        )

    def _report(self) -> None:
        self.progress.running = len(self._open)
        self.progress.phase = self._phase()
        front = self.controller.archive.front
        if not front and self._timetable is not None:
            self.progress.front = self._record.front()
        elif [point.digest for point in self.progress.front] != [
            member.digest for member in front if not member.excess
        ]:
            self.progress.front = self._points()
        self._listener(self.progress)

    def _phase(self) -> str:
        if self._timetable is None:
            return ""
        if self._finals is None:
            return "screening"
        return f"finals, {len(self._finals.members) - self._finals.left} of {len(self._finals.members)} begun"

    def _points(self) -> list[Point]:
        members = [member for member in self.controller.archive.front if not member.excess]
        return [Point(m.digest, m.number, m.losses, m.values) for m in members]


def _once(part: Evaluation, so_far: Evaluation) -> Evaluation:
    """The part without metrics that an earlier part gave, too: the first figure of a name stands."""
    known = set(so_far.values)
    fresh = {metric.name: metric for metric in reversed(part.metrics) if metric.name not in known}
    return replace(part, metrics=tuple(reversed(fresh.values())))


def _kind(evaluation: Evaluation) -> str:
    """The reason without its figures, so that alike ones are counted together."""
    if evaluation.status is Status.INFEASIBLE:
        return evaluation.reason.rpartition(" breaks ")[2]
    if evaluation.status is Status.SKIPPED:
        return evaluation.reason.rpartition(": ")[2] or evaluation.reason[:80]
    return evaluation.reason[:80]


__all__ = ["Budget", "Listener", "NoneSucceeded", "Progress", "Search", "StudyUnwritable"]
