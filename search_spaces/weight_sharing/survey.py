"""What tensors the networks of a space have."""

import re
from collections.abc import Iterable, Iterator
from math import prod
from random import Random
from typing import Any, Literal

from search_spaces import canonical
from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.weight_sharing.interplay import Interplay
from search_spaces.weight_sharing.kernel_transformations import Sides
from search_spaces.weight_sharing.recording import Frame, Shape, TensorView, shapes_of
from search_spaces.weight_sharing.sampling import Pins, at_most, at_random, axes_of, covering, covering_sizes
from search_spaces.weight_sharing.splitting import Split

WHOLE = 128
"""Spaces with a covering of at most so many architectures are looked at by it: that takes few seconds."""
CHECKED = 32
"""Random networks that must show nothing new where a covering was replaced by what was learnt; a quarter, else."""

Way = Literal["fitting", "whole", "learnt", "singly"]
"""By the covering, by what is learnt of it (`singly`: of single choices, unchecked), or by what fits the space."""


class Survey:
    """The shape that holds all slices of each tensor, by key, and the network with the largest of them.

    `kernels` are the sizes that occur of those that are convolutions' kernels, `builds` is how many networks were
    built for it. A small space is looked at by its covering, a large one by `Interplay`, which finds the choices that
    act together; if random networks then show something that was missed, the other one has its turn, too. Raises
    `SpaceError` when no network of the space builds.
    """

    def __init__(self, space: Space, inputs: Shape, outputs: int, split: Split | None, way: Way = "fitting") -> None:
        self._space, self._inputs, self._outputs, self._split = space, inputs, outputs, split
        self.shapes: dict[str, Shape] = {}
        self.origins: dict[str, tuple[Any, int]] = {}
        self.kernels: dict[str, set[Sides]] = {}
        self.builds = 0
        self._alone = self._new = False
        self._sizes: dict[str, set[Sides]] = {}
        self._seen: set[str] = set()
        self._failed: SpaceError | None = None
        pinned = roots(space, [{}] if split is None else split.pins())
        axes, _ = axes_of(space)
        if way == "whole" or (way == "fitting" and at_most(axes, WHOLE, triples=False)):
            self._look_at(architecture for pins in pinned for architecture in covering(space, pins))
            if self._alone and (way == "whole" or at_most(axes, WHOLE, triples=True)):
                self._look_at(architecture for pins in pinned for architecture in covering_sizes(space, pins))
            elif self._alone:
                self._learn(pinned, way)
            if way == "fitting" and any(self._look_at(self._random(pins, CHECKED // 4)) for pins in pinned):
                self._learn(pinned, way)
        else:
            self._learn(pinned, way)
        if self._failed is not None and not self.shapes:
            raise self._failed
        self._share_kernels()

    def _learn(self, pinned: list[Pins], way: Way) -> None:
        for pins in pinned:
            Interplay(self._space, pins, self._looked, related=way != "singly").run()
            if way != "singly" and self._look_at(self._random(pins, CHECKED)):
                self._look_at(covering(self._space, pins))
                if self._alone:
                    self._look_at(covering_sizes(self._space, pins))

    def _random(self, pins: Pins, count: int) -> Iterator[Any]:
        """Half of them with all sizes drawn, half with the largest, which need the largest tensors."""
        rng = Random(0)
        for number in range(count):
            yield from at_random(self._space, pins, rng, sizes=number % 2 == 0)

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

    def _look_at(self, architectures: Iterable[Any]) -> bool:
        """Note the tensors of these; whether there was anything new."""
        new = False
        for architecture in architectures:
            text = canonical.text(architecture)
            if text not in self._seen:
                self._seen.add(text)
                views = self._looked(architecture, [])
                new = (views is not None and self._new) or new
        return new

    def _looked(self, architecture: Any, frames: list[Frame]) -> list[TensorView] | None:
        """The tensors of a network, noted; the calls that built it are added to `frames`. None if it doesn't build."""
        self._seen.add(canonical.text(architecture))
        prefix = "" if self._split is None else self._split.prefix(architecture)
        self.builds += 1
        try:
            views = shapes_of(architecture, self._inputs, self._outputs, prefix, frames)
        except SpaceError as error:
            self._failed = error  # Options that don't go together on these inputs.
            return None
        self._new = False
        for view in views:
            self._note(view, architecture)
        return views

    def _note(self, view: TensorView, architecture: Any) -> None:
        self._alone = self._alone or view.alone
        known = self.shapes.get(view.key, ())
        self.shapes[view.key] = view.larger(known)
        self._new = self._new or self.shapes[view.key] != known
        if view.kernel:
            self.kernels.setdefault(view.key, set()).add(view.shape[2:])
            sizes = self._sizes.setdefault(_place(view.key), set())
            self._new = self._new or view.shape[2:] not in sizes
            sizes.add(view.shape[2:])
        size = prod(view.shape)
        if size > self.origins.get(view.key, (None, -1))[1]:
            self.origins[view.key] = (architecture, size)


def roots(space: Space, pinned: list[Pins]) -> list[Pins]:
    """The pins, for each option apart where the first choice is which of several kinds of networks there is.

    No network is of two of them, so each is looked at as if it were a space of its own, which is much quicker.
    """
    first = space.decisions[0] if space.decisions else None
    if first is None or first.path != "network" or any(0 in pins for pins in pinned):
        return pinned
    return [{**pins, 0: frozenset([option])} for pins in pinned for option in range(len(first.options))]


def _place(key: str) -> str:
    """Where in the tree a tensor's part is, and which part it is, but not of which of that part's kinds."""
    return re.sub(r",[^]]*\]", "]", key.rpartition(":")[0])
