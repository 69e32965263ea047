"""Model-based search: evaluate next what is expected to add most to the front."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from controllers.encoding import Encoding, Floats, Traits, Vectors
from controllers.gaussian_process import GaussianProcess, Observed
from controllers.hypervolume_gain import gain
from controllers.warping import Warping
from search_spaces.space import SearchSpace

Genes = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

ENUMERATED = 60_000
"""Of spaces of at most this many architectures, every one is a possible candidate."""
LOOKED_AT = 1500
"""How many of them are looked at: those nearest to the front, and random others."""
NEAREST = 25
"""How many of the nearest to each member of the front."""
LITTER = 4
"""Children of each evaluation where a space is larger: of the candidate if it is on the front, else of the front."""
LITTERS = 24
"""How many evaluations' children are looked at."""
DRAWS = 16
"""Of each candidate's losses, over which the gain is averaged."""
RESELECTED = 50
"""Evaluations after which the random ones are drawn anew."""
FITTED_EVERY = 5
"""Evaluations between two fits; more, once there are many."""
SPELLINGS = 100
"""How many of the best candidates are tried until one isn't a known network that is spelt in another way."""
WAITING = 16
"""How many of the latest candidates under way are taken into account."""
BEYOND = 0.5
"""The reference lies beyond the worst loss by this share of the way from the best to it."""
_BLAS = ThreadpoolController()


@dataclass(frozen=True)
class _Told:
    """What the model keeps of an evaluation; `values` are losses and then constrained metrics, None if it failed."""

    genes: tuple[int, ...]
    values: tuple[float, ...] | None
    feasible: bool


