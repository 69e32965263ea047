"""Generative architecture search: a generator of networks, and an inquisitor that says how to change it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from random import Random
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from controllers.dependency_tree import DependencyTree, Floats, Genes
from controllers.encoding import Encoding
from controllers.linear_belief import LinearBelief
from controllers.policy_search import Table
from controllers.rewards import Form, Reward, ranked
from controllers.warping import Warping
from search_spaces.space import SearchSpace

MEMORY = 200
"""How many of the latest results the inquisitor learns from, beside the best."""
IMAGINED = 0.5
"""How much a network that the inquisitor approves of counts for the generator, against one that was evaluated."""
DRAWS = 50
"""How often the generator is asked anew where all that it generates was proposed before."""
TINY = 1e-300
LIKELY = 0.5
"""How likely a network must be to keep all constraints for the indicator to count it as one that does."""
_BLAS = ThreadpoolController()
Places = npt.NDArray[np.intp]


@CONTROLLERS.register(
    "generative", source="TurboViT: Generating Fast Vision Transformers via Generative Architecture Search"
)
class Generative(Controller):
    """Generates networks that maximise the performance subject to the indicator function of the constraints.

    The generator, a distribution over the decisions in which each depends on at most one other, is fitted to the best
    networks evaluated so far that keep the constraints. The inquisitor, a Bayesian linear model of performance and
    constraints, probes it: what it generates is judged, and what the inquisitor approves of is generated more often in
    the next round. Of the last round, the network that is best by one draw of the inquisitor's beliefs is proposed.
    The paper's abstract says no more than that the design is generated under constraints; generator and inquisitor
    are as in "FermiNets: Learning Generative Machines to Generate Efficient Neural Networks via Generative Synthesis",
    but discrete. With several objectives, the performance is that for a preference drawn anew for each proposal.

    Args:
        start: random candidates before the generator is asked.
        elites: evaluated networks that the generator is fitted to.
        probes: networks that are generated and judged in each round.
        rounds: of generator and inquisitor for each proposal; 0 leaves the inquisitor out.
        reward: what the performance of several objectives is, see `controllers.rewards`.
        target: of the second objective, for the rewards `soft` and `absolute`.
        weight: of the second objective, for the rewards `soft` and `absolute`.
    """

    tries: ClassVar[int] = 1  # `propose` draws often enough itself

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 20,
        elites: int = 15,
        probes: int = 64,
        rounds: int = 2,
        reward: Form = "",
        target: float = 0.0,
        weight: float = 0.0,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or elites < 2 or probes < 2 or rounds < 0:
            raise WrongUse("generative needs start >= 1, elites >= 2, probes >= 2 and rounds >= 0")
        # Constraints are no part of the performance: the indicator has no price.
        self.reward = Reward(self.objectives, reward, target, weight, penalty=0.0)
        self._start = start
        self._elites = elites
        self._probes = probes
        self._rounds = rounds
        self._genes = Table(len(space.decisions), np.int64)
        self._losses = Table(len(self.objectives), np.float64)
        self._bounded = Table(len(self.constraints), np.float64)
        self._rows: dict[str, int] = {}

    def observe(self, evaluation: Evaluation) -> None:
        member = self.archive.member(evaluation)
        values = evaluation.values
        self._rows[evaluation.proposal.digest] = len(self._losses.rows)
        self._genes.add(self.space.genes(evaluation.proposal.architecture))
        self._losses.add(member.losses if member else [nan] * len(self.objectives))
        self._bounded.add([values.get(constraint.metric, nan) for constraint in self.constraints])

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self.archive.front or not self.space.decisions:
            return self.proposal(self.space.sample(rng), "random")
        draws = np.random.default_rng(rng.getrandbits(63))
        known = self._known()
        performance = self._performance(known, rng)
        elites = self._genes.rows[known[self._best(known, performance)]]
        generator = self.generator(elites)
        probes = generator.draw(self._probes, draws)
        # Matrices this small are slower in several threads.
        with _BLAS.limit(limits=1):
            inquisitor = self._inquisitor(known, performance, draws) if self._rounds else None
            for _ in range(self._rounds):
                approved = self._judged(probes, inquisitor)[: self._elites]
                generator = self.generator(elites, approved)
                probes = np.concatenate([approved, generator.draw(self._probes, draws)])
            probes = self._judged(probes, inquisitor)
        return self._first_unseen(probes, generator, draws, rng)

    def generator(self, elites: Genes, approved: Genes | None = None) -> DependencyTree:
        """The generator fitted to evaluated networks, and to those that the inquisitor approves of."""
        examples = elites if approved is None else np.concatenate([elites, approved])
        weights = np.where(np.arange(len(examples)) < len(elites), 1.0, IMAGINED)
        return DependencyTree(self.space.decisions, examples, weights)

    def _first_unseen(
        self, probes: Genes, generator: DependencyTree, draws: np.random.Generator, rng: Random
    ) -> Proposal:
        """The first probe that wasn't proposed before; the more were, the more of further draws is even chance."""
        for tried in range(DRAWS):
            for genes in probes:
                # Genes may be no row of a table, whose nearest row is taken, or banned by a rule.
                architecture = next(iter(self.space.around(tuple(genes.tolist()), rng)), None)
                if architecture is not None and self.space.digest(architecture) not in self._architectures:
                    return self.proposal(architecture, "generated")
            probes = generator.draw(self._probes, draws, uniform=((tried + 1) / DRAWS) ** 2)
        return self.proposal(self.space.sample(rng), "random")

    def _known(self) -> Places:
        """The rows of the front and of the latest results."""
        count = len(self._losses.rows)
        best = [self._rows[member.digest] for member in self.archive.front][-MEMORY:]
        return np.union1d(np.array(best, dtype=np.intp), np.arange(max(0, count - MEMORY), count))

    def _performance(self, known: Places, rng: Random) -> Floats:
        """From -1 (the least, and what failed) to 1, under a preference."""
        front = self._losses.rows[[self._rows[member.digest] for member in self.archive.front]]
        rewards = self.reward(self._losses.rows[known], np.zeros(len(known)), self.reward.preference(rng), front)
        return ranked(rewards)

    def _best(self, known: Places, performance: Floats) -> Places:
        """The places in `known` of those to imitate: the best that keep the constraints, then those nearest to it."""
        excess = np.zeros(len(known))
        for column, constraint in enumerate(self.constraints):
            values = self._bounded.rows[known, column]
            excess += [constraint.excess(value) if np.isfinite(value) else 0.0 for value in values]
        excess[~np.isfinite(self._losses.rows[known]).all(axis=1)] = np.inf
        return np.lexsort((-performance, excess))[: self._elites]

    def _inquisitor(self, known: Places, performance: Floats, draws: np.random.Generator) -> "Inquisitor":
        vectors = self._vectors(self._genes.rows[known])
        bounds = []
        for column, constraint in enumerate(self.constraints):
            values = self._bounded.rows[known, column]
            seen = np.isfinite(values)
            if seen.any():
                bounds.append(Bound(constraint, vectors[seen], values[seen]))
        return Inquisitor(LinearBelief(vectors, performance).drawn(draws), tuple(bounds))

    def _judged(self, probes: Genes, inquisitor: "Inquisitor | None") -> Genes:
        """The probes, those that the inquisitor likes best first."""
        if inquisitor is None:
            return probes
        score = inquisitor(self._vectors(probes))
        # Rounded, so that what is equal but for the order of sums is equal.
        return np.asarray(probes[np.argsort(-np.round(score, 9), kind="stable")])

    def _vectors(self, genes: Genes) -> Floats:
        vectors = self._encoding.encode(genes)
        return np.concatenate([vectors.hot * self._encoding.weights**0.5, vectors.counts], axis=1)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space.decisions)


