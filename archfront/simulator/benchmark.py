"""A space of which every candidate's figures are known, and how far a search of it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archfront.contracts import Constraint, Context, Evaluation, Objective, Proposal, WrongUse, judged, losses
from archfront.plan import Experiment, Plan
from archfront.study.front import hypervolume, nondominated
from archfront.warm_start import COUNTED, STAND_INS, WarmStart, by_proxy, only
from controllers.rungs import epochs_of
from evaluators.base import Evaluator, create, find, parse
from search_spaces.space import COUNTABLE, SearchSpace

Losses = npt.NDArray[np.float64]
"""One row per candidate, one column per objective, less is better; infinite where a candidate isn't feasible."""
EPOCHS = 10_000
"""What a full evaluation counts as; only shares of it mean anything here."""


class Benchmark:
    """A space and the table of its candidates' figures.

    Args:
        space: at most `COUNTABLE` architectures, all of which are looked up once.
        evaluator: a cheap one, such as `table`.
        objectives: one is judged by regret, several by hypervolume.
        seconds: what an evaluation takes: a number, or the name of a metric that holds it.
        reference: the worst value that counts of some objectives; of the others, the worst that a feasible
            candidate has.
        fidelities: for shares of a full training, the metric that then stands in for the first objective's.
    """

    def __init__(
        self,
        space: SearchSpace,
        evaluator: Evaluator,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seconds: str | float = 1.0,
        reference: Mapping[str, float] | None = None,
        fidelities: Mapping[float, str] | None = None,
    ) -> None:
        size = space.size()
        if not evaluator.cheap or size is None or size > COUNTABLE:
            raise WrongUse(
                f"a simulation looks every candidate up, at most {COUNTABLE:,}; say --space table:FILE, or a small "
                "space, and --evaluator table:FILE"
            )
        self.space = space
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self._evaluator = evaluator
        self._seconds = seconds
        self._given = dict(reference or {})
        for name in self._given:
            if name not in [objective.metric for objective in self.objectives]:
                raise WrongUse(f"--reference {name}: no objective is named so")
        self._columns = {epochs_of(share, EPOCHS): name for share, name in (fidelities or {}).items()}
        self._context = Context(Path("."))

    @classmethod
    def of(
        cls,
        plan: Plan,
        seconds: str | float = 1.0,
        reference: Mapping[str, float] | None = None,
        fidelities: Mapping[float, str] | None = None,
        proxies: Sequence[str] = (),
    ) -> "Benchmark":
        """The benchmark that a plan's space, evaluator, objectives and constraints make; `proxies` are more columns."""
        if not plan.objectives:
            raise WrongUse("a simulation needs an objective; say, for example, --objective COLUMN:max")
        columns = [*plan.wanted, *([seconds] if isinstance(seconds, str) else []), *(fidelities or {}).values()]
        columns += [name for name in proxies if name not in columns]
        if not find(parse(plan.evaluator)[0]).self_contained:
            raise WrongUse(f"a simulation needs a table: --evaluator table:FILE, not '{plan.evaluator}'")
        whole = create(plan.evaluator, dict(plan.evaluator_settings))
        for name in columns:
            whole.check_metric(name)
        columns += [name for name in STAND_INS if proxies and name in whole.metrics() and name not in columns]
        experiment, goals, bounds = Experiment(plan), plan.parsed_objectives, plan.parsed_constraints
        return cls(experiment.space, experiment.main_for(columns), goals, bounds, seconds, reference, fidelities)

    @property
    def measure(self) -> str:
        """What `progress` is: `regret` with one objective, `hypervolume ratio` with several."""
        return "regret" if len(self.objectives) == 1 else "hypervolume ratio"

    @property
    def epochs(self) -> int | None:
        """What a full evaluation has; None where the table knows no lower fidelity."""
        return EPOCHS if self._columns else None

    def evaluate(self, proposal: Proposal, done: int = 0) -> Evaluation:
        """The candidate's figures, infeasible where they break a constraint; `seconds` are virtual.

        They are those of the training from epoch `done` to the proposal's fidelity.
        """
        whole = self._evaluator.evaluate(proposal, self._context)
        found = judged(self._at(proposal.fidelity, whole), self.constraints)
        seconds = found.values.get(self._seconds, 0.0) if isinstance(self._seconds, str) else self._seconds
        if not isfinite(seconds) or seconds < 0:
            raise WrongUse(f"the seconds of a candidate are {seconds}; --seconds needs a column of positive numbers")
        return replace(found, seconds=seconds * ((proposal.fidelity or EPOCHS) - done) / EPOCHS)

    def _at(self, fidelity: int | None, whole: Evaluation) -> Evaluation:
        """The full evaluation as it is at a fidelity: the objective's figure is that of the fidelity's column."""
        if fidelity is None:
            return whole
        if fidelity not in self._columns:
            known = ", ".join(f"{epochs / EPOCHS:g}" for epochs in sorted(self._columns))
            raise WrongUse(
                f"no column stands for the fidelity {fidelity / EPOCHS:g}, only for {known}; say --fidelity "
                "SHARE=COLUMN for each rung, or give the controller fidelities=[SHARE, …]"
            )
        objective, column = self.objectives[0].metric, self._columns[fidelity]
        metrics = {metric.name: metric for metric in whole.metrics}
        low = metrics.get(column)
        metrics.pop(objective, None)
        if low is not None:
            metrics[objective] = replace(low, name=objective)
        return replace(whole, metrics=tuple(metrics.values()))

    def begun_with(self, text: str, seed: int) -> list[Any]:
        """The candidates that a warm start by a column, `proxy:COLUMN:10/200`, begins with; looking costs nothing."""
        wanted = WarmStart.parse(text)
        if wanted.kind != "proxy" or wanted.name == self.objectives[0].metric:
            raise WrongUse(f"warm_start={text}: a simulation knows proxy:COLUMN:COUNT/DRAWN, of no objective's column")

        def score(proposal: Proposal) -> Evaluation:
            found = only(self._evaluator.evaluate(proposal, self._context), {wanted.name, *COUNTED})
            return judged(found, self.constraints)

        return by_proxy(wanted, self.space, score, self.objectives, self.constraints, seed)

    def losses(self, evaluation: Evaluation) -> tuple[float, ...]:
        """The evaluation's losses; infinite where it has none, isn't feasible, or isn't of full fidelity."""
        full = evaluation.status == "ok" and evaluation.proposal.fidelity is None
        found = losses(evaluation.values, self.objectives) if full else None
        return found or (float("inf"),) * len(self.objectives)

    @cached_property
    def every(self) -> Losses:
        """The losses of all feasible candidates."""
        found = [self.losses(self.evaluate(Proposal(a, ""))) for a in self.space.enumerate()]
        rows = np.array([row for row in found if isfinite(row[0])], dtype=np.float64)
        if not len(rows):
            raise WrongUse("no candidate keeps the constraints, or has all objectives; loosen --constraint")
        return rows

    @cached_property
    def front(self) -> Losses:
        """The losses that no candidate beats."""
        return self._front(self.every)

    @cached_property
    def bound(self) -> Losses:
        """The reference of hypervolumes, as losses."""
        worst = self.every.max(axis=0)
        for i, objective in enumerate(self.objectives):
            if objective.metric in self._given:
                worst[i] = objective.loss(self._given[objective.metric])
        return worst

    @property
    def reference(self) -> dict[str, float]:
        """The reference of hypervolumes by objective."""
        values = [objective.loss(float(x)) for objective, x in zip(self.objectives, self.bound, strict=True)]
        return dict(zip([objective.metric for objective in self.objectives], values, strict=True))

    @cached_property
    def whole(self) -> float:
        """The hypervolume of the true front."""
        volume = hypervolume(self.front.tolist(), self.bound.tolist())
        if volume <= 0:
            raise WrongUse("no candidate is better than the reference in all objectives; say another --reference")
        return volume

    def progress(self, found: Losses, counts: Sequence[int]) -> list[float]:
        """After each of `counts` evaluations, the share of the true hypervolume that was found, or the regret.

        Regret is in the objective's own unit, infinite before the first feasible candidate.
        """
        if len(self.objectives) == 1:
            best = np.minimum.accumulate(found[:, 0]) - self.every.min()
            return [float(best[min(count, len(best)) - 1]) if count else inf for count in counts]
        front, done, share, shares = np.empty((0, len(self.objectives))), 0, 0.0, []
        for count in counts:
            fresh = [row for row in found[done:count] if self._adds(row, front)]
            done = max(done, count)
            if fresh:
                front = self._front(np.vstack([front, *fresh]))
                share = hypervolume(front.tolist(), self.bound.tolist()) / self.whole
            shares.append(share)
        return shares

    def _adds(self, row: Losses, front: Losses) -> bool:
        return bool((row < self.bound).all()) and not bool((front <= row).all(axis=1).any())

    def _front(self, rows: Losses) -> Losses:
        distinct = np.unique(rows, axis=0)
        return distinct[nondominated(distinct.tolist())]


def describe(benchmark: Benchmark) -> dict[str, Any]:
    """What a benchmark's results must say of it, as JSON values."""
    return {
        "space": benchmark.space.name,
        "candidates": benchmark.space.size(),
        "feasible": len(benchmark.every),
        "front": len(benchmark.front),
        "objectives": [str(objective) for objective in benchmark.objectives],
        "constraints": [str(constraint) for constraint in benchmark.constraints],
        "measure": benchmark.measure,
        **({"reference": benchmark.reference} if len(benchmark.objectives) > 1 else {}),
    }
