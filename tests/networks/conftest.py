"""Before anything imports timm."""

from search_spaces import torchvision_operators  # noqa: F401
