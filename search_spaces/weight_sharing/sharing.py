"""Which weights of a part are shared among its configurations, and how: a rule for each kind of part.

Without a rule, every configuration of a part, the shape it is built for included, has weights of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search_spaces import blocks
from search_spaces.blocks import cell_operations
from search_spaces.parts import Part, fields_of
from search_spaces.topologies import Cell201, Network, Stage, Tied, Trained

Arguments = tuple[Any, ...]
"""What a part's `build` is given."""


def _same_branch(part: Any, arguments: Arguments) -> str:
    return ""


def _same_name(part: Any, arguments: Arguments, name: str) -> str:
    return name


@dataclass(frozen=True)
class Sharing:
    """How configurations of one kind of part share weights.

    A smaller tensor is the leading slice of the largest along each dimension, and the centre of it along the sides
    of a convolution's kernel. `sizes` are the fields that configurations may differ in and still share; any other
    setting makes a branch with weights of its own.
    """

    sizes: tuple[str, ...] = ()
    chunks: Mapping[str, int] = field(default_factory=dict)
    """Tensors whose first dimension holds several equal ones, as queries, keys and values: each is sliced alone."""
    branch: Callable[[Any, Arguments], str] = _same_branch
    """What else tells branches apart, from the part and what its `build` is given."""
    name: Callable[[Any, Arguments, str], str] = _same_name
    """A tensor's name that means the same in all configurations, from the one it has in the part's module."""

    def kind(self, part: Part, arguments: Arguments) -> str:
        """What the configurations that share with `part` have in common."""
        settings = [f"{name}={getattr(part, name)}" for name in _settings(part) if name not in self.sizes]
        extra = self.branch(part, arguments)
        return ",".join([part.name, *settings, *([extra] if extra else [])])


class Alone(Sharing):
    """No sharing: for parts without a rule."""

    def kind(self, part: Part, arguments: Arguments) -> str:
        return f"{super().kind(part, arguments)},{arguments}"


SHARING: dict[type[Part], Sharing] = {}
"""The rule for each class of parts that has one."""
ALONE = Alone()


def share(
    *classes: type[Part],
    sizes: tuple[str, ...] = (),
    chunks: Mapping[str, int] | None = None,
    branch: Callable[[Any, Arguments], str] = _same_branch,
    name: Callable[[Any, Arguments, str], str] = _same_name,
) -> None:
    """Let the configurations of each of these classes of parts share weights; see `Sharing`."""
    for cls in classes:
        SHARING[cls] = Sharing(sizes, chunks or {}, branch, name)


def rule_of(part: Part) -> Sharing:
    """The rule for `part`, which is not to share where none was given."""
    return SHARING.get(type(part), ALONE)


def manner(cls: type[Part]) -> Literal["sliced", "branched"]:
    """How supernets hold a class of parts: configurations as slices of one, or each with weights of its own."""
    return "sliced" if cls in SHARING else "branched"


def _settings(part: Part) -> list[str]:
    """The fields that hold no other parts."""
    return [name for name in fields_of(part) if name not in part._slots]


def _window(part: Any, arguments: Arguments) -> str:
    """A bias table belongs to one size of window, which a small map cuts."""
    return "window={}x{}".format(*(min(part.window, side) for side in arguments[0][1:]))


def _resolution(part: Any, arguments: Arguments) -> str:
    return "map={}x{}".format(*arguments[0][1:])


def _expands(part: Any, arguments: Arguments) -> str:
    channels = arguments[0][0]
    return "expands" if round(channels * part.expansion) != channels else ""


def _without_attention(part: Any, arguments: Arguments, name: str) -> str:
    """The layers' numbers as they are without the channel attention in between."""
    number, _, rest = name.partition(".")
    stages = 2 if _expands(part, arguments) else 1
    attention = stages * (2 if part.norm is None else 3)
    if part.channel_attention is None or int(number) <= attention:
        return name
    return f"{int(number) - 1}.{rest}"


QKV = {"attention.qkv.weight": 3, "attention.qkv.bias": 3}
"""Heads divide the same rows, however many there are."""

share(Trained, Network, blocks.Block)
share(Stage, sizes=("width",))
share(Tied, sizes=("ties",))
share(Cell201, sizes=("width",))
share(blocks.Conv3x3Stem, sizes=("stride",))
share(blocks.PatchifyStem, blocks.ConvDownsample, blocks.PoolDownsample, blocks.AveragePoolHead)
share(blocks.BatchNorm, blocks.LayerNorm, blocks.RMSNorm, blocks.GroupNorm)
share(blocks.PreNorm, blocks.PostNorm, blocks.PeriNorm, blocks.Add, blocks.LayerScale)
share(blocks.GELU, blocks.ReLU, blocks.SiLU, blocks.HardSwish)
share(blocks.SqueezeExcitation, sizes=("reduction",))
share(blocks.MLP, sizes=("expansion",))
share(blocks.GLU, sizes=("expansion",), chunks={"fc1.weight": 2, "fc1.bias": 2})
share(blocks.DepthwiseConv, blocks.DilatedConv, blocks.Pooling, blocks.ConditionalEncoding, sizes=("kernel",))
share(blocks.InceptionConv, sizes=("kernel",))
share(blocks.Paths, blocks.Chain)
share(blocks.AbsoluteEncoding, branch=_resolution)
share(blocks.InvertedBottleneck, sizes=("kernel", "expansion"), branch=_expands, name=_without_attention)
share(blocks.SelfAttention, sizes=("heads",), chunks=QKV)
share(blocks.WindowAttention, sizes=("heads", "window", "shift"), chunks=QKV, branch=_window)
share(
    cell_operations.ZeroOperation,
    cell_operations.SkipConnection,
    cell_operations.NormedConv1x1,
    cell_operations.NormedConv3x3,
    cell_operations.AveragePool3x3,
)
