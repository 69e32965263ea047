"""Given architectures: a list to evaluate as it stands, or to start another controller from."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from archfront.contracts import Constraint, Evaluation, Objective, Proposal, WrongUse
from controllers.base import CONTROLLERS, Controller
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace


@CONTROLLERS.register("given")
class Given(Controller):
    """Proposes the architectures that it is given, each once and in their order, and then ends, or hands over.

    Args:
        architectures: their JSON forms, as texts or as values.
        file: a JSON file with a list of them, or with one; read where `architectures` is empty.
        then: the controller, by name, that goes on with the search afterwards; it has been told of all of them.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        architectures: Sequence[Any] = (),
        file: str = "",
        then: str = "",
    ) -> None:
        super().__init__(space, objectives, constraints, seed)
        if bool(architectures) == bool(file):
            raise WrongUse("the controller 'given' needs architectures, or a file of them: --set controller.file=FILE")
        self._given = [self._read(value, place) for place, value in enumerate(architectures or _listed(file))]
        self._then = CONTROLLERS.get(then)(space, objectives, constraints, seed) if then else None

    def _read(self, value: Any, place: int) -> Proposal:
        try:
            architecture = self.space.from_json(json.loads(value) if isinstance(value, str) else value)
            self.space.genes(architecture)
        except (SpaceError, ValueError) as error:
            raise WrongUse(f"the given architecture number {place} can't be searched: {error}") from None
        return self.proposal(architecture, "given")

    @property
    def waiting(self) -> bool:
        return self._then is not None and self._then.waiting

    def set_epochs(self, epochs: int | None) -> None:
        if self._then is not None:
            self._then.set_epochs(epochs)

    def propose(self, rng: Random) -> Proposal:
        return self._left() or self._given[-1]

    def observe(self, evaluation: Evaluation) -> None:
        if self._then is not None:
            self._then.tell([evaluation])

    def _left(self) -> Proposal | None:
        return next((found for found in self._given if found.digest not in self._architectures), None)

    def _remember(self, proposal: Proposal) -> None:
        super()._remember(proposal)
        if self._then is not None:
            self._then._remember(proposal)

    def _unseen(self, rng: Random) -> Proposal | None:
        found = self._left()
        if found is None and self._then is not None:
            found = self._then._unseen(rng)
        return found


def _listed(file: str) -> list[Any]:
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"the file of architectures {file} can't be read: {error.strerror}") from None
    except ValueError:
        raise WrongUse(f"the file of architectures {file} is no JSON") from None
    found = found if isinstance(found, list) else [found]
    if not found:
        raise WrongUse(f"the file of architectures {file} holds none")
    return found
