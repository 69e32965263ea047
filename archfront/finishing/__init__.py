"""Finishers: what makes a new candidate of a trained one, pruned, quantized, distilled …"""

from search_spaces.families import Family

FINISHER = Family("finisher", __name__)
"""A step that makes a new candidate of a trained one."""
