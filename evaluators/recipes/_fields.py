"""The values that a recipe's fields may have."""

from typing import Any

from search_spaces.errors import SpaceError

KINDS = {"augmentation": ("auto", "none", "shift", "flip"), "precision": ("auto", "float32", "bfloat16")}
"""The fields that take one of a few words."""
NUMBERS = {
    "lr": (0.0, float("inf")),
    "weight_decay": (0.0, float("inf")),
    "momentum": (0.0, 1.0),
    "label_smoothing": (0.0, 1.0),
    "warmup": (0.0, 1.0),
    "clip": (0.0, float("inf")),
    "balance": (0.0, 1.0),
}
"""The fields that take a number, with the least and the largest that makes sense."""
UNSAID = ("balance",)
"""Those that may be None."""
COUNTS = ("epochs", "batch_size")
"""The fields that take an integer of 1 or more."""


def check_field(name: str, value: Any) -> None:
    """Raise `SpaceError` when a recipe's field can't be `value`."""
    where = f"recipe.{name}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in KINDS and value not in KINDS[name]:
        raise SpaceError(f"is one of {', '.join(KINDS[name])}, not {value!r}", where)
    if name in NUMBERS and not (value is None and name in UNSAID):
        low, high = NUMBERS[name]
        if not number or not low <= value <= high:
            raise SpaceError(f"must be a number from {low:g} to {high:g}, not {value!r}", where)
    if name in COUNTS and (not number or isinstance(value, float) or value < 1):
        raise SpaceError(f"must be an integer of 1 or more, not {value!r}", where)
