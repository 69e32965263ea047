"""Losses in place of a task's own."""

from search_spaces.families import Family

LOSS = Family("loss", __name__)
"""A loss: `made(task, recipe)` gives a function of outputs and targets."""
