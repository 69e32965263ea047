"""Layer tying: an agent that learns which layers of a network may have the weights of earlier ones, while it trains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from search_spaces.edits import Tie, Untie
from search_spaces.edits.reaching import network_of
from search_spaces.edits.tied_layers import as_tied, layers
from search_spaces.errors import SpaceError
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace

DRAWS = 32
"""Random architectures that must hold one with a tie, or the space is refused."""
Situation = tuple[int, int, int]
"""A layer, by its stage and its place in it, and the place of the layer whose weights it has."""


@dataclass(frozen=True)
class Choice:
    """An action that stays inside the space: the layer and where it is tied now, the place it is tied to, and after."""

    situation: Situation
    to: int
    text: str
    architecture: Any
    digest: str


@CONTROLLERS.register("layer-tying", source="Dynamic Layer Tying for Parameter-Efficient Transformers")
class LayerTying(Controller):
    """Ties layers of good candidates to earlier ones, or unties them; Q-learning says which.

    An action gives one layer the weights of an earlier one of its stage, or its own again. Its value is learnt for
    each layer and the layer it is tied to now, from whether the child beats its parent and from the best that can be
    done next. With the evaluator's setting `inherit=parent` children are trained on from their parent's weights, so
    that layers are tied during training. The first candidates are random ones without ties.

    Args:
        start: candidates before the first tie.
        tournament: candidates drawn for each choice of a parent, of which the best is taken.
        lr: how far a value moves to what was seen.
        discount: what a reward counts that is one action away.
        temperature: how even the chances of better and worse actions are.
    """

    tries = 8  # an agent that is sure of itself repeats itself

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 4,
        tournament: int = 4,
        lr: float = 0.3,
        discount: float = 0.5,
        temperature: float = 0.3,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or tournament < 1 or not 0 < lr <= 1 or not 0 <= discount < 1 or temperature <= 0:
            raise WrongUse(
                "layer-tying needs start and tournament of 1 or more, lr in (0, 1], discount in [0, 1) and a "
                "temperature above 0"
            )
        if not any(_may_tie(space.sample(number)) for number in range(DRAWS)):
            raise WrongUse(
                f"the space '{space.name}' has no ties of layers, which layer-tying needs; try --space tied, or give "
                "your own space ties by search_spaces.spaces.tied:with_ties"
            )
        self._start, self._tournament = start, tournament
        self._lr, self._discount, self._temperature = lr, discount, temperature
        self._members: list[Member] = []
        self._known: dict[str, Member] = {}
        self._values: dict[Situation, dict[int, float]] = {}
        self._choices: dict[str, list[Choice]] = {}

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self._members:
            return self._root(rng)
        drawn = rng.sample(self._members, min(self._tournament, len(self._members)))
        best = [member for member in drawn if not any(other.beats(member) for other in drawn)]
        parent = rng.choice(best).digest
        fresh = [choice for choice in self._actions(parent) if choice.digest not in self._architectures]
        if not fresh:
            return self._root(rng)
        values = [self.value(choice.situation, choice.to) for choice in fresh]
        weights = [exp((value - max(values)) / self._temperature) for value in values]
        [choice] = rng.choices(fresh, weights)
        return Proposal(choice.architecture, choice.digest, None, (parent,), choice.text)

    def value(self, situation: Situation, to: int) -> float:
        """What tying a layer to place `to` of its stage was worth so far; 0 where it was never tried."""
        return self._values.get(situation, {}).get(to, 0.0)

    def observe(self, evaluation: Evaluation) -> None:
        proposal = evaluation.proposal
        member = self.archive.member(evaluation)
        if member is not None:
            self._members.append(member)
            self._known[member.digest] = member
        if len(proposal.parents) != 1 or proposal.parents[0] not in self._known:
            return
        chosen = next((c for c in self._actions(proposal.parents[0]) if c.text == proposal.origin), None)
        if chosen is None:
            return
        before = self._known[proposal.parents[0]]
        reward = -1.0 if member is None or before.beats(member) else float(member.beats(before))
        after = (*chosen.situation[:2], chosen.to)
        aim = reward + self._discount * max([0.0, *self._values.get(after, {}).values()])
        old = self.value(chosen.situation, chosen.to)
        self._values.setdefault(chosen.situation, {})[chosen.to] = old + self._lr * (aim - old)

    def _root(self, rng: Random) -> Proposal:
        """A random architecture, every layer of which is its own where the space allows that."""
        architecture = self.space.sample(rng)
        for layer in reversed(range(len(layers(without_recipe(architecture))))):
            try:
                untied = _with(architecture, Untie(layer).applied(without_recipe(architecture)))
            except SpaceError:
                continue
            if untied in self.space:
                architecture = untied
        return self.proposal(architecture, "root")

    def _actions(self, digest: str) -> list[Choice]:
        """What can be done with the layers of a candidate, inside the space."""
        if digest not in self._choices:
            self._choices[digest] = list(self._found(self.architecture(digest)))
        return self._choices[digest]

    def _found(self, architecture: Any) -> list[Choice]:
        tied = as_tied(without_recipe(architecture))
        known = layers(tied)
        found: dict[str, Choice] = {}
        for layer, (stage, place) in enumerate(known):
            now = tied.roots[stage][place]
            for to in sorted({*tied.roots[stage][:place], place} - {now}):
                edit = Untie(layer) if to == place else Tie(layer, known.index((stage, to)))
                try:
                    after = _with(architecture, edit.applied(tied))
                    self.space.genes(after)
                except SpaceError:
                    continue
                digest = self.space.digest(after)
                found.setdefault(digest, Choice((stage, place, now), to, str(edit), after, digest))
        return list(found.values())


def _may_tie(architecture: Any) -> bool:
    """Whether a layer of the architecture is tied."""
    network = without_recipe(architecture)
    return network_of(network) is not network and any(
        root != place for row in network.roots for place, root in enumerate(row)
    )


def _with(architecture: Any, network: Any) -> Any:
    """The architecture with another network; a recipe that it brings stays."""
    return network if without_recipe(architecture) is architecture else replace(architecture, network=network)


__all__ = ["LayerTying"]
