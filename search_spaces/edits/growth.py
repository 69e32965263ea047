"""How each layer of a network takes over the weights of the smaller layer that it was before an edit."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from timm.layers import Attention, GluMlp, LayerNorm2d, LayerScale2d, Mlp, RmsNorm2d, SqueezeExcite
from timm.models import metaformer, swin_transformer
from torch import Tensor, nn

from search_spaces.blocks.attention_mixers import GlobalAttention2d, WindowAttention2d
from search_spaces.blocks.norm_placements import ResidualBranch
from search_spaces.blocks.paths import ParallelPaths, PathsInSequence
from search_spaces.blocks.positional_encodings import AbsolutePositions, ConditionalPositions
from search_spaces.blocks.residuals import ScaledResidualAdd
from search_spaces.errors import SpaceError

TRANSPARENT: tuple[type[nn.Module], ...] = (
    nn.Sequential,
    nn.ModuleList,
    ResidualBranch,
    ScaledResidualAdd,
    Mlp,
    SqueezeExcite,
    GlobalAttention2d,
    WindowAttention2d,
    ConditionalPositions,
)
"""Modules that compute with channels by way of the modules inside of them alone."""
DIFFERENCE = 0.1
"""How much replicated convolutions differ at first, in standard deviations of their weights; on average not at all."""

Inserter = Callable[["Growth", nn.Module, nn.Module, str], nn.Module | None]
Rule = Callable[["Growth", Any, Any], None]
RULES: dict[type[nn.Module], Rule] = {}


def rule(*classes: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Register how modules of these classes grow."""

    def decorate(made: Rule) -> Rule:
        RULES.update(dict.fromkeys(classes, made))
        return made

    return decorate


class Growth:
    """Gives a larger network the weights of a smaller one. `rest_of` takes new modules out of a sequence, see there."""

    def __init__(self, generator: torch.Generator, rest_of: Inserter) -> None:
        self.generator = generator
        self._rest_of = rest_of

    def grow(self, old: nn.Module, new: nn.Module, path: str) -> None:
        """Let `new` compute what `old` does; raises `SpaceError` with the path where that can't be."""
        try:
            if isinstance(new, PathsInSequence):
                self._follow(old, new, path)
            elif isinstance(new, ParallelPaths) and not _same_node(old, new):
                self._branch(old, new, path)
            elif type(old) is not type(new):
                raise SpaceError(f"a {type(old).__name__} can't become a {type(new).__name__}")
            elif type(old) in RULES:
                RULES[type(old)](self, old, new)
            elif isinstance(old, (*TRANSPARENT, ParallelPaths)):
                self._grow_inside(old, new, path)
            elif _shapes(old) == _shapes(new):
                new.load_state_dict(old.state_dict())
            else:
                raise SpaceError(f"how a {type(old).__name__} grows isn't known")
        except SpaceError as error:
            raise error if error.path else SpaceError(str(error), path or "network") from None

    def _grow_inside(self, old: nn.Module, new: nn.Module, path: str) -> None:
        rest = self._rest_of(self, old, new, path)
        before, after = dict(old.named_children()), dict((rest or new).named_children())
        if before.keys() != after.keys():
            raise SpaceError(f"{len(before)} layers can't become {len(after)} others")
        for name, child in before.items():
            self.grow(child, after[name], f"{path}.{name}" if path else name)

    def _branch(self, old: nn.Module, new: ParallelPaths, path: str) -> None:
        """Let parallel branches together compute what one module did."""
        count = len(new.branches)
        copies = [_share(old, count, place) if new.split else copy.deepcopy(old) for place in range(count)]
        if isinstance(old, nn.Conv2d) and not new.split:
            self._set_apart(copies)
        for place, (part, branch) in enumerate(zip(copies, new.branches, strict=True)):
            self.grow(part, branch, f"{path}.branches.{place}")

    def _follow(self, old: nn.Module, new: PathsInSequence, path: str) -> None:
        """Let the start of a sequence compute what was there, and the rest of it pass that on."""
        before = list(old) if isinstance(old, PathsInSequence) else [old]
        for place, module in enumerate(new):
            if place < len(before):
                self.grow(before[place], module, f"{path}.{place}")
            elif isinstance(module, nn.Conv2d) and _depthwise(module):
                nn.init.dirac_(module.weight, module.groups)
                nn.init.zeros_(module.bias)
            else:
                raise SpaceError(f"a {type(module).__name__} can't begin as the identity", f"{path}.{place}")

    def _set_apart(self, copies: list[Any]) -> None:
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


