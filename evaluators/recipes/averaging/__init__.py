"""Averages of the weights that a training passes through."""

from search_spaces.families import Family

AVERAGING = Family("averaging", __name__)
"""An averaging: keeps a second set of weights beside the trained one."""
