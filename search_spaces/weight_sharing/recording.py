"""Builds a network and notes, for each of its tensors, which part of the architecture made it, and how it shares it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from search_spaces.building import build
from search_spaces.parts import Part, fields_of
from search_spaces.site import Shape, Site
from search_spaces.weight_sharing.sharing import Arguments, arguments_of, branch_of


@dataclass
class Frame:
    """One call of a part's `build`: the calls that it is inside of are in its `key`."""

    part: Any
    site: Site | None
    path: str
    key: str
    alone: bool
    """Whether this part, or one that it is in, is branched: not sliced."""
    outer: "Frame | None" = None
    """The call that this one is directly inside of."""
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def arguments(self) -> Arguments:
        """What it is given that decides about its weights, as numbers in tuples."""
        return arguments_of(self.site)


@dataclass(frozen=True)
class TensorView:
    """A parameter or buffer of a network: where it is, and the shared tensor `key` of which it is a slice.

    `home` is the dictionary of its module that holds it under `attribute`.
    """

    name: str
    home: dict[str, Any]
    attribute: str
    key: str
    shape: Shape
    chunks: int
    kernel: bool
    parameter: bool
    """Whether it is a parameter; else a buffer."""
    trained: bool
    alone: bool
    """Whether a branched part made it, so that it is shared with no other configuration."""

    def index(self, whole: Shape) -> tuple[slice, ...] | None:
        """Where this tensor is within one of shape `whole`, chunks apart; None when it is all of it."""
        if whole == self.shape:
            return None
        found = []
        for dimension, (size, large) in enumerate(zip(self.shape, whole, strict=True)):
            if dimension == 0:
                size, large = size // self.chunks, large // self.chunks
            start = (large - size) // 2 if self.kernel and dimension > 1 else 0
            found.append(slice(start, start + size))
        return tuple(found)

    def larger(self, known: Shape) -> Shape:
        """The smallest shape that holds both this tensor and one of the shape `known`."""
        return tuple(map(max, known, self.shape)) if known else self.shape

    def of(self, whole: Tensor) -> Tensor:
        """This tensor's slice of `whole`: a view, or a copy where chunks are sliced."""
        return sliced(whole, self.index(tuple(whole.shape)), self.chunks)

    def write(self, whole: Tensor, value: Tensor) -> None:
        """Put `value`, of whichever shape, where this tensor of that shape is within `whole`."""
        index = replace(self, shape=tuple(value.shape)).index(tuple(whole.shape)) or (slice(None),)
        if self.chunks == 1:
            whole[index] = value
        else:
            whole.unflatten(0, (self.chunks, -1))[(slice(None), *index)] = value.unflatten(0, (self.chunks, -1))


def sliced(whole: Tensor, index: tuple[slice, ...] | None, chunks: int) -> Tensor:
    """The slice of `whole`, or of each of its `chunks`, at `index`."""
    if index is None:
        return whole
    if chunks == 1:
        return whole[index]
    return whole.unflatten(0, (chunks, -1))[(slice(None), *index)].flatten(0, 1)