def _same_node(old: nn.Module, new: ParallelPaths) -> bool:
    return isinstance(old, ParallelPaths) and old.split == new.split and len(old.branches) == len(new.branches)


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _share(module: nn.Module, count: int, place: int) -> nn.Module:
    """The module for one of `count` equal shares of its channels."""
    if isinstance(module, metaformer.Pooling):
        return module
    if not isinstance(module, nn.Conv2d) or not _depthwise(module):
        raise SpaceError(f"a {type(module).__name__} mixes channels, so its channels can't be split")
    size = module.in_channels // count
    part = nn.Conv2d(size, size, module.kernel_size, padding=module.padding, groups=size, bias=module.bias is not None)
    part = part.to(module.weight)
    mine = slice(place * size, (place + 1) * size)
    part.load_state_dict({name: tensor[mine] for name, tensor in module.state_dict().items()})
    return part


def _depthwise(conv: nn.Conv2d) -> bool:
    return conv.groups == conv.in_channels == conv.out_channels


@rule(nn.Conv2d)
def _conv(growth: Growth, old: nn.Conv2d, new: nn.Conv2d) -> None:
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
    height, width = old.kernel_size
    new.weight[:, :, edges[0] : edges[0] + height, edges[1] : edges[1] + width] = weight


@rule(nn.Linear)
def _linear(growth: Growth, old: nn.Linear, new: nn.Linear) -> None:
    _check_bias(old, new)
    new.weight.copy_(growth.columns(growth.rows(old.weight, new.out_features), new.in_features))
    if old.bias is not None:
        new.bias.copy_(growth.rows(old.bias, new.out_features))


@rule(LayerNorm2d, RmsNorm2d)
def _norm_of_positions(growth: Growth, old: Any, new: Any) -> None:
    before, after = old.weight.shape[0], new.weight.shape[0]
    if after % before:
        raise SpaceError(
            f"a norm over {before} channels becomes another over {after}, some of them copied more often than others; "
            f"widen to a multiple, as {2 * before}"
        )
    _per_channel(growth, old, new)


@rule(nn.GroupNorm)
def _group_norm(growth: Growth, old: nn.GroupNorm, new: nn.GroupNorm) -> None:
    if old.num_channels // old.num_groups != new.num_channels // new.num_groups:
        raise SpaceError("groups of another size normalize differently")
    _per_channel(growth, old, new)


@rule(nn.BatchNorm2d, LayerScale2d)
def _per_channel(growth: Growth, old: nn.Module, new: nn.Module) -> None:
    targets = new.state_dict()
    for name, tensor in old.state_dict().items():
        targets[name].copy_(growth.rows(tensor, targets[name].shape[0]) if tensor.dim() else tensor)


@rule(AbsolutePositions)
def _positions(growth: Growth, old: AbsolutePositions, new: AbsolutePositions) -> None:
    new.positions.copy_(growth.rows(old.positions, new.positions.shape[1], 1))


@rule(GluMlp)
def _gated(growth: Growth, old: Any, new: Any) -> None:
    """The first layer gives values, then gates; each half has copies of its own."""
    half = new.fc1.weight.shape[0] // 2
    weight = growth.rows(old.fc1.weight.unflatten(0, (2, -1)), half, 1).flatten(0, 1)
    new.fc1.weight.copy_(growth.columns(weight, new.fc1.weight.shape[1]))
    new.fc1.bias.copy_(growth.rows(old.fc1.bias.unflatten(0, (2, -1)), half, 1).flatten())
    RULES[type(old.fc2)](growth, old.fc2, new.fc2)


@rule(Attention, swin_transformer.WindowAttention)
def _attention(growth: Growth, old: Any, new: Any) -> None:
    """Each head grows by itself; the scale of its products, which its size decides, is made up for in the queries."""
    if old.num_heads != new.num_heads:
        raise SpaceError(f"{old.num_heads} heads can't become {new.num_heads}")
    heads = (old.num_heads, -1)
    before, after = (module.proj.weight.shape[1] // module.num_heads for module in (old, new))
    factor = (after / before) ** 0.5

    # Keys share out what queries and keys bring together: weight and bias of one copy by the same share.
    both = torch.cat([old.qkv.weight, old.qkv.bias[:, None]], 1).unflatten(0, (3, *heads))
    queries = growth.rows(both[0], after, 1) * factor
    keys, values = growth.columns(both[1], after, 1), growth.rows(both[2], after, 1)
    wide = torch.stack([queries, keys, values]).flatten(0, 2)
    new.qkv.weight.copy_(growth.columns(wide[:, :-1], new.qkv.weight.shape[1]))
    new.qkv.bias.copy_(wide[:, -1])
    inner = growth.columns(old.proj.weight.unflatten(1, heads), after, 2).flatten(1)
    new.proj.weight.copy_(growth.rows(inner, new.proj.weight.shape[0]))
    new.proj.bias.copy_(growth.rows(old.proj.bias, new.proj.bias.shape[0]))
    if hasattr(old, "relative_position_bias_table"):
        new.relative_position_bias_table.copy_(old.relative_position_bias_table)


def _check_bias(old: Any, new: Any) -> None:
    if (old.bias is None) != (new.bias is None):
        raise SpaceError("a layer with a bias can't become one without, or the reverse")
