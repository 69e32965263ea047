"""Model-based search: evaluate next what is expected to add most to the front."""

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from moocore import is_nondominated

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.acquisition import expected_gain
from controllers.base import CONTROLLERS, Controller
from controllers.encoding import BinaryEncoding, Floats, Vectors
from controllers.outcome_model import Known, Observation, OutcomeModel
from controllers.pool import Pool
from search_spaces.space import SearchSpace

ROUNDS, BRED, INCUMBENTS = 3, 40, 5
"""Where a space can't be looked at as a whole: rounds of breeding candidates, how many in each, and from how many."""
NEAREST = 25
"""Where it can, how many of the architectures nearest to each member of the front are looked at."""
WAITING = 16
"""How many of the latest candidates under way are taken into account."""
TABLE = 20_000_000
"""Numbers that the table of pool times observations may hold; more observations than that are left out."""
TIE = 1e-9


@CONTROLLERS.register(
    "model-based",
    source="Think Global and Act Local: Bayesian Optimisation over High-Dimensional Categorical and Mixed Search "
    "Spaces",
)
class ModelBasedSearch(Controller):
    """A Gaussian process per objective; proposes the candidate with the largest expected hypervolume improvement.

    The kernel compares architectures decision by decision, with weights fitted to the observations, and also by how
    often each option occurs. Candidates are the unseen architectures nearest to the front in a space of up to 60,000,
    else the children of the front and of the most promising of them. Constraints and failures are modelled, too: what
    a candidate is expected to gain counts as much as it is likely to be feasible.

    Args:
        start: random candidates before the first model.
        observations: how many of them a model takes; beyond that, the front, the latest and some random ones.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        start: int = 10,
        observations: int = 400,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 2 or observations < 20:
            raise WrongUse("model-based needs start >= 2 and observations >= 20")
        self._start = start
        self._most = observations
        self._told: list[Observation] = []
        self._model: OutcomeModel | None = None
        self._fitted = self._learnt = 0

    def observe(self, evaluation: Evaluation) -> None:
        self._told.append(Observation(evaluation, self.archive.member(evaluation)))

    def propose(self, rng: Random) -> Proposal:
        model = self._current_model() if self._asked >= self._start else None
        if model is None:
            return self.proposal(self.space.sample(rng), "random")
        told = {observation.evaluation.proposal.digest for observation in self._told}
        waiting = [known for digest, known in self._architectures.items() if digest not in told][-WAITING:]
        with model.pending(self._encoded(waiting)) as expected:
            front = [member.losses for member in self.archive.front if member.excess == 0]
            losses = np.concatenate([np.array(front).reshape(len(front), len(self.objectives)), expected])
            goal = _Goal(model, losses, bool(front))
            return self._best_of_pool(goal, rng) if self._pool else self._best_bred(goal, rng)

    @cached_property
    def _pool(self) -> Pool | None:
        return Pool.of(self.space)

    @cached_property
    def _encoding(self) -> BinaryEncoding:
        return BinaryEncoding(self.space.decisions)

    @cached_property
    def _pool_vectors(self) -> Vectors:
        genes = self._pool.genes if self._pool else np.zeros((0, len(self.space.decisions)), dtype=np.int64)
        return self._encoding.encode(genes)

    def _encoded(self, architectures: Sequence[Any]) -> Vectors:
        genes = [self.space.genes(architecture) for architecture in architectures]
        return self._encoding.encode(np.array(genes, dtype=np.int64).reshape(len(genes), len(self.space.decisions)))

    def _known(self, observations: Sequence[Observation]) -> Known:
        vectors = self._encoded([observation.evaluation.proposal.architecture for observation in observations])
        return list(zip(observations, vectors, strict=True))

    def _current_model(self) -> OutcomeModel | None:
        """The model of what was told so far: fitted anew now and then, extended in between. A cache of the history."""
        fitted = last_fit(len(self._told), self._start)
        if sum(o.member is not None for o in self._told[:fitted]) < 2:
            return None
        if self._model is None or fitted != self._fitted:
            chosen = self._known(self._selected(fitted))
            self._model = OutcomeModel(
                self._encoding, len(self.objectives), self.constraints, chosen, self._start, self._pool_vectors
            )
            self._fitted = self._learnt = fitted
        self._model.extend(self._known(self._told[self._learnt :]))
        self._learnt = len(self._told)
        return self._model

    def _selected(self, count: int) -> list[Observation]:
        """The first `count` observations; of too many the best, the first, the latest half and random ones."""
        most = min(self._most, max(100, TABLE // max(len(self._pool_vectors), 1)))
        told = self._told[:count]
        if count <= most:
            return told
        members = [(i, o.member) for i, o in enumerate(told) if o.member is not None]
        least = min(member.excess for _, member in members)
        feasible = [(i, member.losses) for i, member in members if member.excess == least]
        best = is_nondominated(np.array([losses for _, losses in feasible]))
        kept = (
            {i for (i, _), good in zip(feasible, best, strict=True) if good}
            | set(range(self._start))
            | set(range(count - most // 2, count))
        )
        others = [i for i in range(count) if i not in kept]
        kept |= set(Random(f"{self.seed}/fit/{count}").sample(others, max(0, min(len(others), most - len(kept)))))
        return [told[i] for i in sorted(kept)]

    def _best_of_pool(self, goal: "_Goal", rng: Random) -> Proposal:
        assert self._pool is not None
        unseen = self._pool.unseen(self._architectures)
        if not len(unseen):
            return self.proposal(self.space.sample(rng), "random")
        unseen = self._near_front(unseen)
        scores = goal.scores(None, rng, unseen)
        for index in unseen[np.argsort(-scores, kind="stable")]:
            found = self.proposal(self._pool.architectures[index], "model")
            if found.digest not in self._architectures:
                return found
            self._pool.drop(int(index))
        return found

    def _near_front(self, unseen: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Those nearest to any member of the front: far from all observations a model is rarely right."""
        assert self._pool is not None
        if len(unseen) <= NEAREST:
            return unseen
        near = np.zeros(len(unseen), dtype=bool)
        genes = self._pool.genes[unseen]
        for member in self.archive.front:
            distance = (genes != np.array(self.space.genes(self.architecture(member.digest)))).sum(axis=1)
            near[np.argpartition(distance, NEAREST)[:NEAREST]] = True
        return unseen[near] if near.any() else unseen

    def _best_bred(self, goal: "_Goal", rng: Random) -> Proposal:
        """The most promising of a few generations, each bred from the front and the best of those before."""
        parents = [self.architecture(member.digest) for member in self.archive.front] or [self.space.sample(rng)]
        known = {self.space.genes(self.architecture(member.digest)) for member in self.archive.front}
        pool: list[tuple[float, Any]] = []
        for _ in range(ROUNDS):
            bred: list[Any] = []
            for _ in range(BRED):
                child = self._child(parents, rng)
                genes = self.space.genes(child)
                if genes not in known:
                    known.add(genes)
                    bred.append((genes, child))
            if bred:
                vectors = self._encoding.encode(np.array([genes for genes, _ in bred]))
                scores = goal.scores(vectors, rng)
                pool += [(float(score), child) for score, (_, child) in zip(scores, bred, strict=True)]
                pool.sort(key=lambda pair: -pair[0])
            parents = [child for _, child in islice(pool, INCUMBENTS)] or parents
        for _, child in pool:
            found = self.proposal(child, "model")
            if found.digest not in self._architectures:
                return found
        return self.proposal(self.space.sample(rng), "random")

    def _child(self, parents: Sequence[Any], rng: Random) -> Any:
        kind = rng.random()
        if kind < 0.1:
            return self.space.sample(rng)
        child = rng.choice(parents)
        if kind < 0.3:
            child = self.space.crossover(child, rng.choice(parents), rng)
        if kind > 0.7:
            child = self.space.mutate(child, rng)
        return self.space.mutate(child, rng)


class _Goal:
    """What makes a candidate worth its evaluation."""

    def __init__(self, model: OutcomeModel, front: Floats, any_feasible: bool) -> None:
        self._model = model
        self._front = front
        self._any_feasible = any_feasible

    def scores(self, vectors: Vectors | None, rng: Random, rows: npt.NDArray[np.intp] | None = None) -> Floats:
        """For the vectors, or for some rows of the pool: expected gain times the probability of success."""
        model = self._model
        prediction = model.predict(vectors, rows)
        gain = expected_gain(prediction.below, self._front, model.reference(), model.ideal(), rng)
        success = model.predicted_success(vectors, rows)
        # As long as nothing is feasible, becoming so is all that counts.
        return gain * success if self._any_feasible else success + TIE * gain


def last_fit(count: int, start: int) -> int:
    """At which number of observations, up to `count`, the kernels were last fitted: ever more rarely."""
    fitted = start
    while (following := fitted + min(max(5, fitted // 4), 50)) <= count:
        fitted = following
    return min(fitted, count)
