"""The conformance suite of controllers: subclass it in a test module, say what to test, and pytest does the rest.

class TestMine(ControllerConformance):
    controller = Mine
    settings = {"population": 8}
"""

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from math import inf
from random import Random
from typing import Any, ClassVar

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse, judged
from controllers.base import Controller
from search_spaces.holes import integers, one_of, repeat
from search_spaces.space import SearchSpace, Space
from search_spaces.table import TableSpace

TENTH = 10
SLACK_S = 0.2
"""Processor time that makes no difference, so that what takes milliseconds isn't judged by chance."""
GRID = TableSpace("grid", ["a", "b", "c"], [(a, b, c) for a in range(6) for b in range(6) for c in range(6)])
"""A space of 216 candidates."""
SMALL = TableSpace("small", ["a", "b", "c"], [(a, b, c) for a in range(3) for b in range(3) for c in range(3)])
"""A space of 27 candidates, to be exhausted."""
WIDE = Space((integers(0, 5),) * 5, "wide")
"""A space of 7,776 candidates: more neighbours than a short search tries."""
LAYERS = Space(repeat(integers(1, 8), (one_of("a", "b", "c"), one_of(1, 2, 4))), "layers")
"""A space of 4 · 10^7 candidates in which most decisions depend on another."""
OBJECTIVES = (
    Objective("accuracy", "max"),
    Objective("latency", "min"),
    Objective("params", "min"),
    Objective("even", "max"),
)
BOUND = Constraint("heat", 5.0)
"""A constraint on a metric that is no objective; about half of each space keeps it."""

Measure = Callable[[Proposal], Evaluation]


def measured(proposal: Proposal) -> Evaluation:
    """A smooth trade-off over each space; one candidate in seven fails, another lacks a metric."""
    a, b, c = _numbers(proposal.architecture)
    values = {
        "accuracy": a + b - 0.1 * c * c,
        "latency": a * a + c,
        "params": b * c,
        "even": float(a == b),
        "heat": 2 * abs(b - 2) + a,
    }
    draw = int(proposal.digest[:6], 16) % 14
    if draw in (3, 9):
        return Evaluation(proposal, Status.DIVERGED, "loss is nan")
    if draw == 5:
        del values["accuracy"]
    return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


def _numbers(architecture: Any) -> tuple[int, ...]:
    """Three numbers of about the same ranges in each space."""
    if not isinstance(architecture, tuple):
        return tuple(architecture.values)
    if isinstance(architecture[0], int):
        return architecture[:3]
    sizes = [size for _, size in architecture]
    return len(sizes), sum(sizes) // 4, sum(kind == "a" for kind, _ in architecture)


@cache
def many(space: SearchSpace, count: int) -> tuple[Proposal, ...]:
    """Different candidates of a space, as a study holds them."""
    rng = Random(0)
    found: dict[str, Any] = {}
    while len(found) < count:
        architecture = space.sample(rng, "architectures")
        found[space.digest(architecture)] = architecture
    return tuple(Proposal(a, digest, origin="random", number=i) for i, (digest, a) in enumerate(found.items()))


