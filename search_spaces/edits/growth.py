"""How each layer of a network takes over the weights of the smaller layer that it was before an edit.

The rules here are those of torch's and timm's plain layers; a design's own file gives those of its own modules
(`search_spaces.declarations`).
"""

from collections.abc import Callable
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
import torch
from timm.layers import LayerNorm2d, LayerScale2d, RmsNorm2d
from torch import Tensor, nn

from search_spaces.declarations import FORMED, GROWTH, IDENTITIES, TRANSPARENT, declared, grows, transparent
from search_spaces.edits.identity import make_zero
from search_spaces.errors import SpaceError
from search_spaces.layers.by_sides import CONVS
from search_spaces.layers.channel_norms import ChannelLayerNorm, ChannelRmsNorm, ChannelScale

transparent(nn.Sequential)
transparent(nn.ModuleList)
DIFFERENCE = 0.1
"""How much replicated convolutions differ at first, in standard deviations of their weights; on average not at all."""

Inserter = Callable[["Growth", nn.Module, nn.Module, str], nn.Module | None]


class Growth:
    """Gives a larger network the weights of a smaller one. `rest_of` takes new modules out of a sequence, see there."""

    def __init__(self, generator: torch.Generator, rest_of: Inserter) -> None:
        self.generator = generator
        self._rest_of = rest_of

    def grow(self, old: nn.Module, new: nn.Module, path: str) -> None:
        """Let `new` compute what `old` does; raises `SpaceError` with the path where that can't be."""
        try:
            self._grow(old, new, path)
        except SpaceError as error:
            raise error if error.path else SpaceError(str(error), path or "network") from None

    def _grow(self, old: nn.Module, new: nn.Module, path: str) -> None:
        formed = declared(FORMED, new)
        if formed is not None and formed(self, old, new, path):
            return
        if type(old) is not type(new):
            raise SpaceError(f"a {type(old).__name__} can't become a {type(new).__name__}")
        rule = GROWTH.get(type(old))
        if rule is not None:
            rule(self, old, new, path)
        elif type(old) in TRANSPARENT:
            self._grow_inside(old, new, path)
        elif _shapes(old) == _shapes(new):
            new.load_state_dict(old.state_dict())
        else:
            raise SpaceError(f"how a {type(old).__name__} grows isn't known; say it beside its class with @grows")

    def _grow_inside(self, old: nn.Module, new: nn.Module, path: str) -> None:
        rest = self._rest_of(self, old, new, path)
        before, after = dict(old.named_children()), dict((rest or new).named_children())
        if before.keys() != after.keys():
            raise SpaceError(f"{len(before)} layers can't become {len(after)} others")
        for name, child in before.items():
            self.grow(child, after[name], f"{path}.{name}" if path else name)
        for name, tensor in new.named_parameters(recurse=False):
            known = dict(old.named_parameters(recurse=False)).get(name)
            if known is None or known.shape != tensor.shape:
                raise SpaceError(f"how '{name}' of a {type(new).__name__} grows isn't known; say it with @grows")
            tensor.copy_(known)

    def pass_on(self, module: nn.Module, path: str) -> None:
        """Let a module pass on what it is given: a depthwise convolution whose kernels are one in the centre."""
        rule = declared(IDENTITIES, module)
        if rule is not None and rule(module, make_zero):
            return
        if not (isinstance(module, CONVS) and _depthwise(module)):
            raise SpaceError(f"a {type(module).__name__} can't begin as the identity", path)
        nn.init.dirac_(module.weight, module.groups)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

    def share(self, module: nn.Module, count: int, place: int) -> nn.Module:
        """The module for one of `count` equal shares of its channels, each of which it must treat alone."""
        if not any(True for _ in module.parameters()):
            return module
        if not isinstance(module, CONVS) or not _depthwise(module):
            raise SpaceError(f"a {type(module).__name__} mixes channels, so its channels can't be split")
        size = module.in_channels // count
        part = type(module)(
            size,
            size,
            module.kernel_size,
            padding=module.padding,
            dilation=module.dilation,
            groups=size,
            bias=module.bias is not None,
        ).to(module.weight)
        mine = slice(place * size, (place + 1) * size)
        part.load_state_dict({name: tensor[mine] for name, tensor in module.state_dict().items()})
        return part

    def set_apart(self, copies: list[Any]) -> None:
        """Change equal convolutions without changing their mean: equal ones would learn the same for ever."""
        shape = (len(copies), *copies[0].weight.shape)
        drawn = torch.randn(shape, generator=self.generator).to(copies[0].weight)
        drawn = (drawn - drawn.mean(0)) * DIFFERENCE * copies[0].weight.square().mean().sqrt()
        for part, difference in zip(copies, drawn, strict=True):
            part.weight += difference

    def rows(self, tensor: Tensor, size: int, dim: int = 0) -> Tensor:
        """The tensor with `size` entries along `dim`: copies of the old ones, in turn."""
        if size < tensor.shape[dim]:
            raise SpaceError(f"{tensor.shape[dim]} channels can't become {size}, only more")
        return tensor.index_select(dim, torch.arange(size, device=tensor.device) % tensor.shape[dim])

    def columns(self, tensor: Tensor, size: int, dim: int = 1) -> Tensor:
        """The tensor for inputs that are copied so: the weights of an input are divided among its copies.

        The shares are drawn, since copies with equal shares would get equal gradients and stay copies.
        """
        before = tensor.shape[dim]
        wide = self.rows(tensor, size, dim)
        if size == before:
            return wide
        shares = (0.5 + torch.rand(size, generator=self.generator, dtype=torch.float64)).to(tensor.device)
        source = torch.arange(size, device=tensor.device) % before
        total = torch.zeros(before, dtype=torch.float64, device=tensor.device).index_add(0, source, shares)
        shares = (shares / total[source]).to(tensor.dtype)
        return wide * shares.view([-1 if d == dim else 1 for d in range(wide.dim())])


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _depthwise(conv: Any) -> bool:
    return conv.groups == conv.in_channels == conv.out_channels


