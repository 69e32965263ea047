"""The plan for a budget of time: what it is spent on, and what is said of it before anything is trained."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archfront.budget.timing import Timed
from archfront.contracts import WrongUse

GOOD_STEPS = 2500
"""Steps after which a small network trained from scratch has learnt most of what it will learn."""
GOOD_EPOCHS = (15, 60)
"""So many epochs a good training has at least, and at most."""
FEW_STEPS = 400
"""Data so small that this takes more epochs have more: the steps count there."""
LONGEST = 3
"""A final is at most so many times as long as a good training: more brings nothing."""
FINALS = (1, 8)
"""The fewest and the most finals."""
FINALS_SHARE = 0.55
"""Of the good trainings that the budget holds, as many are finals."""
SHARE = (0.3, 0.7)
"""The part of the time that is kept for the finals, at least and at most."""
SHORTEST = 0.6
"""Of a good training: where so many finals would be shorter than this, there are fewer."""
MEASURED_S = {"search": 9.0, "brief": 3.0}
"""What a latency takes the device, which measures one network at a time, by how long it is measured."""
REDUCTION = 3
START_S, START_ALONE_S = 12.0, 2.0
"""What workers take to start, processes that import, load data and meet a network for the first time; and one that
works in the search's own process."""
END_S = 4.0
"""What is kept for the end: the last results are recorded, workers stop, the front is shown."""
SUPERNET = 400
"""So many good trainings a budget must hold before a supernet is worth a thought. A cautious guess: with budgets of a
few trainings, one took all of the time and chose a worse network than short trainings of each did."""


@dataclass(frozen=True)
class Choices:
    """What the user decided instead of the plan; None leaves it to the plan, False leaves it out."""

    finals: int | bool | None = None
    rungs: tuple[int, ...] | bool | None = None
    epochs: int | None = None
    portfolio: bool = True
    recipe: bool = True


@dataclass(frozen=True)
class Spending:
    """What a budget is spent on; stored with the study, the moments apart.

    `epoch_s` is what an epoch of a typical network takes one worker, tests included; `good_epochs` are those of a
    training that has learnt most of what it will learn, `epochs` the most that a final may have. `rungs` are the
    epochs of the screening, of some `candidates`; `finals` networks are trained on from there in the last
    `finals_s` of all `seconds`.
    """

    seconds: float
    workers: int
    epoch_s: float
    fastest_s: float
    slowest_s: float
    tests_s: float
    good_epochs: int
    epochs: int
    rungs: tuple[int, ...]
    candidates: int
    finals: int
    finals_s: float
    known: int = 0
    effort: str = "search"

    def affords(self, epoch_s: float) -> bool:
        """Whether a network whose epoch takes so long could be trained to the end: a final has one worker."""
        return SHORTEST * self.good_epochs * epoch_s <= (self.finals_s or self.seconds)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Spending":
        """What `to_json` gave."""
        fields: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}
        return cls(**fields)

    def lines(self, used: float = 0.0) -> list[str]:
        """The plan as it is said to the user, when so many seconds are over already."""
        what = f"{duration(self.seconds)} on {self.workers} worker{'s' if self.workers > 1 else ''}"
        said = [
            f"plan for {what}: an epoch of a typical network takes {self.epoch_s:.3g} s here "
            f"({self.fastest_s:.3g} to {self.slowest_s:.3g} s)"
        ]
        begun = f", begun with {self.known} networks known to be good" if self.known else ""
        if self.candidates and self.rungs:
            further = f", the best third of them for {self.rungs[-1]}" if len(self.rungs) > 1 else ""
            said.append(
                f"  screening: some {self.candidates} networks for {_epochs(self.rungs[0])}{further}, "
                f"{duration(self.seconds - self.finals_s)}{begun}"
            )
        if self.finals:
            network = "the best network" if self.finals == 1 else f"the {self.finals} best of the front"
            said.append(f"  finals: {network} trained on, up to {_epochs(self.epochs)}, {duration(self.finals_s)}")
        if self.seconds * self.workers < SUPERNET * self.good_epochs * self.epoch_s:
            hours = SUPERNET * self.good_epochs * self.epoch_s / self.workers / 3600
            said.append(f"  no supernet: with this data it would take a budget of {duration(3600 * hours)} or more")
        end = time.strftime("%H:%M:%S", time.localtime(time.time() + self.seconds - used))
        said.append(f"  it will end at {end}; --plan shows this and stops, --set plan.finals=N changes it")
        return said


