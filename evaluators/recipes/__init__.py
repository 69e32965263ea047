"""Training recipes: how a network is trained, as a part, so that any field of it may be a hole, too.

Nothing is built of a recipe: whoever trains asks it.
"""

from search_spaces.families import Family

RECIPE = Family("recipe", __name__)
