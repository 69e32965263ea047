"""The supernet: one set of weights for all networks of a search space."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces import canonical
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace, Space
from search_spaces.weight_sharing.recording import Piece, Shape, record, shapes_of, sliced, tiled
from search_spaces.weight_sharing.sampling import covering, covering_sizes, extreme


class Store(nn.Module):
    """The shared tensors, by key: each as large as the largest of its slices."""

    def put(self, piece: Piece, value: Tensor) -> None:
        """Keep `value` as the tensor of which `piece` is a slice, in place of the one before, if any."""
        if piece.parameter:
            self._parameters[piece.key] = nn.Parameter(value, requires_grad=piece.trained)
        else:
            self._buffers[piece.key] = value

    def tensor(self, key: str) -> Tensor | None:
        """The tensor under `key`, if there is one."""
        found = self._parameters.get(key)
        return self._buffers.get(key) if found is None else found


Slice = tuple[Piece, Tensor, tuple[slice, ...] | None]
"""A tensor of a network, the store's, and where the one is in the other."""


@dataclass
class Subnet:
    """A stand-alone network whose tensors are slices of the store's."""

    network: nn.Module
    pieces: list[Piece]

    def __post_init__(self) -> None:
        self._views: list[Slice] = []
        self._copies: list[Slice] = []
        self._bound: list[int] = []

    def connect(self, store: Store) -> None:
        """Find the store's tensor and the slice of it for each of the network's."""
        for piece in self.pieces:
            whole = store.tensor(piece.key)
            assert whole is not None
            index = piece.index(tuple(whole.shape))
            (self._views if piece.chunks == 1 or index is None else self._copies).append((piece, whole, index))

    def bind(self) -> None:
        """Put the slices into the network; gradients reach the store when they are enabled now."""
        for piece, whole, index in self._views:
            piece.home[piece.attribute] = whole if index is None else whole[index]
        self._bound = self._memory()
        self._bind_copies()

    def refresh(self) -> None:
        """As `bind`, for when no gradients are wanted: slices that are views see the store's changes by themselves."""
        if self._bound != self._memory():
            self.bind()
        else:
            self._bind_copies()

    def _bind_copies(self) -> None:
        for piece, whole, index in self._copies:
            piece.home[piece.attribute] = sliced(whole, index, piece.chunks)

    def _memory(self) -> list[int]:
        return [whole.data_ptr() for _, whole, _ in self._views]


