"""The edits as steps from one architecture to another, and which architectures such steps reach."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from search_spaces.canonical import canonical, outline
from search_spaces.errors import SpaceError
from search_spaces.parts import FAMILIES, Part, fields_of
from search_spaces.registry import Registry

GROWING: dict[tuple[str, str], tuple[str, ...]] = {
    ("stage", "stage"): ("width",),
    ("channel_mixer", "mlp"): ("expansion",),
    ("channel_mixer", "glu"): ("expansion",),
    ("token_mixer", "inverted_bottleneck"): ("kernel", "expansion"),
    ("token_mixer", "depthwise_conv"): ("kernel",),
    ("positional_encoding", "conditional"): ("kernel",),
}
"""The fields of parts, by family and name, that may grow without a change of the network's function."""

Inserted = Mapping[str, Mapping[int, int | None]]
"""For each stage by its path: the places of new blocks, each with the block before the edit that it copies, if any."""


EDITS: "Registry[type[Edit]]" = Registry("edit", "search_spaces.edits")
"""Every kind of edit, by name."""


class Edit(ABC):
    """One change of an architecture that a trained network's function survives, where it `preserves` that."""

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    preserves: ClassVar[bool] = True
    """Whether the network computes after the edit what it did before."""
    moves_weights: ClassVar[bool] = True
    """Whether weights change their places or shapes; else the edited network takes them as they are."""

    @abstractmethod
    def applied(self, architecture: Any) -> Any:
        """The edited architecture; raises `SpaceError` where the edit doesn't fit."""

    def inserted(self, architecture: Any) -> Inserted:
        """The blocks that `applied` adds."""
        return {}

    def __str__(self) -> str:
        values = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        return " ".join([self.name, *(outline(value) for value in values if value is not None)])


TREES = ("paths", "chain")
"""Token mixers that hold others."""

E = TypeVar("E", bound=type[Edit])


def edit(name: str, *, source: str) -> Callable[[E], E]:
    """Register the decorated kind of edit as `name`; `source` is the exact title of the publication."""

    def decorate(cls: E) -> E:
        cls.name, cls.source = name, source
        EDITS.add(name, cls, source=source)
        return cls

    return decorate


