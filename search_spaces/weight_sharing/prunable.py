"""What can be cut from a supernet's largest network: the channels that size decisions add, and what they cost."""

from dataclasses import dataclass, field, replace
from math import prod
from random import Random
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.decisions import INACTIVE
from search_spaces.errors import SpaceError
from search_spaces.example_inputs import no_inputs
from search_spaces.space import Space
from search_spaces.weight_sharing.recording import TensorView, shapes_of
from search_spaces.weight_sharing.sampling import extreme
from search_spaces.weight_sharing.supernet import Supernet

Cost = Literal["macs", "params"]


@dataclass
class Size:
    """A prunable decision: its options from the smallest to the largest, and what they cut.

    `ratios[rank]` are the tensors' sizes relative to the largest network's, `kept[module][rank]` the share of a
    module's channels that is left, all else being largest.
    """

    options: list[int]
    ratios: Tensor
    kept: dict[str, Tensor] = field(default_factory=dict)


class Channels(NamedTuple):
    """The channels of a module that sizes cut: those of the decisions `sizes`, in this order.

    `present[channel, ranks]` says which are left under each combination of ranks, the last size's rank counting
    fastest. The module's output consists of `chunks` times these channels.
    """

    sizes: tuple[int, ...]
    present: Tensor
    chunks: int


class Prunable:
    """The largest network of a supernet, its prunable sizes by the decision's index, and costs.

    `cost` is "macs", the multiply-accumulates of convolutions and linear layers, or "params".
    """

    def __init__(self, supernet: Supernet, cost: Cost) -> None:
        space = supernet.space
        self.cost = cost
        self._shape = supernet.inputs, supernet.outputs
        largest = extreme(space, True, Random(0))
        self.genes = space.genes(largest)
        # Without the modules that the tensors are in, which a copy of a method would copy, too.
        self._whole = [replace(view, home={}) for view in shapes_of(largest, *self._shape)]
        self._uses = uses_of(supernet, largest) if cost == "macs" else {}
        self.full = self._cost_of(self._whole)
        found = {i: self._size(space, i) for i, gene in enumerate(self.genes) if gene != INACTIVE}
        self.sizes = {index: size for index, size in found.items() if size is not None}
        self.channels = self._channels()

    def _size(self, space: Space, index: int) -> Size | None:
        """What the options of a decision cut; None where they aren't sizes, or cut no channels."""
        decision = space.decisions[index]
        if not decision.ordered:
            return None
        variants = {option: self._views(space, {index: option}) for option in range(len(decision.options))}
        order = sorted((o for o, views in variants.items() if views), key=decision.options.__getitem__)
        names = [view.name for view in self._whole]
        found = [variants[option] or [] for option in order]
        if len(order) < 2 or any([view.name for view in views] != names for views in found):
            return None
        ratios = [[prod(p.shape) / prod(w.shape) for p, w in zip(views, self._whole, strict=True)] for views in found]
        size = Size(order, torch.tensor(ratios))
        for place, view in enumerate(self._whole):
            rows = [views[place].shape[0] // view.chunks if view.shape else 0 for views in found]
            if view.parameter and rows == sorted(rows) and rows[0] < rows[-1]:
                size.kept[view.name.rpartition(".")[0]] = torch.tensor(rows) / rows[-1]
        return size if size.kept else None

    def _channels(self) -> dict[str, Channels]:
        """By the module's name; where several sizes cut the same channels, as an expansion of a width, by all."""
        found: dict[str, Channels] = {}
        for view in self._whole:
            name = view.name.rpartition(".")[0]
            cutting = tuple(index for index, size in self.sizes.items() if name in size.kept)
            if cutting and view.parameter and name not in found:
                count = view.shape[0] // view.chunks
                left = torch.ones(1)
                for index in cutting:
                    left = torch.outer(left, self.sizes[index].kept[name]).flatten()
                present = torch.arange(count)[:, None] < (count * left).round()
                found[name] = Channels(cutting, present.float(), view.chunks)
        return found

    def _views(self, space: Space, changes: dict[int, int]) -> list[TensorView] | None:
        """The tensors of the largest network with some options changed; None where it is banned or doesn't build."""
        genes = tuple(changes.get(index, gene) for index, gene in enumerate(self.genes))
        try:
            architecture = space.drawn(lambda index, _: max(0, genes[index]))
            return shapes_of(architecture, *self._shape) if space.allows(architecture) else None
        except SpaceError:
            return None

    def _cost_of(self, views: list[TensorView]) -> float:
        return float(sum(prod(view.shape) * self._use(view) for view in views))

    def _use(self, view: TensorView) -> int:
        if not view.parameter:
            return 0
        return 1 if self.cost == "params" else self._uses.get(view.name, 0)

    def options(self, ranks: dict[int, int]) -> dict[int, int]:
        """The options of these ranks, by the decision's index."""
        return {index: self.sizes[index].options[rank] for index, rank in ranks.items()}

    def cost_at(self, space: Space, ranks: dict[int, int]) -> float | None:
        """The cost of the sizes of these ranks, as a share of the largest network's; None where there is none."""
        views = self._views(space, self.options(ranks))
        return None if views is None else self._cost_of(views) / self.full

    def expected_cost(self, logits: list[nn.Parameter]) -> Tensor:
        """The expected cost as a share of the largest network's, each size drawn by the softmax of its logits."""
        kept = torch.tensor([float(prod(view.shape) * self._use(view)) for view in self._whole])
        for size, row in zip(self.sizes.values(), logits, strict=True):
            kept = kept * (functional.softmax(row, 0) @ size.ratios)
        return kept.sum() / self.full


def uses_of(supernet: Supernet, architecture: Any) -> dict[str, int]:
    """How often one forward pass uses each weight of the architecture's convolutions and linear layers."""
    found: dict[str, int] = {}
    supernet.activate(architecture)
    network = supernet.network
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):

            def count(module: nn.Module, inputs: Any, output: Tensor, name: str = f"{name}.weight") -> None:
                features = output.shape[-1] if isinstance(module, nn.Linear) else output.shape[1]
                found[name] = found.get(name, 0) + output.numel() // features

            handles.append(module.register_forward_hook(count))
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        example = next(iter(supernet.store.parameters()))
        with torch.no_grad():
            network(no_inputs(network, supernet.inputs, like=example))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return found
