"""Regularisers: what makes a network in training forget a little, as dropout."""

from search_spaces.families import Family

REGULARISER = Family("regulariser", __name__)
"""A regulariser: `applied(network)` changes a network's modules before training."""