class Recording:
    """Makes copies of parts that note who builds which module; all keys begin with `prefix`."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._stack: list[Frame] = []
        self.frames: list[Frame] = []
        """All calls, in the order in which they began."""
        # The modules are kept, so that no other can take over the identity of one that was dropped.
        self._claims: dict[int, tuple[nn.Module, Frame, str]] = {}

    def marked(self, value: Any, path: str = "") -> Any:
        """The tree with every part copied, even where one object stands in several places."""
        if isinstance(value, tuple):
            return tuple(self.marked(item, _joined(path, str(i))) for i, item in enumerate(value))
        if not isinstance(value, Part):
            return value
        copy = object.__new__(type(value))
        copy.__dict__.update(
            {name: self.marked(getattr(value, name), _joined(path, name)) for name in fields_of(value)}
        )
        copy.__dict__["build"] = self._recorded(copy, path)
        return copy

    def _recorded(self, part: Any, path: str) -> Callable[..., nn.Module]:
        def recorded(*arguments: Any, **named: Any) -> nn.Module:
            frame = self._frame(part, path, (*arguments, *named.values()))
            self.frames.append(frame)
            self._stack.append(frame)
            try:
                module = type(part).build(part, *arguments, **named)
            finally:
                self._stack.pop()
            for prefix, inner in module.named_modules():
                self._claims.setdefault(id(inner), (inner, frame, prefix))
            return module

        return recorded

    def _frame(self, part: Any, path: str, arguments: tuple[Any, ...]) -> Frame:
        site = next((value for value in arguments if isinstance(value, Site)), None)
        kind = f"[{branch_of(part, site)}]"
        if not self._stack:
            return Frame(part, site, path, self._prefix + path + kind, not part.sliced)
        outer = self._stack[-1]
        count = outer.calls[path]
        outer.calls[path] += 1
        # A part may be built inside of one that doesn't hold it, as a norm is by its placement.
        inside = path.removeprefix(f"{outer.path}.") if outer.path else path
        key = f"{outer.key}>{inside}{kind}" + (f"#{count}" if count else "")
        return Frame(part, site, path, key, outer.alone or not part.sliced, outer)

    def views(self, network: nn.Module) -> list[TensorView]:
        """All parameters and persistent buffers of a network that was built from a marked tree."""
        found: list[TensorView] = []
        tied: dict[int, str] = {}
        for path, module in network.named_modules():
            _, frame, prefix = self._claims[id(module)]
            kept = {k: v for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set}
            for home, tensors in ((module._parameters, module._parameters), (module._buffers, kept)):
                for attribute, tensor in tensors.items():
                    if tensor is None:
                        continue
                    name = _joined(prefix, attribute)
                    local = name if frame.site is None else frame.part.weight_name(frame.site, name)
                    key = tied.setdefault(id(tensor), f"{frame.key}:{local}".replace(".", "/"))
                    view = TensorView(
                        name=_joined(path, attribute),
                        home=home,
                        attribute=attribute,
                        key=key,
                        shape=tuple(tensor.shape),
                        chunks=frame.part.chunks.get(local, 1),
                        kernel=isinstance(module, _ConvNd) and attribute == "weight",
                        parameter=home is module._parameters,
                        trained=tensor.requires_grad,
                        alone=frame.alone,
                    )
                    found.append(view)
        return found


def record(
    architecture: Any,
    inputs: Shape,
    outputs: int,
    seed: int | None,
    device: str = "cpu",
    prefix: str = "",
    frames: list[Frame] | None = None,
) -> tuple[nn.Module, list[TensorView]]:
    """The network that `build` gives for the architecture, and its tensors, whose keys begin with `prefix`.

    `frames` is filled with the calls that built it.
    """
    recording = Recording(prefix)
    marked = recording.marked(architecture)
    with torch.device(device):
        network = build(marked, inputs, outputs, seed)
    if frames is not None:
        frames[:] = recording.frames
    return network, recording.views(network)


def shapes_of(
    architecture: Any, inputs: Shape, outputs: int, prefix: str = "", frames: list[Frame] | None = None
) -> list[TensorView]:
    """The tensors of the architecture's network, without their values where it can be built without."""
    try:
        return record(architecture, inputs, outputs, 0, "meta", prefix, frames)[1]
    except (NotImplementedError, RuntimeError):
        # A part that computes with values while it is built.
        return record(architecture, inputs, outputs, 0, "cpu", prefix, frames)[1]


def tiled(value: Tensor, shape: Shape) -> Tensor:
    """A new tensor of `shape` that repeats `value` along each dimension where it is shorter."""
    for dimension, size in enumerate(shape):
        rows = torch.arange(size, device=value.device) % value.shape[dimension]
        value = value.index_select(dimension, rows)
    return value.detach().clone(memory_format=torch.contiguous_format)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
