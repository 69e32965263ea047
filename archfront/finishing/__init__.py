"""Finishers: what makes a new candidate of a trained one, pruned, quantized, distilled …"""

from archfront.finishing._contract import Finisher, Given, Product, finishers
from search_spaces.families import Family

FINISHER = Family("finisher", __name__)
"""A step that makes a new candidate of a trained one: `finish(given)`, see `Finisher`."""

__all__ = ["FINISHER", "Finisher", "Given", "Product", "finishers"]
