"""Phases: how a training goes on in stages."""

from search_spaces.families import Family

PHASE = Family("phase", __name__)
"""A phase."""
