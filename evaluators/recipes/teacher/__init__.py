"""Teachers: whose outputs a network learns from beside the targets."""

from search_spaces.families import Family

TEACHER = Family("teacher", __name__)
"""A teacher."""
