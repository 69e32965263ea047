"""Topologies: how blocks make a network. One folder per family, one design per file, named as it is registered.

`from search_spaces.topologies import Network` imports that design's file alone.
"""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  (before anything imports timm)
from search_spaces.families import class_in


def __getattr__(name: str) -> Any:
    return class_in(__name__, name)
