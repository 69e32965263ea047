"""Structured pruning: narrower stages that keep their most important channels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from archfront.finishing import Finisher, Given, Product
from archfront.finishing._contract import check_count
from evaluators.datasets import Feed
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, fields_of, part, told
from search_spaces.weight_sharing.recording import TensorView, record

Pair = tuple[int, int]
"""A number of channels before and after."""
NARROWED = ("stage", "network")
"""The families whose widths are narrowed; those inside of blocks follow."""
BATCHES, BATCH = 8, 64
"""So many training examples give the gradients of "taylor"."""


@part("finisher", "width_prune", source="Pruning Filters for Efficient ConvNets")
class WidthPrune(Finisher):
    """Takes away the `share` of the channels of every stage that matters least, then heals by training.

    What matters is said `by` "magnitude", the sum of a filter's absolute weights; by "scale", the factor that a
    normalization gives a channel ("Learning Efficient Convolutional Networks through Network Slimming"); or by
    "taylor", the square of what the loss would change by without it, to first order ("Importance Estimation for Neural
    Network Pruning"). A channel that several layers share is kept or not in all of them at once, by the sum. Widths
    stay multiples of `multiple`; what follows from them, as hidden layers, is narrowed alike.
    """

    share: float = 0.25
    by: Literal["magnitude", "scale", "taylor"] = "magnitude"
    multiple: int = 4
    epochs: int | None = None

    def validate(self) -> None:
        if not isinstance(self.share, int | float) or isinstance(self.share, bool) or not 0 < self.share < 1:
            raise SpaceError(f"must be a number between 0 and 1, not {self.share!r}", "width_prune.share")
        if self.by not in ("magnitude", "scale", "taylor"):
            raise SpaceError(f"is magnitude, scale or taylor, not {self.by!r}", "width_prune.by")
        check_count(self.multiple, "width_prune.multiple", 1)
        check_count(self.epochs, "width_prune.epochs", 0, optional=True)

    def finish(self, given: Given) -> Product:
        narrow = narrowed(given.architecture, self._width)
        if narrow == given.architecture:
            raise SpaceError(
                f"width_prune: no stage is wide enough to lose {self.share:.0%} and stay a multiple of "
                f"{self.multiple}; take a larger share, a smaller multiple or another candidate"
            )
        try:
            layout = Layout.of(given, narrow)
            pruned = layout.pruned(given.state, self._importance(given))
            given.network(narrow, pruned)
        except SpaceError as error:
            raise SpaceError(f"width_prune: {error}") from None
        healed = given.heal(narrow, pruned, given.epochs(self.epochs))
        widths = ", ".join(f"{old} to {new}" for old, new in sorted(changes(given.architecture, narrow)))
        return Product(narrow, healed, f"narrowed widths from {widths}, least by {self.by}")

    def _width(self, width: int) -> int:
        wanted = round(width * (1 - self.share) / self.multiple) * self.multiple
        lower = min(wanted, (width - 1) // self.multiple * self.multiple)
        return lower if lower >= self.multiple else width

    def _importance(self, given: Given) -> "Importance":
        """What each row of a tensor counts, by its name and the tensor: (rows,), or None where it says nothing."""
        if self.by == "magnitude":
            return magnitude
        if self.by == "scale":
            return lambda name, tensor: _even(tensor.abs()) if tensor.ndim == 1 and name.endswith("weight") else None
        gradients = _gradients(given)
        return lambda name, tensor: (
            _rows(tensor * gradients[name]).sum(1).square() if name in gradients and tensor.ndim else None
        )


Importance = Callable[[str, Tensor], Tensor | None]


def magnitude(name: str, tensor: Tensor) -> Tensor | None:
    """The sums of the filters' absolute weights; nothing of vectors."""
    return _even(_rows(tensor).abs().sum(1)) if tensor.ndim > 1 else None


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1)


def _even(found: Tensor) -> Tensor:
    """Relative to the mean, so that layers with larger weights don't outvote the others."""
    return found / found.mean().clamp(min=1e-12)


def narrowed(tree: Any, width: Callable[[int], int]) -> Any:
    """The architecture with other widths of its stages, or of the network where that has one."""
    if isinstance(tree, tuple):
        return tuple(narrowed(item, width) for item in tree)
    if not isinstance(tree, Part):
        return tree
    found = {name: narrowed(getattr(tree, name), width) for name in fields_of(tree)}
    for name in fields_of(tree) if tree.family in NARROWED else ():
        if told(tree, name).get("size") == "width":
            found[name] = width(getattr(tree, name))
    changed: Any = {name: value for name, value in found.items() if value is not getattr(tree, name)}
    return replace(tree, **changed) if changed else tree  # type: ignore[type-var]


