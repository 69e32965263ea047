"""Given architectures: a list to evaluate as it stands."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from archfront.contracts import Constraint, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace


@CONTROLLERS.register("given")
class Given(Controller):
    """Proposes the architectures that it is given, each once and in their order, and then ends.

    Any other controller begins with such a list, and goes on from it, by `begin_with` (`--warm-start FILE.json`).

    Args:
        architectures: their JSON forms, as texts or as values.
        file: a JSON file with a list of them, or with one; read where `architectures` is empty.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        *,
        architectures: Sequence[Any] = (),
        file: str = "",
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if bool(architectures) == bool(file):
            raise WrongUse("the controller 'given' needs architectures, or a file of them: --set controller.file=FILE")
        self.begin_with(read(space, architectures or listed(file)))

    def propose(self, rng: Random) -> Proposal:
        return self._left() or self._given[-1]

    def _unseen(self, rng: Random) -> Proposal | None:
        return self._left()


def read(space: SearchSpace, values: Sequence[Any]) -> list[Any]:
    """The architectures of `space` that JSON forms, as texts or values, stand for; raises `WrongUse` for any other."""
    found = []
    for place, value in enumerate(values):
        try:
            found.append(space.from_json(json.loads(value) if isinstance(value, str) else value))
            space.genes(found[-1])
        except (SpaceError, ValueError) as error:
            raise WrongUse(f"the given architecture number {place} can't be searched: {error}") from None
    return found


def listed(file: str) -> list[Any]:
    """What a JSON file lists, or the one thing that it holds; raises `WrongUse` where it can't be read."""
    try:
        found = json.loads(Path(file).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"the file of architectures {file} can't be read: {error.strerror}") from None
    except ValueError:
        raise WrongUse(f"the file of architectures {file} is no JSON") from None
    found = found if isinstance(found, list) else [found]
    if not found:
        raise WrongUse(f"the file of architectures {file} holds none")
    return found
