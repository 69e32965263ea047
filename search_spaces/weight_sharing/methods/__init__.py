"""Ways to train a supernet, one per file: each says which networks learn from a batch, and from whom."""

from search_spaces.weight_sharing.methods.base import METHODS, Batch, Lesson, Method, teach

__all__ = ["METHODS", "Batch", "Lesson", "Method", "teach"]
