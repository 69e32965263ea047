"""Which weights learn, and how fast each."""

from search_spaces.families import Family

LEARNING = Family("learning", __name__)
"""What learns: gives the groups of parameters with their shares of the rate."""
