"""Networks that are known to be good, as far as the budget can train them."""

import statistics
from collections.abc import Sequence
from typing import Any

from archfront.budget.timing import Timed
from archfront.contracts import Proposal, Status
from archfront.plan import Experiment
from evaluators.base import attempt, create

SPACE, PICTURES = "families", "pictures"
"""The space that holds them, and what they take."""
LEAST_SIDE = 16
"""Pixels of a side below which the classic families have nothing to downsample."""


def suits(data: Any) -> bool:
    """Whether the classic families are for this data set, and its task."""
    from evaluators.tasks.classification import Classification
    from evaluators.tasks.multi_label import MultiLabel

    return (
        data.medium in (PICTURES, "spectrograms")
        and min(data.inputs[1:]) >= LEAST_SIDE
        and isinstance(data.task, Classification | MultiLabel)
    )


def portfolio_of(experiment: Experiment, without: Sequence[str] = ()) -> list[Any]:
    """The portfolio's networks that lie in the search's space, the most useful ones first."""
    from search_spaces.portfolio import portfolio

    if not suits(experiment.data):
        return []
    listed = portfolio(experiment.data.inputs, experiment.data.train.size, frozenset(without))
    return [architecture for _, architecture in listed if architecture in experiment.space]


def macs_of(experiment: Experiment, architecture: Any) -> float | None:
    """The multiply-accumulates of a network; None where it can't be built."""
    proposal = Proposal(architecture, experiment.space.digest(architecture))
    found = attempt(create("cost"), proposal, experiment.context)
    return found.values.get("macs") if found.status is Status.OK else None


class Pace:
    """What an epoch of any network takes, by what those took that were timed: as much for as many operations."""

    def __init__(self, timed: Sequence[Timed]) -> None:
        rates = [(one.macs, one.epoch_s) for one in timed if one.macs]
        self._known = sorted(rates)

    def epoch_s(self, macs: float) -> float:
        """Seconds, by the network timed that is nearest in operations; small ones take longer for each of theirs."""
        if not self._known:
            return 0.0
        nearest = sorted(self._known, key=lambda pair: abs(pair[0] - macs))[:2]
        return statistics.fmean(epoch * (macs / known) ** (1.0 if macs > known else 0.6) for known, epoch in nearest)
