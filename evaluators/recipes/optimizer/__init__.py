"""Optimizers: how gradients become steps."""

from search_spaces.families import Family

OPTIMIZER = Family("optimizer", __name__)
"""An optimizer: `made(groups, recipe)` gives torch's object."""