@CONTROLLERS.register(
    "model-based",
    source="Think Global and Act Local: Bayesian Optimisation over High-Dimensional Categorical and Mixed Search "
    "Spaces",
)
class ModelBasedSearch(Controller):
    """A Gaussian process per objective; proposes what adds most hypervolume to the front, averaged over its beliefs.

    Losses are warped before they are modelled, so that differences among good candidates count. Constraints and
    failures are modelled, too: what a candidate would add counts as much as it is likely to be feasible. In a space of
    up to 60,000 architectures the candidates are those near the front and random others, else children of the front.

    Args:
        start: random candidates before the first model.
        observations: how many evaluations a model takes; beyond that, the front, the latest and some random ones.
    """

    tries = 3

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 10,
        observations: int = 200,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 2 or observations < 20:
            raise WrongUse("model-based needs start >= 2 and observations >= 20")
        self._start = start
        self._most = observations
        self._told: list[_Told] = []
        self._place: dict[str, int] = {}
        self._genes: dict[str, tuple[int, ...]] = {}
        self._under_way: dict[str, tuple[int, ...]] = {}
        self._best: list[int] = []
        self._parents: list[list[tuple[str, str]]] = []
        # What follows is derived from the history when it is needed, and kept.
        self._litters: dict[int, dict[tuple[int, ...], list[str]]] = {}
        self._processes: tuple[int, list[GaussianProcess]] | None = None
        self._observed: tuple[tuple[int, int], list[int], Observed] | None = None

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        values = None
        if member is not None and all(constraint.metric in member.values for constraint in self.constraints):
            values = (*member.losses, *(member.values[constraint.metric] for constraint in self.constraints))
        digest = evaluation.proposal.digest
        self._place[digest] = len(self._told)
        self._under_way.pop(digest, None)
        self._told.append(_Told(self._genes[digest], values, member is not None and member.excess == 0))
        if any(one.digest == digest for one in self.archive.front):
            self._best.append(len(self._told) - 1)
        if self._pool is None:
            rng = Random(f"{self.seed}/parents/{len(self._told)}")
            front = [one.digest for one in self.archive.front] or [digest]
            mothers = [digest if digest in front else rng.choice(front) for _ in range(LITTER)]
            self._parents.append([(one, rng.choice(front) if rng.random() < 0.3 else one) for one in mothers])

    def _remember(self, proposal: Proposal) -> None:
        super()._remember(proposal)
        self._genes[proposal.digest] = self.space.genes(proposal.architecture)
        self._under_way[proposal.digest] = self._genes[proposal.digest]

    def propose(self, rng: Random) -> Proposal:
        observed = self._models() if self._asked >= self._start else None
        if observed is None:
            return self.proposal(self.space.sample(rng), "random")
        candidates, parents = self._candidates(rng)
        # Matrices this small are slower in several threads.
        with _BLAS.limit(limits=1):
            scores = self._scores(candidates, *observed, rng) if len(candidates) else np.zeros(0)
        for index in np.argsort(-scores, kind="stable")[:SPELLINGS]:
            genes = tuple(candidates[index].tolist())
            found = self.proposal(self.space.architecture(genes), "model", parents.get(genes, ()))
            if found.digest not in self._architectures:
                return found
        return self.proposal(self.space.sample(rng), "random")

    # -- beliefs -----------------------------------------------------------------------------------------------------

    def _scores(self, candidates: Genes, told: list[_Told], observed: Observed, rng: Random) -> Floats:
        """What each candidate is expected to add, times how likely it is to be feasible; 1 for the best."""
        count = len(self.objectives)
        table = np.array([one.values for one in told if one.values is not None])
        vectors, waiting = self._encoding.encode(candidates), self._encoding.encode(self._waiting())
        draws = np.random.default_rng(rng.getrandbits(63))
        warpings = [Warping(column) for column in table.T]
        values = np.array([warping.forward(column) for warping, column in zip(warpings, table.T, strict=True)])
        if len(waiting):
            # What is under way counts as if it had turned out as expected: a batch mustn't crowd together.
            expected = observed.predict(values, waiting)[0]
            observed, values = observed.joined(waiting), np.concatenate([values, expected], axis=1)
        means, variances = observed.predict(values, vectors)
        likely = self._success(vectors, told)
        for column, constraint in enumerate(self.constraints, start=count):
            likely *= self._kept(constraint, warpings[column], means[column], variances[column])
        feasible = np.array([one.values[:count] for one in told if one.feasible and one.values is not None])
        if not len(feasible):
            return likely
        guesses, pending = [], []
        for mean, variance, warping, column in zip(means, variances, warpings[:count], values, strict=False):
            spread = np.sqrt(variance)[:, None] * draws.standard_normal((1, DRAWS))
            guesses.append(warping.inverse(mean[:, None] + spread))
            pending.append(warping.inverse(column[len(table) :]))
        reference = _reference(feasible, np.array([warping.fence for warping in warpings[:count]]))
        front = np.concatenate([feasible, np.stack(pending, axis=1)])
        scores = gain(np.stack(guesses, axis=-1), front, reference, draws).mean(axis=1) * likely
        # Rounded, so that what is equal but for the order of sums is equal.
        return np.asarray(np.round(scores / (scores.max() or 1.0), 6))

    @staticmethod
    def _kept(constraint: Constraint, warping: Warping, mean: Floats, variance: Floats) -> Floats:
        """How likely each candidate is to keep a constraint."""
        limit = float(warping.forward(np.array([constraint.bound]))[0])
        below = ndtr((limit - mean) / np.sqrt(variance))
        return np.asarray(below if constraint.upper else 1 - below)

    def _success(self, vectors: Vectors, told: Sequence[_Told]) -> Floats:
        """How likely each candidate is not to fail, by those that are like it."""
        failed = np.array([one.values is None for one in told], dtype=float)
        if not failed.any():
            return np.ones(len(vectors))
        seen = self._encoding.encode(np.array([one.genes for one in told]))
        rates = np.full(len(self.space.decisions), 6 / max(len(self.space.decisions), 1))
        alike = np.exp(-self._encoding.distance(vectors, seen, rates))
        return np.asarray(1 - (alike @ failed + failed.mean()) / (alike.sum(axis=1) + 1.0))

    def _waiting(self) -> Genes:
        under_way = list(self._under_way.values())[-WAITING:]
        return np.array(under_way, dtype=np.int64).reshape(len(under_way), len(self.space.decisions))

    def _models(self) -> tuple[list[_Told], Observed] | None:
        """What the models take of what was told, and a fitted one per column of its values; None with too little."""
        moment = last_fit(len(self._told), self._start)
        chosen = self._selected(len(self._told))
        told = [self._told[i] for i in chosen]
        known = [i for i in chosen if self._told[i].values is not None]
        if len(known) < 2:
            return None
        key = (moment, self._block(len(self._told)))
        if self._observed is None or self._observed[0] != key:
            self._observed = (key, known, Observed(self._fitted(moment), self._vectors(known)))
        _, before, observed = self._observed
        if more := known[len(before) :]:
            observed = observed.joined(self._vectors(more))
            self._observed = (key, known, observed)
        return told, observed

    def _fitted(self, moment: int) -> list[GaussianProcess]:
        """A process per column of values, fitted to what the models took after so many evaluations."""
        if self._processes is None or self._processes[0] != moment:
            places = [i for i in self._selected(moment) if self._told[i].values is not None]
            self._processes = (moment, self._fit(places))
        return self._processes[1]

    def _fit(self, places: list[int]) -> list[GaussianProcess]:
        table = np.array([self._told[i].values for i in places]).reshape(len(places), -1)
        processes = []
        for column in range(len(self.objectives) + len(self.constraints)):
            process = GaussianProcess(self._encoding)
            if len(places) > 1:
                process.fit(self._vectors(places), Warping(table[:, column]).forward(table[:, column]))
            processes.append(process)
        return processes

    def _vectors(self, places: Sequence[int]) -> Vectors:
        return self._encoding.encode(np.array([self._told[i].genes for i in places]))

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space.decisions, Traits(self.space))

    def _block(self, count: int) -> int:
        """When those that the models take were last chosen anew."""
        return 0 if count <= self._most else count // RESELECTED * RESELECTED

    def _selected(self, count: int) -> list[int]:
        """Of the first `count` evaluations those that the models take, ever more of them until they are chosen anew.

        Then they are the best, the latest and random ones.
        """
        block = self._block(count)
        if not block:
            return list(range(count))
        best = [place for place in self._best if place < block][-self._most // 3 :]
        kept = {*best, *range(block - self._most // 3, block)}
        others = Random(f"{self.seed}/selected/{block}").sample(range(block), self._most)
        kept.update(others[: max(0, self._most - len(kept))])
        return [*sorted(kept), *range(block, count)]

    # -- candidates --------------------------------------------------------------------------------------------------

    def _candidates(self, rng: Random) -> tuple[Genes, dict[tuple[int, ...], list[str]]]:
        """Genes of architectures that weren't proposed before, and the parents of those that were bred."""
        front = [member.digest for member in self.archive.front]
        if self._pool is None:
            bred = self._bred()
            return np.array(list(bred), dtype=np.int64).reshape(len(bred), len(self.space.decisions)), bred
        near = self._pool.near([self._genes[digest] for digest in front], self._genes.values())
        if len(near) < LOOKED_AT:
            near = np.concatenate([near, self._pool.others(near, LOOKED_AT - len(near), rng)])
        return self._pool.genes[near], {}

    def _bred(self) -> dict[tuple[int, ...], list[str]]:
        """The children that the latest evaluations gave rise to; each evaluation's are bred once."""
        latest = range(max(0, len(self._told) - LITTERS), len(self._told))
        self._litters = {place: self._litters.get(place) or self._litter(place) for place in latest}
        return {genes: parents for litter in self._litters.values() for genes, parents in litter.items()}

    def _litter(self, place: int) -> dict[tuple[int, ...], list[str]]:
        rng = Random(f"{self.seed}/litter/{place}")
        found: dict[tuple[int, ...], list[str]] = {}
        for number, (mother, father) in enumerate(self._parents[place]):
            if mother == father and number == 0:
                found[self.space.genes(self.space.sample(rng))] = []
                continue
            child = self.architecture(mother)
            if mother != father:
                child = self.space.crossover(child, self.architecture(father), rng)
            found[self.space.genes(self.space.mutate(child, rng))] = list(dict.fromkeys([mother, father]))
        return found

    @cached_property
    def _pool(self) -> "_Pool | None":
        size = self.space.size()
        return None if size is None or size > ENUMERATED else _Pool(self.space)


class _Pool:
    """All genes of a space that is small enough to look at each, and which of them weren't proposed yet."""

    def __init__(self, space: SearchSpace) -> None:
        every = [space.genes(architecture) for architecture in space.enumerate()]
        self._index = {genes: i for i, genes in enumerate(every)}
        self.genes = np.array(every, dtype=np.int64).reshape(len(every), len(space.decisions))
        # Compared decision by decision, in a type as small as possible: this is done for every proposal.
        self._columns = np.ascontiguousarray(self.genes.T.astype(np.int16))
        self._free = np.ones(len(every), dtype=bool)
        self._marked = 0

    def near(self, front: Sequence[tuple[int, ...]], proposed: Collection[tuple[int, ...]]) -> Places:
        """Those nearest to any member of the front, without `proposed`, which only grows from call to call."""
        for genes in islice(proposed, self._marked, None):
            self._free[self._index[genes]] = False
        self._marked = len(proposed)
        kept = np.zeros(len(self.genes), dtype=bool)
        for genes in front:
            distance = (self._columns != np.array(genes, dtype=np.int16)[:, None]).sum(axis=0, dtype=np.int16)
            distance[~self._free] = len(genes) + 1
            reached = np.cumsum(np.bincount(distance, minlength=len(genes) + 2))
            kept |= distance <= max(1, int(np.searchsorted(reached, NEAREST)))
        return np.flatnonzero(kept & self._free)

    def others(self, known: Places, count: int, rng: Random) -> Places:
        """Random ones that weren't proposed and aren't known."""
        rest = self._free.copy()
        rest[known] = False
        places = np.flatnonzero(rest)
        return np.random.default_rng(rng.getrandbits(63)).permutation(places)[:count]


def _reference(feasible: Floats, fences: Floats) -> Floats:
    """Beyond the worst losses that aren't outliers, so that the ends of the front count."""
    worst = np.minimum(feasible.max(axis=0), fences)
    return np.asarray(worst + BEYOND * (worst - feasible.min(axis=0)))


def last_fit(count: int, start: int) -> int:
    """At which number of evaluations, up to `count`, the processes were last fitted."""
    fitted = start
    while (following := fitted + max(FITTED_EVERY, fitted // 8)) <= count:
        fitted = following
    return min(fitted, count)
