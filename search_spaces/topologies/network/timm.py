"""Whole networks of timm, under the names that they have there."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import isfinite
from types import FunctionType
from typing import Any

import search_spaces.torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

import timm
import torch
from torch import nn
from torch.nn import functional

from search_spaces.declarations import may_drop
from search_spaces.errors import SpaceError, near
from search_spaces.parts import Part, part
from search_spaces.site import Shape, Site

WIDTHS = ("channel_multiplier", "model_width", "width")
"""What timm's builders of a family call the multiplier of channels."""
DEPTHS = ("depth_multiplier",)
"""What they call that of layers."""


class TimmNetwork(nn.Module):
    """A network of timm, `body`, that is given pictures whose sides are multiplied by `resolution`."""

    def __init__(self, body: nn.Module, resolution: float) -> None:
        super().__init__()
        self.body = body
        self.resolution = resolution

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.resolution != 1:
            x = functional.interpolate(x, scale_factor=self.resolution, mode="bilinear", align_corners=False)
        return self.body(x)

    def reparameterize(self) -> None:
        """Merge what modules of timm merge by `fuse()`, which gives another module; the others do it themselves."""
        before = torch.get_default_dtype()
        # What is fused is made in the default type.
        torch.set_default_dtype(next(self.body.parameters()).dtype)
        try:
            _fuse(self.body)
        finally:
            torch.set_default_dtype(before)