@edit("widen", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class Widen(Edit):
    """More channels: those of the stage at `path`, or those inside the mixer there, whose `expansion` grows."""

    path: str
    to: float

    def applied(self, architecture: Any) -> Any:
        return _grown(architecture, self.path, ("width", "expansion"), self.to)


@edit("enlarge", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class EnlargeKernel(Edit):
    """A larger kernel for the convolution at `path`, which is zero around the old one."""

    path: str
    to: int

    def applied(self, architecture: Any) -> Any:
        return _grown(architecture, self.path, ("kernel",), self.to)


@edit("deepen", source="Net2Net: Accelerating Learning via Knowledge Transfer")
@dataclass(frozen=True)
class Deepen(Edit):
    """A new block at place `index` of the stage at `path`, which passes everything on as it is.

    It is `block`; or else it starts as a copy of the block before it, or after it at the stage's start, up to the
    last layer of each branch.
    """

    path: str
    index: int
    block: Any = None

    def applied(self, architecture: Any) -> Any:
        blocks = self._blocks(architecture)
        block = self.block
        if block is None:
            block = blocks[self._model()]
        return put(architecture, f"{self.path}.blocks", (*blocks[: self.index], block, *blocks[self.index :]))

    def inserted(self, architecture: Any) -> Inserted:
        return {self.path: {self.index: self._model() if self.block is None else None}}

    def _model(self) -> int:
        return max(0, self.index - 1)

    def _blocks(self, architecture: Any) -> tuple[Any, ...]:
        _check_untied(architecture)
        blocks = _blocks_at(architecture, self.path)
        if not 0 <= self.index <= len(blocks) or not (blocks or self.block):
            raise SpaceError(f"has {len(blocks)} blocks; no block can be put at {self.index}", self.path)
        return blocks


@edit("inject", source="Transformer Layer Injection: A Novel Approach for Efficient Upscaling of Large Language Models")
@dataclass(frozen=True)
class InjectLayers(Edit):
    """After every `every` blocks of each stage, a copy of the last of them, which passes everything on as it is."""

    every: int

    def applied(self, architecture: Any) -> Any:
        models = self._models(architecture)
        for path, order in models.items():
            blocks = _blocks_at(architecture, path)
            architecture = put(architecture, f"{path}.blocks", tuple(blocks[model] for model, _ in order))
        return architecture

    def inserted(self, architecture: Any) -> Inserted:
        return {
            path: {place: model for place, (model, new) in enumerate(order) if new}
            for path, order in self._models(architecture).items()
        }

    def _models(self, architecture: Any) -> dict[str, list[tuple[int, bool]]]:
        """For each stage that gets blocks: the old block at each new place, and whether it is a copy of it."""
        if self.every < 1:
            raise SpaceError(f"must be 1 or more, not {self.every}", "inject.every")
        _check_untied(architecture)
        found = {}
        path = "network." if network_of(architecture) is not architecture else ""
        for number, stage in enumerate(_stages(network_of(architecture))):
            order: list[tuple[int, bool]] = []
            for index in range(len(stage.blocks)):
                order.append((index, False))
                if (index + 1) % self.every == 0:
                    order.append((index, True))
            if len(order) > len(stage.blocks):
                found[f"{path}stages.{number}"] = order
        if not found:
            raise SpaceError(f"no stage has {self.every} blocks or more; inject more often", "architecture")
        return found


@edit("replicate", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class Replicate(Edit):
    """The token mixer at `path` `branches` times side by side, the outputs averaged."""

    path: str
    branches: int = 2

    def applied(self, architecture: Any) -> Any:
        return _branched(architecture, self.path, self.branches, "replicate")


@edit("split", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class Split(Edit):
    """The token mixer at `path`, which must treat each channel alone, on `branches` shares of the channels."""

    path: str
    branches: int = 2

    def applied(self, architecture: Any) -> Any:
        if not _channelwise(at(architecture, self.path)):
            raise SpaceError("mixes channels, so its channels can't be split; replicate it", self.path)
        return _branched(architecture, self.path, self.branches, "split")


@edit("insert_identity", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class InsertIdentity(Edit):
    """A depthwise convolution behind the token mixer at `path`, in the same path, which begins as the identity."""

    path: str
    kernel: int = 3

    def applied(self, architecture: Any) -> Any:
        mixer = at(architecture, self.path)
        if getattr(mixer, "family", "") != "token_mixer":
            raise SpaceError(f"{outline(mixer)} is no token mixer, so no other can follow it in its path", self.path)
        known = FAMILIES["token_mixer"]
        chain: Any = known.get("chain")
        conv: Any = known.get("depthwise_conv")
        before = mixer.children if mixer.name == "chain" else (mixer,)
        return put(architecture, self.path, chain((*before, conv(self.kernel))))


@edit("redilate", source="ScaleCrafter: Tuning-free Higher-Resolution Visual Generation with Diffusion Models")
@dataclass(frozen=True)
class Redilate(Edit):
    """The depthwise convolution at `path` with its taps `dilation` times as far apart, its weights as they are.

    For running a trained network on images so much larger: a map in which each pixel is `dilation` pixels in both
    directions is convolved to what was, with each pixel repeated so. On other maps the outputs change. A dilation of
    1 gives the plain convolution back.
    """

    path: str
    dilation: int = 2
    preserves: ClassVar[bool] = False
    moves_weights: ClassVar[bool] = False

    def applied(self, architecture: Any) -> Any:
        mixer = at(architecture, self.path)
        known = FAMILIES["token_mixer"]
        if getattr(mixer, "name", "") not in ("depthwise_conv", "dilated_conv"):
            raise SpaceError(f"{outline(mixer)} is no depthwise convolution, so it can't be dilated", self.path)
        if self.dilation < 1 or mixer.kernel == 1:
            raise SpaceError(
                f"a kernel of {mixer.kernel} can't have a dilation of {self.dilation}; take 3 or more of 1 or more",
                self.path,
            )
        kinds: Any = known.get("dilated_conv"), known.get("depthwise_conv")
        new = kinds[0](mixer.kernel, self.dilation) if self.dilation > 1 else kinds[1](mixer.kernel)
        return put(architecture, self.path, new)


def at(tree: Any, path: str) -> Any:
    """What stands at `path` of an architecture: names of fields and places in tuples, as in `stages.0.blocks.1`."""
    for step in filter(None, path.split(".")):
        try:
            tree = tree[int(step)] if isinstance(tree, tuple) else getattr(tree, step)
        except (AttributeError, IndexError, ValueError):
            raise SpaceError(f"there is nothing at '{step}'", path) from None
    return tree


def put(tree: Any, path: str, value: Any) -> Any:
    """The architecture with `value` at `path`."""
    outer, _, step = path.rpartition(".")
    if not step:
        return value
    holder = at(tree, outer)
    if isinstance(holder, tuple):
        place = int(step)
        return put(tree, outer, (*holder[:place], value, *holder[place + 1 :]))
    return put(tree, outer, replace(holder, **{step: value}))


def path_edits(architecture: Any, branches: tuple[int, ...] = (2, 3, 4)) -> Iterator[Edit]:
    """The edits of the trees of paths of an architecture: each leaf replicated, split, followed, or 2 larger.

    Every token mixer is a leaf or a tree. Leaves whose shape doesn't fit, and kernels that no space has, come, too.
    """
    for path, leaf in leaves(architecture):
        for count in branches:
            yield Replicate(path, count)
            if _channelwise(leaf):
                yield Split(path, count)
        if "kernel" in GROWING.get((leaf.family, leaf.name), ()):
            yield EnlargeKernel(path, leaf.kernel + 2)
        yield InsertIdentity(path)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The paths and parts of the token mixers that aren't trees of paths themselves."""
    if isinstance(tree, tuple):
        for place, item in enumerate(tree):
            yield from leaves(item, f"{path}.{place}" if path else str(place))
    elif isinstance(tree, Part):
        if tree.family == "token_mixer" and tree.name not in TREES:
            yield path, tree
            return
        for field in fields_of(tree):
            yield from leaves(getattr(tree, field), f"{path}.{field}" if path else field)


def check_reachable(before: Any, after: Any, inserted: Inserted | None = None) -> Inserted:
    """Raise `SpaceError`, with path and reason, unless edits lead from one architecture to the other.

    Gives the blocks that are new in `after`. Without `inserted` they are what one deepening would have added: those
    between the blocks that agree at a stage's start and end, or else the last ones. Layers may be tied and untied
    besides; only a tie of a new block leads nowhere. Paths are those inside of the network whose layers are tied.
    """
    tied = canonical(after)
    before, after = network_of(canonical(before)), network_of(tied)
    found = dict(_added(before, after) if inserted is None else inserted)
    _check(before, after, found, "")
    for path, number, place, root in ties_of(tied):
        if {place, root} & set(found.get(path, ())):
            raise SpaceError("a new block can't be tied at once, since it must pass on what comes", f"ties.{number}")
    return found


def network_of(architecture: Any) -> Any:
    """The network inside of one with ties, or the network itself."""
    return architecture.network if getattr(architecture, "name", "") == "tied" else architecture


def ties_of(architecture: Any) -> Iterator[tuple[str, int, int, int]]:
    """For each tied layer: the path of its stage, the stage's number, the layer's place, that of the one it follows."""
    for number, row in enumerate(getattr(architecture, "roots", ())):
        for place, root in enumerate(row):
            if root != place:
                yield f"stages.{number}", number, place, root


def _added(before: Any, after: Any) -> Iterator[tuple[str, dict[int, int | None]]]:
    for number, (old, new) in enumerate(zip(_stages(before), _stages(after), strict=False)):
        count = len(new.blocks) - len(old.blocks)
        if count > 0:
            same = 0
            while same < len(old.blocks) and old.blocks[same] == new.blocks[same]:
                same += 1
            rest = old.blocks[same:]
            start = same if new.blocks[same + count :] == rest else len(old.blocks)
            yield f"stages.{number}", dict.fromkeys(range(start, start + count))


def _stages(architecture: Any) -> tuple[Any, ...]:
    return getattr(architecture, "stages", ())


def _check(before: Any, after: Any, inserted: Inserted, path: str) -> None:
    if before == after and type(before) is type(after):
        return
    if isinstance(after, Part) and after.family == "token_mixer" and after.name == "paths":
        _check_paths(before, after, inserted, path)
    elif isinstance(after, Part) and after.family == "token_mixer" and after.name == "chain":
        _check_chain(before, after, inserted, path)
    elif isinstance(before, tuple) and isinstance(after, tuple):
        if path.endswith(".blocks"):
            new = inserted.get(path.removesuffix(".blocks"), {})
            after = tuple(item for place, item in enumerate(after) if place not in new)
        if len(before) != len(after):
            raise SpaceError(f"{len(before)} of them became {len(after)}, which no edit does", path or "architecture")
        for place, (old, now) in enumerate(zip(before, after, strict=True)):
            _check(old, now, inserted, f"{path}.{place}" if path else str(place))
    elif isinstance(before, Part) and type(before) is type(after):
        growing = GROWING.get((before.family, before.name), ())
        for field in fields_of(before):
            old, now = getattr(before, field), getattr(after, field)
            inner = f"{path}.{field}" if path else field
            if field not in growing or old > now:
                _check(old, now, inserted, inner)
            elif field == "width" and old != now:
                _check_no_split(at(before, "blocks"), inner)
    else:
        raise SpaceError(f"no edit leads from {outline(before)} to {outline(after)}", path or "architecture")


def _check_paths(before: Any, after: Any, inserted: Inserted, path: str) -> None:
    """`after` is a tree of paths: the same as before with its paths edited, or all of what was there in each path."""
    same = type(before) is type(after) and before.allocation == after.allocation
    if same and len(before.children) == len(after.children):
        _check(before.children, after.children, inserted, f"{path}.children")
        return
    if after.allocation == "split" and not _channelwise(before):
        raise SpaceError(f"{outline(before)} mixes channels, so its channels can't be split", path)
    for place, child in enumerate(after.children):
        _check(before, child, inserted, f"{path}.children.{place}")


def _check_chain(before: Any, after: Any, inserted: Inserted, path: str) -> None:
    """`after` begins with what was there before; what follows can be the identity."""
    old = before.children if type(before) is type(after) else (before,)
    if len(old) > len(after.children):
        raise SpaceError(f"{len(old)} of them became {len(after.children)}, which no edit does", f"{path}.children")
    for place, (was, now) in enumerate(zip(old, after.children, strict=False)):
        _check(was, now, inserted, f"{path}.children.{place}")
    for place, new in enumerate(after.children[len(old) :], len(old)):
        if new.name != "depthwise_conv":
            raise SpaceError(f"{outline(new)} can't begin as the identity", f"{path}.children.{place}")


def _check_no_split(tree: Any, path: str) -> None:
    """Behind a split, the copies of channels aren't where the wider network has them elsewhere."""
    if isinstance(tree, Part) and getattr(tree, "allocation", "") == "split":
        raise SpaceError("a stage with paths that split its channels can't be widened", path)
    inner = tree if isinstance(tree, tuple) else [getattr(tree, name) for name in fields_of(tree)]
    for item in inner:
        if isinstance(item, Part | tuple):
            _check_no_split(item, path)


def _channelwise(mixer: Any) -> bool:
    """Whether each channel of the output hangs on the same channel of the input alone, for parts known to."""
    return isinstance(mixer, Part) and mixer.family == "token_mixer" and mixer.name in ("depthwise_conv", "pool")


def _grown(architecture: Any, path: str, names: tuple[str, ...], to: float) -> Any:
    part = at(architecture, path)
    known = GROWING.get((getattr(part, "family", ""), getattr(part, "name", "")), ())
    field = next((name for name in names if name in known), None)
    if field is None:
        raise SpaceError(f"{outline(part)} has no {' or '.join(names)} that can grow", path)
    if to <= getattr(part, field):
        raise SpaceError(f"{field} can only grow, not go from {getattr(part, field)} to {to}", path)
    if isinstance(getattr(part, field), int) and to == int(to):
        to = int(to)
    return put(architecture, path, replace(part, **{field: to}))


def _branched(architecture: Any, path: str, branches: int, allocation: str) -> Any:
    mixer = at(architecture, path)
    if getattr(mixer, "family", "") != "token_mixer":
        raise SpaceError(f"{outline(mixer)} is no token mixer, so it can't become several paths", path)
    paths: Any = FAMILIES["token_mixer"].get("paths")
    return put(architecture, path, paths((mixer,) * branches, allocation))


def _check_untied(architecture: Any) -> None:
    """New blocks would move the layers that ties are between."""
    if next(ties_of(architecture), None) is not None:
        raise SpaceError("its layers are tied by their places; untie them before blocks are added", "ties")


def _blocks_at(architecture: Any, path: str) -> tuple[Any, ...]:
    stage = at(architecture, path)
    if getattr(stage, "family", "") != "stage" or not isinstance(getattr(stage, "blocks", None), tuple):
        raise SpaceError("is no stage of blocks; name one, as stages.0", path)
    return stage.blocks
