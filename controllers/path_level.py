"""Path-level search: grow the trees of paths of trained candidates, edit by edit, by a policy that learns where."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.archive import Member
from controllers.base import CONTROLLERS, Controller
from controllers.tree_policy import Node, TreePolicy
from search_spaces.edits import EnlargeKernel, InsertIdentity, Replicate, Split, path_edits
from search_spaces.edits.edit import put
from search_spaces.edits.path_edits import leaves
from search_spaces.errors import SpaceError
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of
from search_spaces.space import SearchSpace

BRANCHES = (2, 3, 4)
ACTIONS = [(kind, count) for kind in (Replicate, Split) for count in BRANCHES]
ENLARGE, INSERT = len(ACTIONS), len(ACTIONS) + 1
DRAWS = 32
"""Random architectures that must hold one with a tree of paths, or the space is refused."""


@dataclass(frozen=True)
class Choice:
    """An edit that stays inside the space: the leaf's number and the action, its text, and what it leads to."""

    leaf: int
    action: int
    text: str
    architecture: Any
    digest: str


@CONTROLLERS.register("path-level", source="Path-Level Network Transformation for Efficient Architecture Search")
class PathLevel(Controller):
    """Replicates, splits, enlarges and lengthens paths of good candidates; a tree-structured policy chooses.

    The policy is a bidirectional Tree-LSTM, trained by REINFORCE: an edit is rewarded when the child beats its parent.
    With the evaluator's setting `inherit=parent`, children are trained on from their parent's weights, which each of
    these edits keeps. The first candidates are random ones with every tree of paths cut back to its first leaf.

    Args:
        start: candidates before the first edit.
        tournament: candidates drawn for each choice of a parent, of which the best is taken.
        hidden: the size of the policy's states.
        lr: the policy's learning rate.
    """

    tries = 8  # a policy that is sure of itself repeats itself

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        start: int = 4,
        tournament: int = 4,
        hidden: int = 24,
        lr: float = 0.01,
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if start < 1 or tournament < 1 or hidden < 1 or lr <= 0:
            raise WrongUse("path-level needs start, tournament and hidden of 1 or more, and lr above 0")
        if not any(_has_paths(space.sample(number)) for number in range(DRAWS)):
            raise WrongUse(
                f"the space '{space.name}' has no trees of paths to grow, which path-level needs; try --space paths"
            )
        self._start, self._tournament = start, tournament
        self._members: list[Member] = []
        self._known: dict[str, Member] = {}
        self._choices: dict[str, list[Choice]] = {}
        self._kinds = {
            name: number for number, name in enumerate(["", *sorted(_mixers_in(getattr(space, "tree", None)))])
        }
        self._policy = TreePolicy(len(self._kinds), 4, INSERT + 1, seed, hidden, lr)
        self._baseline = 0.0

    def propose(self, rng: Random) -> Proposal:
        if self._asked < self._start or not self._members:
            return self._root(rng)
        drawn = rng.sample(self._members, min(self._tournament, len(self._members)))
        best = [member for member in drawn if not any(other.beats(member) for other in drawn)]
        parent = rng.choice(best).digest
        choices = self._edits(parent)
        fresh = [choice for choice in choices if choice.digest not in self._architectures]
        if not fresh:
            return self._root(rng)
        chances = self._policy.probabilities(self._tree(parent), [(c.leaf, c.action) for c in fresh])
        [choice] = rng.choices(fresh, chances)
        return Proposal(choice.architecture, choice.digest, None, (parent,), choice.text)

    def observe(self, evaluation: Evaluation) -> None:
        proposal = evaluation.proposal
        member = self.archive.member(evaluation)
        if member is not None:
            self._members.append(member)
            self._known[member.digest] = member
        if len(proposal.parents) != 1 or proposal.parents[0] not in self._known:
            return
        choices = self._edits(proposal.parents[0])
        chosen = next((i for i, choice in enumerate(choices) if choice.text == proposal.origin), None)
        if chosen is None:
            return
        before = self._known[proposal.parents[0]]
        reward = -1.0 if member is None or before.beats(member) else float(member.beats(before))
        tree = self._tree(proposal.parents[0])
        self._policy.learn(tree, [(c.leaf, c.action) for c in choices], chosen, reward - self._baseline)
        self._baseline += 0.1 * (reward - self._baseline)

    def _root(self, rng: Random) -> Proposal:
        """A random architecture, its trees of paths cut back as far as the space allows."""
        architecture = self.space.sample(rng)
        cut = _cut(architecture)
        if cut in self.space:
            return self.proposal(cut, "root")
        return self.proposal(architecture, "random")

    def _edits(self, digest: str) -> list[Choice]:
        """The edits of a candidate that stay inside the space."""
        if digest not in self._choices:
            architecture = self.architecture(digest)
            numbers = {path: number for number, (path, _) in enumerate(leaves(architecture))}
            found = []
            for edit in path_edits(architecture, BRANCHES):
                assert isinstance(edit, Replicate | Split | EnlargeKernel | InsertIdentity)
                try:
                    edited = edit.applied(architecture)
                    self.space.genes(edited)
                except SpaceError:
                    continue
                found.append(Choice(numbers[edit.path], _action(edit), str(edit), edited, self.space.digest(edited)))
            self._choices[digest] = found
        return self._choices[digest]

    def _tree(self, digest: str) -> Node:
        """The trees of paths of a candidate, in their order, below one root."""
        trees = list(_mixers(self.architecture(digest)))
        children = tuple(self._node(tree, place / len(trees), 0) for place, tree in enumerate(trees))
        return Node(0, (0.0, 0.0, 0.0, 0.0), children)

    def _node(self, mixer: Any, place: float, depth: int) -> Node:
        inner = getattr(mixer, "children", ())
        numbers = (
            getattr(mixer, "kernel", 0) / 7,
            float(getattr(mixer, "allocation", "") == "split"),
            place,
            depth / 4,
        )
        children = tuple(self._node(child, place, depth + 1) for child in inner)
        return Node(self._kinds.get(mixer.name, 0), numbers, children, leaf=not inner)


