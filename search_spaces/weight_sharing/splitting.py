"""Splitting a space by one decision: which of several supernets in one an architecture belongs to."""

from typing import Any

from search_spaces.decisions import INACTIVE, Decision
from search_spaces.errors import SpaceError, near
from search_spaces.space import Space
from search_spaces.weight_sharing.sampling import Pins

SEPARATOR = "|"
"""Between an option and the key that a tensor would have without a split."""


class Split:
    """The options of the decision at `path`, each of which has weights of its own.

    Architectures in which the decision isn't in force have weights of their own, too. Raises `SpaceError` where the
    space has no such decision.
    """

    def __init__(self, space: Space, path: str) -> None:
        # Without the rules, which the architectures that show a space's tensors may break.
        self._space = Space(space.tree)
        self._numbers = [i for i, decision in enumerate(self._space.decisions) if decision.path == path]
        if not self._numbers:
            paths = [decision.path for decision in self._space.decisions]
            raise SpaceError(f"the space has no decision '{path}' to be split by; {near(path, paths)}")
        self.path = path

    def prefix(self, architecture: Any) -> str:
        """What the keys of the architecture's tensors begin with."""
        genes = self._space.genes(architecture)
        for place, number in enumerate(self._numbers):
            if genes[number] != INACTIVE:
                # Decisions at one path, of which one is in force, are told apart by their place.
                return f"{self.path}={genes[number]}{f'#{place}' if place else ''}{SEPARATOR}"
        return f"{self.path}=none{SEPARATOR}"

    def pins(self) -> list[Pins]:
        """What to hold fixed so that the architectures of each supernet are seen, one after the other."""
        decisions, found = self._space.decisions, []
        for number in self._numbers:
            above = _above(decisions, number)
            found += [{**above, number: frozenset([option])} for option in range(len(decisions[number].options))]
            for parent, when in above.items():
                others = frozenset(range(len(decisions[parent].options))) - when
                if others:
                    found.append({**_above(decisions, parent), parent: others})
        return found


def _above(decisions: tuple[Decision, ...], number: int) -> Pins:
    """The decisions that a decision depends on, and the options of them under which it is in force."""
    found: Pins = {}
    decision = decisions[number]
    while decision.parent is not None:
        found[decision.parent] = decision.parent_options
        decision = decisions[decision.parent]
    return found