def changes(before: Any, after: Any) -> set[Pair]:
    """The widths that differ, before and after."""
    if isinstance(before, tuple):
        return {pair for a, b in zip(before, after, strict=True) for pair in changes(a, b)}
    if not isinstance(before, Part):
        return set()
    found = {pair for name in fields_of(before) for pair in changes(getattr(before, name), getattr(after, name))}
    sizes = [name for name in fields_of(before) if told(before, name).get("size") == "width"]
    pairs = {(getattr(before, name), getattr(after, name)) for name in sizes}
    return found | {pair for pair in pairs if pair[0] != pair[1]}


@dataclass(frozen=True)
class Layout:
    """How the tensors of a narrower network lie within those of the wide one.

    Two networks of one tree that differ in widths have tensors of the same names. A dimension that is `old` in the one
    and `new` in the other follows a width, and whatever is of the same pair is taken to be the same channels: which
    ones are kept is decided once per pair, so that all layers that share channels agree. `chunks` are the equal shares
    of tensors that hold several at once, as queries, keys and values; `groups` those of grouped convolutions. Of each
    of `shares` equal shares of a pair's channels, as many are kept, so that heads and groups keep their channels.
    `tied` are further names of tensors that layers share, each with the first one.
    """

    wide: Mapping[str, TensorView]
    narrow: Mapping[str, TensorView]
    groups: Mapping[str, int]
    shares: int
    tied: Mapping[str, str]

    @classmethod
    def of(cls, given: Given, narrow: Any) -> "Layout":
        """The layout of `narrow` within the network given; raises `SpaceError` where it isn't known."""
        inputs, outputs = given.data.inputs, given.data.outputs
        network, before = record(given.architecture, inputs, outputs, 0)
        other, after = record(narrow, inputs, outputs, 0)
        wide, thin = {view.name: view for view in before}, {view.name: view for view in after}
        if wide.keys() != thin.keys():
            raise SpaceError("the narrower network has other layers, so it can't take over weights")
        for name, view in thin.items():
            if view.alone and view.shape != wide[name].shape:
                raise SpaceError(f"a part has weights of its own for every width, so '{name}' can't be narrowed")
        groups = _groups(network, other)
        heads = [head for head in _heads(given.architecture) if head > 0]
        return cls(wide, thin, groups, lcm(*heads, *groups.values()), _tied(network))

    def pruned(self, state: Mapping[str, Tensor], importance: Importance) -> dict[str, Tensor]:
        """The weights of the narrower network: those of the channels that are kept, copied."""
        kept = self.kept(state, importance)
        found = {name: self.taken(name, state[name], kept).clone() for name in self.narrow}
        return found | {name: found[first] for name, first in self.tied.items()}

    def kept(self, state: Mapping[str, Tensor], importance: Importance) -> dict[Pair, Tensor]:
        """For each pair, the channels that are kept, ascending; by magnitude where the importance says nothing."""
        found: dict[Pair, Tensor] = {}
        for said in (magnitude, importance):
            found |= {pair: self._best(scores, pair) for pair, scores in self._scores(state, said).items()}
        every = {pair for name in self.narrow for _, pair in self.pairs(name)}
        return {pair: found.get(pair, torch.arange(pair[1])) for pair in every}

    def _scores(self, state: Mapping[str, Tensor], importance: Importance) -> dict[Pair, Tensor]:
        """For each pair that rows of parameters are of, what each of the channels counts."""
        scores: dict[Pair, Tensor] = {}
        for name, view in self.wide.items():
            pair = dict(self.pairs(name)).get(0) if view.parameter else None
            rows = None if pair is None else importance(name, state[name])
            if pair is not None and rows is not None:
                mine = rows.double().view(view.chunks, -1).sum(0)
                scores[pair] = scores.get(pair, torch.zeros_like(mine)) + mine
        return scores

    def _best(self, scores: Tensor, pair: Pair) -> Tensor:
        """The best channels of each share, where both numbers divide into the shares."""
        old, new = pair
        shares = self.shares if old % self.shares == new % self.shares == 0 else 1
        order = scores.view(shares, -1).argsort(dim=1, descending=True, stable=True)[:, : new // shares]
        return (order + torch.arange(shares)[:, None] * (old // shares)).sort(1).values.flatten()

    def pairs(self, name: str) -> list[tuple[int, Pair]]:
        """The dimensions of a tensor that become shorter, each with its pair; of chunks, that of one."""
        found = []
        for dimension, sizes in enumerate(zip(self.wide[name].shape, self.narrow[name].shape, strict=True)):
            if sizes[0] != sizes[1]:
                chunks = self.wide[name].chunks if dimension == 0 else 1
                found.append((dimension, (sizes[0] // chunks, sizes[1] // chunks)))
        return found

    def taken(self, name: str, tensor: Tensor, kept: Mapping[Pair, Tensor]) -> Tensor:
        """What is left of a tensor of the wide network."""
        if name in self.groups and any(dimension == 1 for dimension, _ in self.pairs(name)):
            return self._grouped(name, tensor, kept)
        for dimension, pair in self.pairs(name):
            chunks = self.wide[name].chunks if dimension == 0 else 1
            index = torch.cat([kept[pair] + place * pair[0] for place in range(chunks)])
            tensor = tensor.index_select(dimension, index)
        return tensor

    def _grouped(self, name: str, tensor: Tensor, kept: Mapping[Pair, Tensor]) -> Tensor:
        """Of a grouped convolution's weight, each group's rows with the columns that its own channels have."""
        count, pairs = self.groups[name], dict(self.pairs(name))
        columns = self._within(kept, (pairs[1][0] * count, pairs[1][1] * count), count)
        shares = tensor.chunk(count)
        rows = self._within(kept, pairs[0], count) if 0 in pairs else [torch.arange(len(shares[0]))] * count
        return torch.cat([share[r][:, c] for share, r, c in zip(shares, rows, columns, strict=True)])

    def _within(self, kept: Mapping[Pair, Tensor], pair: Pair, count: int) -> list[Tensor]:
        """The kept channels of each of `count` groups, counted from its first."""
        balanced = pair[0] % self.shares == pair[1] % self.shares == self.shares % count == 0
        if pair not in kept or not balanced:
            raise SpaceError("how the channels of a grouped convolution follow the widths isn't known")
        return [chosen - place * (pair[0] // count) for place, chosen in enumerate(kept[pair].chunk(count))]


def _groups(wide: nn.Module, narrow: nn.Module) -> dict[str, int]:
    """The numbers of groups of convolutions by their weights' names; none where each channel is a group of its own."""
    found = {}
    others = dict(narrow.named_modules())
    for name, module in wide.named_modules():
        if not isinstance(module, _ConvNd) or module.groups == 1:
            continue
        other: Any = others[name]
        if module.in_channels == module.groups and other.in_channels == other.groups:
            continue
        if module.groups != other.groups:
            raise SpaceError(
                f"the number of groups of the convolution '{name}' follows the width; which to drop isn't known"
            )
        found[f"{name}.weight"] = module.groups
    return found


def _tied(network: nn.Module) -> dict[str, str]:
    """The names of tensors in a state dict that stand for one that has a name already, each with that."""
    first: dict[int, str] = {}
    names = {name: first.setdefault(id(tensor), name) for name, tensor in network.state_dict(keep_vars=True).items()}
    return {name: known for name, known in names.items() if name != known}


def _heads(tree: Any) -> Sequence[int]:
    """All numbers of heads in an architecture."""
    if isinstance(tree, tuple):
        return [head for item in tree for head in _heads(item)]
    if not isinstance(tree, Part):
        return []
    inner = [head for name in fields_of(tree) for head in _heads(getattr(tree, name))]
    return inner + [getattr(tree, name) for name in fields_of(tree) if told(tree, name).get("size") == "heads"]


def _gradients(given: Given) -> dict[str, Tensor]:
    """The gradient of the mean loss over some training examples by each parameter, in evaluation mode."""
    network, task = given.network(), given.data.task
    feed = Feed(given.data, given.data.train)
    generator = torch.Generator().manual_seed(given.seed)
    order = torch.randperm(feed.size, generator=generator)[: BATCHES * BATCH]
    network.zero_grad()
    with torch.enable_grad():
        for chosen in order.split(BATCH):
            inputs, targets = feed.take(chosen)
            (task.loss(network(inputs), targets) * len(chosen) / len(order)).backward()
    return {name: one.grad.detach() for name, one in network.named_parameters() if one.grad is not None}
