"""The error that every part of the algebra raises, and the spelling advice it carries."""

from collections.abc import Iterable
from difflib import get_close_matches


class SpaceError(ValueError):
    """A wrong search space, architecture or name; the message names the path, the cause and the cure."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


def near(name: str, known: Iterable[str]) -> str:
    """Advice for a misspelt name: the near ones, or all of them when nothing is near."""
    known = sorted(known)
    matches = get_close_matches(name, known, n=3, cutoff=0.5)
    if matches:
        return "did you mean " + " or ".join(f"'{match}'" for match in matches) + "?"
    return "known: " + ", ".join(known) if known else "none is registered"