def planned(
    seconds: float,
    workers: int,
    timed: Sequence[Timed],
    steps: int,
    choices: Choices,
    known: int = 0,
    used: float = 0.0,
    start: float = 0.0,
    measures: bool = False,
) -> Spending:
    """The plan for so many seconds of so many workers, whose trainings take as long as was timed.

    `steps` is how many an epoch has, `known` how many networks are known to be good, `used` how many of the seconds
    are over, `start` how many of them this process took to start: workers take as long; `measures`, that
    each candidate is measured on a device. Raises `WrongUse` where the
    budget doesn't even hold an epoch of the fastest network.
    """
    if not timed:
        raise WrongUse("none of the networks that were tried can be trained on this data; see --space")
    tests = statistics.median(one.tests_s for one in timed)
    epoch = statistics.median(one.epoch_s for one in timed)
    fastest, slowest = min(one.epoch_s for one in timed), max(one.epoch_s for one in timed)
    before = used + (max(START_S, start) if workers > 1 else START_ALONE_S)
    work = max(0.0, seconds - before - END_S) * workers
    if work < 2 * (fastest + tests):
        least = (2 * (fastest + tests) + before + END_S) / 60
        raise WrongUse(
            f"the budget of {duration(seconds)} doesn't hold two epochs of the fastest network tried, which take "
            f"{duration(2 * (fastest + tests))}; say --minutes {math.ceil(10 * 3 * least) / 10:g} or more, or make the "
            "data smaller (--set data.size=PIXELS, fewer files)"
        )
    good = choices.epochs or good_epochs(steps)
    trainings = work / (good * epoch + tests)
    finals, share = _finals(trainings, choices, workers)
    rungs = _rungs(good, trainings, choices) if share < 1 else ()
    each = sum(_cost(rungs, epoch, tests))
    candidates = max(1, int((1 - share) * work / each)) if rungs else 0
    effort = "brief" if measures and each < workers * MEASURED_S["search"] else "search"
    if measures and rungs:
        candidates = max(1, min(candidates, int((1 - share) * work / workers / MEASURED_S[effort])))
    return Spending(
        seconds=seconds,
        workers=workers,
        epoch_s=epoch,
        fastest_s=fastest,
        slowest_s=slowest,
        tests_s=tests,
        good_epochs=good,
        epochs=LONGEST * good if finals else good,
        rungs=rungs,
        candidates=candidates,
        finals=finals,
        finals_s=share * (seconds - before - END_S) + END_S if finals else 0.0,
        known=known,
        effort=effort,
    )


def good_epochs(steps: int) -> int:
    """The epochs of a good training, of so many steps each."""
    most = max(GOOD_EPOCHS[1], math.ceil(FEW_STEPS / steps))
    return min(max(math.ceil(GOOD_STEPS / steps), GOOD_EPOCHS[0]), most)


def _finals(trainings: float, choices: Choices, workers: int) -> tuple[int, float]:
    """How many finals there are, and the share of the time that they get, by the good trainings that it holds.

    There is one for each worker at least: a training has one, and the others would have nothing to do.
    """
    if choices.finals is False:
        return 0, 0.0
    usual = max(min(max(round(FINALS_SHARE * trainings), FINALS[0]), FINALS[1]), workers)
    count = usual if choices.finals in (None, True) else int(choices.finals)
    return count, min(max(count / max(trainings, 1e-9), SHARE[0]), SHARE[1])


def _rungs(good: int, trainings: float, choices: Choices) -> tuple[int, ...]:
    """The epochs that candidates are screened for: fewer where the budget holds few trainings."""
    if isinstance(choices.rungs, tuple):
        return choices.rungs
    last = max(1, round(good / REDUCTION))
    if choices.rungs is False:
        return (last,)
    first = max(1, round(good / REDUCTION**2))
    if trainings < 3:
        return (max(1, first // 2),)
    return (first, last) if last > first else (first,)


def _cost(rungs: Sequence[int], epoch: float, tests: float) -> list[float]:
    """What each rung costs per candidate that is begun, of whom a third comes to the next."""
    found, before = [], 0
    for number, rung in enumerate(rungs):
        found.append(((rung - before) * epoch + tests) / REDUCTION**number)
        before = rung
    return found


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    whole = max(0, round(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min" if whole >= 60 else f"{whole} s"
    return f"{whole // 3600}:{whole // 60 % 60:02d} h"
