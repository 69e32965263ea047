"""Layers that several designs share; an exported network's source carries along those that it uses."""

from search_spaces import torchvision_operators  # noqa: F401  (before anything imports timm)