@part("network", "timm", source="PyTorch Image Models", sides=2)
class Timm(Part):
    """The network that `timm.create_model(backbone)` gives, with the task's outputs and the inputs' channels.

    `backbone` is timm's name without the tag of pretrained weights. `width` and `depth` multiply the channels and the
    layers of the stages where the family's builder has a multiplier (EfficientNet, MobileNet, MnasNet, LCNet, TinyNet,
    GhostNet …). Pictures are resized by `resolution` before anything else. `stem_stride` is the stride of the first
    convolution, None being timm's: with 1, small pictures keep twice the resolution. Drop rates are timm's defaults.
    """

    backbone: str
    width: float = 1.0
    depth: float = 1.0
    resolution: float = 1.0
    stem_stride: int | None = None

    def validate(self) -> None:
        if not isinstance(self.backbone, str) or "." in self.backbone or not timm.is_model(self.backbone):
            raise SpaceError(_unknown(self.backbone), "timm.backbone")
        for name in ("width", "depth", "resolution"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not (isfinite(value) and value > 0):
                raise SpaceError(f"must be a number above 0, not {value!r}", f"timm.{name}")
        for name, known in (("width", WIDTHS), ("depth", DEPTHS)):
            if getattr(self, name) != 1 and _builder(self.backbone, known) is None:
                reason = f"timm's '{self.backbone}' has no multiplier of its {name}; leave it at 1, or take another one"
                raise SpaceError(reason, f"timm.{name}")
        if self.stem_stride not in (None, 1, 2):
            raise SpaceError(f"is 1, 2 or None, as timm has it, not {self.stem_stride!r}", "timm.stem_stride")

    def canonical(self) -> Part:
        factors = (self.width, self.depth, self.resolution)
        own = self.stem_stride is not None and _own_stride(self.backbone) == self.stem_stride
        if not own and all(isinstance(factor, float) for factor in factors):
            return self
        width, depth, resolution = map(float, factors)
        stride = None if own else self.stem_stride
        return replace(self, width=width, depth=depth, resolution=resolution, stem_stride=stride)

    def accepts(self, site: Site) -> str | None:
        return _refusal(self, tuple(site.shape), site.leads_to)

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def build(self, site: Site) -> nn.Module:
        settings: dict[str, Any] = {"num_classes": site.leads_to, "in_chans": site.channels}
        known = timm.get_pretrained_cfg(self.backbone, allow_unregistered=True)
        if known is not None and known.fixed_input_size:
            settings["img_size"] = tuple(int(side * self.resolution) for side in site.sides)
        if self.width == 1 and self.depth == 1:
            body = timm.create_model(self.backbone, **settings)
        else:
            body = _scaled(self.backbone, self.width, self.depth)(**settings)
        if self.stem_stride is not None:
            for conv in _stem(body):
                conv.stride = (self.stem_stride, self.stem_stride)
        return TimmNetwork(body, self.resolution)


@may_drop(TimmNetwork)
def _branches(module: TimmNetwork) -> list[nn.Module]:
    # What timm itself would leave out: its blocks pass each branch through a module of this name, here the identity.
    residual = (block for block in module.body.modules() if getattr(block, "has_skip", True))
    return [child for block in residual for name, child in block.named_children() if name.startswith("drop_path")]


def _fuse(module: nn.Module) -> None:
    for name, child in module.named_children():
        if callable(getattr(child, "fuse", None)) and not hasattr(child, "reparameterize"):
            setattr(module, name, child.fuse())
        _fuse(module.get_submodule(name))


def _scaled(backbone: str, width: float, depth: float) -> Callable[..., nn.Module]:
    """timm's function that makes a backbone, for `width` times the channels and `depth` times the layers.

    timm gives the multipliers of each backbone to its family's builder within that function; so it is run on a builder
    that multiplies them further.
    """
    entry: Any = timm.model_entrypoint(backbone)
    name = _builder(backbone, WIDTHS if width != 1 else DEPTHS)
    builder = entry.__globals__[name]
    kinds = inspect.signature(builder)

    def build(*given: Any, **settings: Any) -> nn.Module:
        called = kinds.bind(*given, **settings)
        called.apply_defaults()
        for parameter in called.arguments:
            times = width if parameter in WIDTHS else depth if parameter in DEPTHS else None
            if times is not None:
                called.arguments[parameter] *= times
        return builder(*called.args, **called.kwargs)

    return FunctionType(entry.__code__, {**entry.__globals__, str(name): build}, backbone, entry.__defaults__)


def _builder(backbone: str, multipliers: tuple[str, ...]) -> str | None:
    """The name by which timm's function of a backbone calls a builder with one of these multipliers, if it does."""
    entry: Any = timm.model_entrypoint(backbone)
    for name in entry.__code__.co_names:
        found = entry.__globals__.get(name)
        if inspect.isfunction(found) and not set(multipliers).isdisjoint(inspect.signature(found).parameters):
            return name
    return None


def _stem(body: Any) -> list[nn.Conv2d]:
    """The convolutions that take the inputs; raises `SpaceError` where their stride can't be another."""
    named = body.pretrained_cfg.get("first_conv") or ()
    found = [body.get_submodule(name) for name in ((named,) if isinstance(named, str) else named)]
    # What pads by its kernel's half, or to what the stride asks for, only takes more or fewer places.
    if not found or not all(isinstance(conv, nn.Conv2d) and conv.kernel_size[0] % 2 for conv in found):
        raise SpaceError(
            "its stem cuts pictures into patches, or isn't known; leave stem_stride out, and give a larger resolution",
            "timm.stem_stride",
        )
    return found


@lru_cache(maxsize=512)
def _own_stride(backbone: str) -> int | None:
    """The stride of a backbone's first convolution; None where it has none that could be changed."""
    with torch.device("meta"):
        body = timm.create_model(backbone)
    try:
        return int(_stem(body)[0].stride[0])
    except SpaceError:
        return None


@lru_cache(maxsize=4096)
def _refusal(network: Timm, shape: Shape, outputs: int) -> str | None:
    """Why a network can't be built for, or run on, inputs of a shape; tried without memory for weights or maps."""
    try:
        with torch.device("meta"), torch.no_grad():
            network.build(Site(shape, outputs)).eval()(torch.empty(2, *shape))
    except SpaceError as error:
        return str(error)
    except Exception as error:
        # timm's networks raise what comes; whatever it is, this one isn't for such pictures.
        pictures = "x".join(map(str, shape))
        said = " ".join(str(error).split())[:200] or type(error).__name__
        return f"timm's '{network.backbone}' doesn't take pictures of {pictures}: {said}; give another resolution"
    return None


def _unknown(backbone: Any) -> str:
    """What is said of a name that isn't one of timm's."""
    plain = str(backbone).partition(".")[0]
    if plain != backbone and timm.is_model(plain):
        return f"'{backbone}' has the tag of pretrained weights; say '{plain}', and --pretrained for weights"
    similar = timm.list_models(f"*{plain[:4]}*") or ["lcnet_050", "mobilenetv3_small_050", "resnet18"]
    return f"timm has no network '{backbone}'; {near(plain, similar[:20])}"
