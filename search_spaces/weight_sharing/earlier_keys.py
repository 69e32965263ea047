"""The keys of shared tensors as they were written before settings at their defaults were left out of them.

Like a database's migration this is fixed in time: the settings of parts that had a say in keys then, and what was their
default then, as text.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from search_spaces.canonical import IDENTITY

V = TypeVar("V")

DEFAULTS = {
    "inception_conv": ("dilations=((1, 1), (1, 2), (2, 1), (2, 2))",),
    "dilated_conv": ("dilation=2",),
    "paths": ("allocation=replicate",),
    "conv": ("kernel=3",),
    "group": ("group_size=8",),
    "layer_scale": ("initial=0/1",),  # keys have no dots
    "patchify": ("patch=4",),
    "cell201": ("cells=5",),
}
"""By the parts' names, the settings that stood in their keys although they were at their defaults."""


def respelled(tensors: Mapping[str, V], identity: int) -> dict[str, V]:
    """Tensors by the keys of today, from those by the keys of a file that was written with `identity`."""
    if identity >= IDENTITY:
        return dict(tensors)
    return {re.sub(r"\[(\w+)([^\]]*)\]", _kind, key): value for key, value in tensors.items()}


def _kind(found: re.Match[str]) -> str:
    name, settings = found[1], found[2]
    for default in DEFAULTS.get(name, ()):
        settings = settings.replace(f",{default}", "", 1) if _whole(settings, default) else settings
    return f"[{name}{settings}]"


def _whole(settings: str, default: str) -> bool:
    """Whether a setting stands there, and not one that only begins so."""
    return re.search(rf",{re.escape(default)}(,|$)", settings) is not None
