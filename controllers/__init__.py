"""Controllers: what to try next."""

from controllers.base import CONTROLLERS, Controller

__all__ = ["CONTROLLERS", "Controller"]
