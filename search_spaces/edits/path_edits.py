"""The edits that grow trees of paths, of every token mixer of an architecture."""

from collections.abc import Iterator
from typing import Any

from search_spaces.edits.edit import Edit
from search_spaces.edits.enlarge import EnlargeKernel
from search_spaces.edits.insert_identity import InsertIdentity
from search_spaces.edits.replicate import Replicate
from search_spaces.edits.split import Split
from search_spaces.parts import Part, fields_of, told


def path_edits(architecture: Any, branches: tuple[int, ...] = (2, 3, 4)) -> Iterator[Edit]:
    """The edits of the trees of paths of an architecture: each leaf replicated, split, followed, or 2 larger.

    Every token mixer is a leaf or a tree. Leaves whose shape doesn't fit, and kernels that no space has, come, too.
    """
    for path, leaf in leaves(architecture):
        for count in branches:
            yield Replicate(path, count)
            if leaf.channelwise:
                yield Split(path, count)
        for field in fields_of(leaf):
            if told(leaf, field).get("size") == "kernel" and told(leaf, field)["grows"]:
                yield EnlargeKernel(path, getattr(leaf, field) + 2)
        yield InsertIdentity(path)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The paths and parts of the token mixers that aren't trees of paths themselves."""
    if isinstance(tree, tuple):
        for place, item in enumerate(tree):
            yield from leaves(item, f"{path}.{place}" if path else str(place))
    elif isinstance(tree, Part):
        if tree.family == "token_mixer" and "token_mixer" not in tree._slots.values():
            yield path, tree
            return
        for field in fields_of(tree):
            yield from leaves(getattr(tree, field), f"{path}.{field}" if path else field)
