"""Augmentations: what training may do to examples without changing what they show."""

from search_spaces.families import Family

AUGMENTATION = Family("augmentation", __name__)
"""An augmentation: `applied(inputs, targets, task, generator)` gives both changed."""
