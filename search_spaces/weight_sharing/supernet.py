"""The supernet: one set of weights for all networks of a search space."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces import canonical
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace, Space
from search_spaces.training_protocols import Following
from search_spaces.weight_sharing.binding import Store, Subnet
from search_spaces.weight_sharing.recording import Shape, TensorView, record, tiled
from search_spaces.weight_sharing.sampling import extreme
from search_spaces.weight_sharing.splitting import Split
from search_spaces.weight_sharing.survey import Survey

GREW = "the supernet grew"
"""What the warning begins with that a supernet has tensors that an optimizer of its parameters doesn't know."""


class Supernet(nn.Module):
    """All networks of a search space, weights shared.

    `space` is a `Space` (or a tree with holes), `inputs` are (channels, height, width), `outputs` is the number of
    classes. Sizes share by slicing, kinds have weights of their own, as the parts' rules say (`sharing.py`); a part
    without a rule has weights for each of its configurations. `activate` chooses the network that `forward` runs,
    which is the very module that `build` gives, on slices of the shared weights; so `extract` gives what was ranked.
    The initial weights are those of the largest networks; with a `seed`, they depend on nothing else. The `keep`
    networks activated last are kept, so that activating them again costs next to nothing.

    With `kernel_transformations`, a smaller kernel is the centre of the next larger one times a matrix that is learnt
    with the rest ("Once-for-All: Train One Network and Specialize it for Efficient Deployment"), at first the
    identity. `split` is the path of a decision, each option of which then has weights of its own: several supernets
    in one ("Few-shot Neural Architecture Search"; `few_shot.split` makes such a one from a trained supernet).

    Raises `SpaceError` for spaces that aren't made of networks, and for a decision that there isn't.
    """

    def __init__(
        self,
        space: Any,
        inputs: Shape,
        outputs: int,
        seed: int | None = None,
        keep: int = 128,
        kernel_transformations: bool = False,
        split: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, SearchSpace):
            space = Space(space)
        if not isinstance(space, Space):
            raise SpaceError(f"'{space.name}' isn't a tree of parts; only such a space has a supernet")
        self.space, self.inputs, self.outputs, self.keep = space, tuple(inputs), outputs, keep
        self.kernel_transformations, self.split = kernel_transformations, split
        self._split = None if split is None else Split(space, split)
        self.store = Store()
        self._subnets: OrderedDict[str, Subnet] = OrderedDict()
        self._texts: dict[int, tuple[Any, str]] = {}
        self._active: Subnet | None = None
        self._regularisers: tuple[Callable[[nn.Module], None], ...] = ()
        self.architecture: Any = None
        self.grown: list[Any] = []
        """The architectures that needed what the covering of the space didn't show, in their order."""
        self._fill(seed)
        self.register_load_state_dict_post_hook(lambda module, _: module._forget())
        self.activate(extreme(space, True, Random(0)))

    def _fill(self, seed: int | None) -> None:
        """Give the store every tensor of the space, with the initial values of the largest network that has it."""
        found = Survey(self.space, self.inputs, self.outputs, self._split)
        for architecture, wanted in found.networks():
            for view in self._recorded(architecture, seed)[1]:
                if view.key in wanted:
                    value = tiled(view.home[view.attribute], found.shapes[view.key])
                    self.store.put(view, value)
        if self.kernel_transformations:
            for key, sizes in found.kernels.items():
                self.store.transform(key, sizes)

    def _recorded(self, architecture: Any, seed: int | None) -> tuple[nn.Module, list[TensorView]]:
        prefix = "" if self._split is None else self._split.prefix(architecture)
        return record(architecture, self.inputs, self.outputs, seed, prefix=prefix)

    def activate(self, architecture: Any) -> None:
        """Let `forward` run this architecture; raises `SpaceError` where it isn't in the space, or doesn't build."""
        text = self._text_of(architecture)
        subnet = self._subnets.get(text)
        if subnet is None:
            self.space.genes(architecture)
            subnet = self._subnets[text] = self._made(architecture)
            if len(self._subnets) > self.keep:
                self._subnets.popitem(last=False)
        else:
            self._subnets.move_to_end(text)
        self._active, self.architecture = subnet, architecture

    def regularise(self, *regularisers: Callable[[nn.Module], None]) -> None:
        """Change every network that is activated from now on: what is called adds dropout and the like to its modules.

        It may add no tensors. Extracted networks are without it.
        """
        if regularisers or self._regularisers:
            self._regularisers = regularisers
            self._forget()

    def _text_of(self, architecture: Any) -> str:
        """The architecture's text, remembered for the objects that came last: writing it takes most of a switch."""
        known = self._texts.get(id(architecture))
        if known is not None and known[0] is architecture:
            return known[1]
        if len(self._texts) >= self.keep:
            self._texts.clear()
        text = canonical.text(architecture)
        self._texts[id(architecture)] = architecture, text
        return text

    def _made(self, architecture: Any) -> Subnet:
        network, views = self._recorded(architecture, 0)
        for regularise in self._regularisers:
            regularise(network)
        if self._grow(views):
            self.grown.append(architecture)
        first = next(iter(self.store.parameters()), None)
        if first is not None:
            network.to(device=first.device, dtype=first.dtype)
        return Subnet(network, views, self.store)

    def grow_as(self, architectures: Iterable[Any]) -> None:
        """Take on what these architectures need, as another supernet of the space did: its `grown`."""
        before = self.architecture
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=GREW)
            for architecture in architectures:
                self.activate(architecture)
        self.activate(before)

    def _grow(self, views: list[TensorView]) -> bool:
        """Add what the covering architectures didn't show, if anything; such weights are new to an optimizer."""
        grown, first = 0, next(iter(self.store.parameters()), torch.empty(0))
        for view in views:
            known = self.store.tensor(view.key)
            shape = view.larger(() if known is None else tuple(known.shape))
            if known is not None and shape == tuple(known.shape):
                continue
            value = tiled(view.home[view.attribute], shape).to(first.device)
            value = value.to(first.dtype) if value.is_floating_point() else value
            if known is not None:
                view.write(value, known.detach())
            self.store.put(view, value)
            grown += 1
        if self.kernel_transformations:
            grown += sum(self.store.transform(view.key, [view.shape[2:]]) for view in views if view.kernel)
        if grown:
            warnings.warn(f"{GREW} by {grown} tensors; give its optimizer all parameters anew", stacklevel=4)
            self._subnets.clear()
        return grown > 0

    @property
    def network(self) -> nn.Module:
        """The active network, whose tensors are slices of the store's."""
        subnet = self._subnet()
        subnet.bind()
        return subnet.network

    @property
    def following(self) -> Following:
        """The active network's modules that follow the protocols of trainings."""
        return self._subnet().following

    @property
    def views(self) -> list[TensorView]:
        """The active network's parameters and buffers, each with the key of the store's tensor that holds it."""
        return self._subnet().views

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
        network = build(architecture, self.inputs, self.outputs, seed=0)
        network.to(device=tensor.device, dtype=tensor.dtype).load_state_dict(state)
        self.activate(before)
        return network

    def slices(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of tensors by the store's keys (its weights, their gradients), the active network's slices by its names.

        Of kernels that are transformed these are the centres, before any matrix.
        """
        return {view.name: view.of(tensors[view.key]) for view in self.views if view.key in tensors}

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
        return {**self.__dict__, "_subnets": OrderedDict(), "_texts": {}, "_active": None}

    def _forget(self) -> None:
        """Drop the networks that were made; the store's tensors may be others now."""
        self._subnets.clear()
        self._active = None