@grows(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def _conv(growth: Growth, old: Any, new: Any, path: str) -> None:
    weight = growth.rows(old.weight, new.out_channels)
    if old.groups == new.groups == 1:
        weight = growth.columns(weight, new.in_channels)
    elif not (_depthwise(old) and _depthwise(new)) and _shapes(old) != _shapes(new):
        raise SpaceError("how a grouped convolution grows isn't known")
    _check_bias(old, new)
    if old.bias is not None:
        new.bias.copy_(growth.rows(old.bias, new.out_channels))
    new.weight.zero_()
    edges = [(large - small) // 2 for large, small in zip(new.kernel_size, old.kernel_size, strict=True)]
    if min(edges) < 0:
        raise SpaceError(f"a kernel of {old.kernel_size[0]} can't become one of {new.kernel_size[0]}, only larger")
    centre = tuple(slice(edge, edge + side) for edge, side in zip(edges, old.kernel_size, strict=True))
    new.weight[(slice(None), slice(None), *centre)] = weight


@grows(nn.Linear)
def _linear(growth: Growth, old: Any, new: Any, path: str) -> None:
    _check_bias(old, new)
    new.weight.copy_(growth.columns(growth.rows(old.weight, new.out_features), new.in_features))
    if old.bias is not None:
        new.bias.copy_(growth.rows(old.bias, new.out_features))


@grows(nn.Embedding)
def _embedding(growth: Growth, old: Any, new: Any, path: str) -> None:
    if old.num_embeddings != new.num_embeddings:
        raise SpaceError(f"a table of {old.num_embeddings} vectors can't become one of {new.num_embeddings}")
    new.weight.copy_(growth.rows(old.weight, new.embedding_dim, 1))


@grows(LayerNorm2d, RmsNorm2d, ChannelLayerNorm, ChannelRmsNorm)
def _norm_of_positions(growth: Growth, old: Any, new: Any, path: str) -> None:
    before, after = old.weight.shape[0], new.weight.shape[0]
    if after % before:
        raise SpaceError(
            f"a norm over {before} channels becomes another over {after}, some of them copied more often than others; "
            f"widen to a multiple, as {2 * before}"
        )
    _per_channel(growth, old, new, path)


@grows(nn.GroupNorm)
def _group_norm(growth: Growth, old: Any, new: Any, path: str) -> None:
    if old.num_channels // old.num_groups != new.num_channels // new.num_groups:
        raise SpaceError("groups of another size normalize differently")
    _per_channel(growth, old, new, path)


@grows(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, LayerScale2d, ChannelScale)
def _per_channel(growth: Growth, old: Any, new: Any, path: str) -> None:
    targets = new.state_dict()
    for name, tensor in old.state_dict().items():
        targets[name].copy_(growth.rows(tensor, targets[name].shape[0]) if tensor.dim() else tensor)


def _check_bias(old: Any, new: Any) -> None:
    if (old.bias is None) != (new.bias is None):
        raise SpaceError("a layer with a bias can't become one without, or the reverse")