class ControllerConformance:
    """What every controller owes. Asserts in one line what a refused number of objectives or a constraint must say.

    `settings` are what its constructor is given besides space, objectives, constraints and seed. A controller whose
    proposals cost more than milliseconds asks for less: `steps` proposals per search, `tells` results in a history,
    `seeds` to judge by. One whose proposals don't depend on evaluations says `learns = False`.
    """

    controller: ClassVar[type[Controller]]
    settings: ClassVar[Mapping[str, Any]] = {}
    steps: ClassVar[int] = 40
    tells: ClassVar[int] = 10_000
    seeds: ClassVar[int] = 4
    learns: ClassVar[bool] = True
    growth: ClassVar[float] = 2.5
    """How many times as long each of `tells` results may take as each of a tenth of them; 10 were quadratic."""
    grid: ClassVar[SearchSpace] = GRID
    small: ClassVar[SearchSpace] = SMALL
    wide: ClassVar[SearchSpace] = WIDE
    layers: ClassVar[SearchSpace] = LAYERS
    """A controller of certain spaces alone names some of about these sizes, and a `measure` of their candidates."""

    def measure(self, proposal: Proposal) -> Evaluation:
        """What becomes of a candidate."""
        return measured(proposal)

    def made(
        self,
        space: SearchSpace | None = None,
        objectives: int | None = None,
        seed: int = 0,
        constraints: Sequence[Constraint] = (),
    ) -> Controller:
        """The controller under test, by default with as many objectives as it takes, two at most."""
        space = self.grid if space is None else space
        if objectives is None:
            try:
                return self.made(space, 2, seed, constraints)
            except WrongUse:
                objectives = 1
        return type(self).controller(space, OBJECTIVES[:objectives], constraints, seed, **self.settings)

    def searched(self, search: Controller, steps: int) -> list[Proposal]:
        """The proposals of a search with one worker; stops where the space is exhausted."""
        asked: list[Proposal] = []
        for _ in range(steps):
            batch = search.ask(1)
            asked += batch
            search.tell([judged(self.measure(proposal), search.constraints) for proposal in batch])
        return asked

    def test_proposals_are_of_the_space(self) -> None:
        for space in (self.grid, self.layers):
            asked = self.searched(self._fitting(space), self.steps)
            known: set[str] = set()
            for number, proposal in enumerate(asked):
                assert proposal.architecture in space, "a proposal is in the space"
                assert proposal.digest == space.digest(proposal.architecture), "its digest is its architecture's"
                assert proposal.number == number, "numbers count what was asked"
                assert set(proposal.parents) <= known, "parents were proposed before"
                assert proposal.origin, "origin says how a proposal was made"
                assert proposal.fidelity is None or proposal.fidelity > 0
                known.add(proposal.digest)

    def test_the_seed_alone_decides(self) -> None:
        runs = []
        for noise, seed in enumerate((0, 0, 1)):
            random.seed(noise)  # draws from the global generator would differ from run to run
            runs.append([p.digest for p in self.searched(self._fitting(self.grid, seed=seed), self.steps)])
        assert runs[0] == runs[1], "equal seeds give equal searches"
        assert runs[0] != runs[2], "another seed gives another search"

    def test_never_proposes_a_duplicate(self) -> None:
        for space in (self.grid, self.layers):
            self.check_fresh(self.searched(self._fitting(space), self.steps))

    def check_fresh(self, asked: Sequence[Proposal]) -> None:
        """No candidate comes twice; from a multi-fidelity controller, only at a higher fidelity than before."""
        reached: dict[str, float] = {}
        for proposal in asked:
            fidelity = inf if proposal.fidelity is None else proposal.fidelity
            assert type(self).controller.multi_fidelity or fidelity == inf, "other fidelities are said to be proposed"
            assert fidelity > reached.get(proposal.digest, 0), "a candidate isn't proposed twice"
            reached[proposal.digest] = fidelity

    def test_gives_batches(self) -> None:
        search = self._fitting(self.grid)
        batch = search.ask(7)
        assert len({p.digest for p in batch}) == 7, "a batch holds as many different candidates as were asked for"
        again = search.ask(5)
        assert len({p.digest for p in batch + again}) == 12, "what is under way isn't proposed again"
        search.tell(map(self.measure, batch + again))
        assert len(search.ask(3)) == 3
        assert search.ask(0) == []

    def test_a_restored_search_goes_on_as_if_never_stopped(self) -> None:
        for space in (self.grid, self.layers):
            for constraints in ((), (BOUND,)):
                self._check_restored(space, constraints)

    def _check_restored(self, space: SearchSpace, constraints: Sequence[Constraint]) -> None:
        first = self._fitting(space, constraints=constraints)
        rng = Random(3)
        asked: list[Proposal] = []
        told: list[Evaluation] = []
        waiting: list[Proposal] = []
        for step in range(self.steps // 2):
            proposals = first.ask(rng.randrange(1, 4))
            asked += proposals
            waiting += proposals
            rng.shuffle(waiting)  # results come back in any order, some not at all
            results = [judged(self.measure(waiting.pop()), first.constraints) for _ in range(min(len(waiting), 2))]
            told += results
            first.tell(results)
            if step % 8 == 5:
                copies = [self._fitting(space, constraints=constraints) for _ in range(2)]
                for copy in copies:
                    copy.restore(asked, told)
                assert copies[0].ask(3) == copies[1].ask(3), "equal histories give equal proposals"
        second = self._fitting(space, constraints=constraints)
        second.restore(asked, told)
        assert second.ask(3) == first.ask(3), "a search that was stopped proposes what it would have"

    def test_an_exhausted_space_ends_cleanly(self) -> None:
        search = self._fitting(self.small)
        asked: list[Proposal] = []
        while batch := search.ask(5):
            asked += batch
            search.tell(map(self.measure, batch))
            assert len(asked) <= 100 * (self.small.size() or 0), "it ends"
        self.check_fresh(asked)
        assert {p.digest for p in asked} == set(map(self.small.digest, self.small.enumerate())), (
            "every candidate is proposed"
        )
        assert search.ask(1) == [], "the end stays the end"

    def test_nothing_but_failures_is_survived(self) -> None:
        search = self._fitting(self.grid)
        for _ in range(self.steps):
            search.tell([Evaluation(proposal, Status.FAILED, "no result") for proposal in search.ask(1)])
        assert search.archive.front == []
        assert len(search.ask(2)) == 2

    def test_takes_one_two_and_four_objectives_or_says_that_it_cannot(self) -> None:
        taken = 0
        for count in (1, 2, 4):
            search = refused(partial(self.made, objectives=count))
            if search is None:
                continue
            taken += 1
            asked = self.searched(search, self.steps)
            assert len(asked) == self.steps
            self.check_fresh(asked)
            assert search.archive.front, "the archive knows the best"
            assert all(len(member.losses) == count for member in search.archive.front)
        assert taken, "a controller takes some number of objectives"

    def test_constraints_steer_or_are_refused(self) -> None:
        kept = []
        for constraints in ((), (BOUND,)):
            count = 0
            for seed in range(self.seeds if self.learns else 1):
                search = refused(partial(self.made, self.wide, 1, seed, constraints))
                if search is None:
                    return
                asked = self.searched(search, 2 * self.steps)[self.steps :]
                values = [self.measure(proposal).values for proposal in asked]
                count += sum(BOUND.excess(v["heat"]) == 0 for v in values if "heat" in v)
                assert not constraints or all(member.excess == 0 for member in search.archive.front)
            kept.append(count)
        assert not self.learns or kept[1] > kept[0], f"feasible: {kept[1]} with the constraint, {kept[0]} without"

    def test_long_histories_stay_fast(self) -> None:
        proposals = many(self.layers, self.tells)
        results = [self.measure(proposal) for proposal in proposals]
        short, long = (self._seconds(proposals[:count], results[:count]) for count in (self.tells // TENTH, self.tells))
        allowed = self.growth * TENTH * short + SLACK_S
        assert long <= allowed, f"{self.tells} results took {long:.1f} s, a tenth of them {short:.2f} s"

    def _seconds(self, proposals: Sequence[Proposal], results: Sequence[Evaluation]) -> float:
        """Processor time that a history and two more proposals take."""
        search = self._fitting(self.layers)
        # A collection looks at every object of the process, other tests' too.
        gc.disable()
        try:
            start = time.process_time()
            search.restore(proposals, results)
            assert len(search.ask(2)) == 2
            return time.process_time() - start
        finally:
            gc.enable()

    def _fitting(self, space: SearchSpace, seed: int = 0, constraints: Sequence[Constraint] = ()) -> Controller:
        """The controller on `space`, without the constraints where it refuses them."""
        try:
            return self.made(space, None, seed, constraints)
        except WrongUse:
            return self.made(space, None, seed)


def refused(make: Callable[[], Controller]) -> Controller | None:
    """What `make` makes; None where the controller refuses, which it must do in one line."""
    try:
        return make()
    except WrongUse as error:
        text = str(error)
        assert 10 < len(text) < 300 and "\n" not in text, f"say in one line why: {text!r}"
        return None


__all__ = ["BOUND", "GRID", "LAYERS", "OBJECTIVES", "SMALL", "WIDE", "ControllerConformance", "measured"]