def _mixers_in(tree: Any) -> set[str]:
    """The names of all token mixers that a tree with holes may hold."""
    if isinstance(tree, OneOf):
        return set().union(*map(_mixers_in, tree.options))
    if isinstance(tree, Repeat):
        return _mixers_in(tree.item)
    if isinstance(tree, tuple):
        return set().union(*map(_mixers_in, tree))
    if not isinstance(tree, Part):
        return set()
    inner = set().union(*(_mixers_in(getattr(tree, field)) for field in fields_of(tree)))
    return inner | {tree.name} if tree.family == "token_mixer" else inner


def _action(edit: Replicate | Split | EnlargeKernel | InsertIdentity) -> int:
    """The number that the policy knows the edit by."""
    if isinstance(edit, Replicate | Split):
        return ACTIONS.index((type(edit), edit.branches))
    return ENLARGE if isinstance(edit, EnlargeKernel) else INSERT


def _mixers(tree: Any) -> list[Any]:
    """The outermost token mixers of an architecture, in the order in which `leaves` comes by them."""
    if isinstance(tree, tuple):
        return [found for item in tree for found in _mixers(item)]
    if not isinstance(tree, Part):
        return []
    if tree.family == "token_mixer":
        return [tree]
    return [found for field in fields_of(tree) for found in _mixers(getattr(tree, field))]


def _has_paths(architecture: Any) -> bool:
    return any(hasattr(mixer, "children") for mixer in _mixers(architecture))


def _cut(tree: Any) -> Any:
    """The architecture with the first leaf of each tree of paths in the tree's place."""
    while True:
        path = next((path for path, _ in leaves(tree) if ".children." in path), None)
        if path is None:
            return tree
        tree = put(tree, path.partition(".children.")[0], dict(leaves(tree))[path])


__all__ = ["PathLevel"]