class Supernet(nn.Module):
    """All networks of a search space, weights shared.

    `space` is a `Space` (or a tree with holes), `inputs` are (channels, height, width), `outputs` is the number of
    classes. Sizes share by slicing, kinds have weights of their own, as the parts' rules say (`sharing.py`); a part
    without a rule has weights for each of its configurations. `activate` chooses the network that `forward` runs,
    which is the very module that `build` gives, on slices of the shared weights; so `extract` gives what was ranked.
    The initial weights are those of the largest networks; with a `seed`, they depend on nothing else. The `keep`
    networks activated last are kept, so that activating them again costs next to nothing.

    Raises `SpaceError` for spaces that aren't made of networks.
    """

    def __init__(self, space: Any, inputs: Shape, outputs: int, seed: int | None = None, keep: int = 128) -> None:
        super().__init__()
        if not isinstance(space, SearchSpace):
            space = Space(space)
        if not isinstance(space, Space):
            raise SpaceError(f"'{space.name}' isn't a tree of parts; only such a space has a supernet")
        self.space, self.inputs, self.outputs, self.keep = space, tuple(inputs), outputs, keep
        self.store = Store()
        self._subnets: OrderedDict[str, Subnet] = OrderedDict()
        self._active: Subnet | None = None
        self.architecture: Any = None
        self._fill(seed)
        self.register_load_state_dict_post_hook(lambda module, _: module._forget())
        self.activate(extreme(space, True, Random(0)))

    def _fill(self, seed: int | None) -> None:
        """Give the store every tensor of the space, with the initial values of the largest network that has it."""
        found = _Survey(self)
        found.look_at(covering(self.space))
        if found.alone:
            found.look_at(covering_sizes(self.space))
        keys: dict[str, tuple[Any, set[str]]] = {}
        for key, (architecture, _) in found.origins.items():
            keys.setdefault(canonical.text(architecture), (architecture, set()))[1].add(key)
        for architecture, wanted in keys.values():
            for piece in record(architecture, self.inputs, self.outputs, seed)[1]:
                if piece.key in wanted:
                    value = tiled(piece.home[piece.attribute], found.shapes[piece.key])
                    self.store.put(piece, value)

    def activate(self, architecture: Any) -> None:
        """Let `forward` run this architecture; raises `SpaceError` where it isn't in the space, or doesn't build."""
        text = canonical.text(architecture)
        subnet = self._subnets.get(text)
        if subnet is None:
            self.space.genes(architecture)
            subnet = self._subnets[text] = self._made(architecture)
            if len(self._subnets) > self.keep:
                self._subnets.popitem(last=False)
        else:
            self._subnets.move_to_end(text)
        self._active, self.architecture = subnet, architecture

    def _made(self, architecture: Any) -> Subnet:
        network, pieces = record(architecture, self.inputs, self.outputs, 0)
        self._grow(pieces)
        first = next(iter(self.store.parameters()), None)
        if first is not None:
            network.to(device=first.device, dtype=first.dtype)
        subnet = Subnet(network, pieces)
        subnet.connect(self.store)
        return subnet

    def _grow(self, pieces: list[Piece]) -> None:
        """Add what the covering architectures didn't show; such weights are new to an optimizer."""
        grown, first = 0, next(iter(self.store.parameters()), torch.empty(0))
        for piece in pieces:
            known = self.store.tensor(piece.key)
            shape = piece.larger(() if known is None else tuple(known.shape))
            if known is not None and shape == tuple(known.shape):
                continue
            value = tiled(piece.home[piece.attribute], shape).to(first.device)
            value = value.to(first.dtype) if value.is_floating_point() else value
            if known is not None:
                piece.write(value, known.detach())
            self.store.put(piece, value)
            grown += 1
        if grown:
            warnings.warn(f"the supernet grew by {grown} tensors; give its optimizer all parameters anew", stacklevel=4)
            self._subnets.clear()

    @property
    def network(self) -> nn.Module:
        """The active network, whose tensors are slices of the store's."""
        subnet = self._subnet()
        if torch.is_grad_enabled():
            subnet.bind()  # A graph is for one backward pass.
        else:
            subnet.refresh()
        return subnet.network

    @property
    def pieces(self) -> list[Piece]:
        """The active network's parameters and buffers, each with the key of the store's tensor that holds it."""
        return self._subnet().pieces

    def _subnet(self) -> Subnet:
        if self._active is None:
            self.activate(self.architecture)
        assert self._active is not None
        return self._active

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        if network.training != self.training:
            network.train(self.training)
        return network(x)

    def extract(self, architecture: Any) -> nn.Module:
        """The stand-alone network that `build` gives for the architecture, in training mode, with copied weights."""
        before = self.architecture
        self.activate(architecture)
        with torch.no_grad():
            state = self.network.state_dict()
        tensor = next(iter(self.store.parameters()), torch.empty(0))
        network = build(architecture, self.inputs, self.outputs, seed=0)  # type: ignore[arg-type]
        network.to(device=tensor.device, dtype=tensor.dtype).load_state_dict(state)
        self.activate(before)
        return network

    def slices(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of tensors by the store's keys (its weights, their gradients), the active network's slices by its names."""
        return {piece.name: piece.of(tensors[piece.key]) for piece in self.pieces if piece.key in tensors}

    def largest(self, seed: int | Random = 0) -> Any:
        """An architecture with the largest of all sizes (by value: of strides, too); its kinds are drawn."""
        return extreme(self.space, True, seed if isinstance(seed, Random) else Random(seed))

    def smallest(self, seed: int | Random = 0) -> Any:
        """An architecture with the smallest of all sizes; its kinds are drawn."""
        return extreme(self.space, False, seed if isinstance(seed, Random) else Random(seed))

    def _apply(self, *arguments: Any, **named: Any) -> "Supernet":
        result = super()._apply(*arguments, **named)
        self._forget()
        return result

    def __getstate__(self) -> dict[str, Any]:
        # A copy makes its networks anew, on slices of its own weights.
        return {**self.__dict__, "_subnets": OrderedDict(), "_active": None}

    def _forget(self) -> None:
        """Drop the networks that were made; the store's tensors may be others now."""
        self._subnets.clear()
        self._active = None


class _Survey:
    """What tensors the networks of a space have: the shape that holds each, and the network with the largest."""

    def __init__(self, supernet: Supernet) -> None:
        self._supernet = supernet
        self.shapes: dict[str, Shape] = {}
        self.origins: dict[str, tuple[Any, int]] = {}
        self.alone = False

    def look_at(self, architectures: Iterable[Any]) -> None:
        """Take in the tensors of these architectures' networks; raises `SpaceError` when none of them builds."""
        failed: SpaceError | None = None
        for architecture in architectures:
            try:
                pieces = shapes_of(architecture, self._supernet.inputs, self._supernet.outputs)
            except SpaceError as error:
                failed = error  # Options that don't go together on these inputs.
                continue
            for piece in pieces:
                self._note(piece, architecture)
        if failed is not None and not self.shapes:
            raise failed

    def _note(self, piece: Piece, architecture: Any) -> None:
        self.alone = self.alone or piece.alone
        self.shapes[piece.key] = piece.larger(self.shapes.get(piece.key, ()))
        size = prod(piece.shape)
        if size > self.origins.get(piece.key, (None, -1))[1]:
            self.origins[piece.key] = (architecture, size)