class Bound:
    """What is believed of a constrained metric."""

    def __init__(self, constraint: Constraint, vectors: Floats, values: Floats) -> None:
        warping = Warping(values)
        self._upper = constraint.upper
        # Of values that are all above zero, logarithms are taken; none of them reaches a bound below it.
        bound = max(constraint.bound, TINY) if (values > 0).all() else constraint.bound
        self._limit = float(warping.forward(np.array([bound]))[0])
        self._belief = LinearBelief(vectors, warping.forward(values))

    def kept(self, vectors: Floats) -> Floats:
        """How likely each network is to keep the constraint."""
        mean, variance = self._belief.predict(vectors)
        below = ndtr((self._limit - mean) / np.sqrt(variance))
        return np.asarray(below if self._upper else 1 - below)


@dataclass(frozen=True)
class Inquisitor:
    """One draw of what may be the weights of the performance, and what is believed of the constraints."""

    weights: Floats
    bounds: tuple[Bound, ...]

    def __call__(self, vectors: Floats) -> Floats:
        """A score of each network: its performance, but below all others where it is likely to break a constraint."""
        score = vectors @ self.weights
        likely = np.prod([bound.kept(vectors) for bound in self.bounds], axis=0) * np.ones(len(vectors))
        return np.asarray(np.where(likely >= LIKELY, score, score.min() - 2 + likely))
