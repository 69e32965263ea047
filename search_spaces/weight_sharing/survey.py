"""What tensors the networks of a space have."""

import re
from collections.abc import Iterable
from math import prod
from typing import Any

from search_spaces import canonical
from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.weight_sharing.kernel_transformations import Sides
from search_spaces.weight_sharing.recording import Piece, Shape, shapes_of
from search_spaces.weight_sharing.sampling import Pins, covering, covering_sizes
from search_spaces.weight_sharing.splitting import Split


class Survey:
    """The shape that holds all slices of each tensor, by key, and the network with the largest of them.

    `kernels` are the sizes that occur of those that are convolutions' kernels. Raises `SpaceError` when no network
    of the space builds.
    """

    def __init__(self, space: Space, inputs: Shape, outputs: int, split: Split | None) -> None:
        self._inputs, self._outputs, self._split = inputs, outputs, split
        self.shapes: dict[str, Shape] = {}
        self.origins: dict[str, tuple[Any, int]] = {}
        self.kernels: dict[str, set[Sides]] = {}
        self._alone = False
        self._seen: set[str] = set()
        pinned: list[Pins] = [{}] if split is None else split.pins()
        self._look_at(architecture for pins in pinned for architecture in covering(space, pins))
        if self._alone:
            self._look_at(architecture for pins in pinned for architecture in covering_sizes(space, pins))
        self._share_kernels()

    def _share_kernels(self) -> None:
        """Give all kernels of one place that are as large at most the same sizes.

        A size may make a layer another kind (an expansion of 1 has no first convolution), and not every size of
        kernels was seen with it.
        """
        alike: dict[tuple[str, Shape], set[Sides]] = {}
        for key, sizes in self.kernels.items():
            group = (_place(key), self.shapes[key][2:])
            self.kernels[key] = alike.setdefault(group, set())
            alike[group].update(sizes)

    def networks(self) -> Iterable[tuple[Any, set[str]]]:
        """Each network that has the largest of some tensors, with these tensors' keys."""
        found: dict[str, tuple[Any, set[str]]] = {}
        for key, (architecture, _) in self.origins.items():
            found.setdefault(canonical.text(architecture), (architecture, set()))[1].add(key)
        return found.values()

    def _look_at(self, architectures: Iterable[Any]) -> None:
        failed: SpaceError | None = None
        for architecture in architectures:
            text = canonical.text(architecture)
            if text in self._seen:
                continue
            self._seen.add(text)
            prefix = "" if self._split is None else self._split.prefix(architecture)
            try:
                pieces = shapes_of(architecture, self._inputs, self._outputs, prefix)
            except SpaceError as error:
                failed = error  # Options that don't go together on these inputs.
                continue
            for piece in pieces:
                self._note(piece, architecture)
        if failed is not None and not self.shapes:
            raise failed

    def _note(self, piece: Piece, architecture: Any) -> None:
        self._alone = self._alone or piece.alone
        self.shapes[piece.key] = piece.larger(self.shapes.get(piece.key, ()))
        if piece.kernel:
            self.kernels.setdefault(piece.key, set()).add(piece.shape[2:])
        size = prod(piece.shape)
        if size > self.origins.get(piece.key, (None, -1))[1]:
            self.origins[piece.key] = (architecture, size)


def _place(key: str) -> str:
    """Where in the tree a tensor's part is, and which part it is, but not of which of that part's kinds."""
    return re.sub(r",[^]]*\]", "]", key.rpartition(":")[0])
