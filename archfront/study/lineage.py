"""How a candidate that was finished came about: the trained one, and each step from it."""

from dataclasses import dataclass
from typing import Any

from archfront.contracts import WrongUse
from archfront.study.study import Candidate, Study
from search_spaces.specs import spelled

PART = "network/finished"


@dataclass(frozen=True)
class Ancestor:
    """A candidate on the way, and the step that made it, empty for the trained one that all began with."""

    number: int
    digest: str
    step: str


def lineage(study: Study, candidate: Candidate) -> list[Ancestor]:
    """From the trained candidate to this one, step by step; empty for one that wasn't finished."""
    found: list[Ancestor] = []
    while _finished(candidate.architecture):
        steps = candidate.architecture.get("steps") or [""]
        found.append(Ancestor(candidate.number, candidate.digest, spelled(str(steps[-1]))))
        try:
            candidate = study.candidate(candidate.rows[-1].parents[0])
        except (WrongUse, IndexError):
            return found[::-1]  # A part of the study was taken out.
    return [Ancestor(candidate.number, candidate.digest, ""), *found[::-1]] if found else []


def told(ancestors: list[Ancestor]) -> str:
    """The lineage in one line: `candidate 4, block_drop: candidate 20, static_int8: candidate 21`."""
    return ", ".join(
        f"{one.step}: candidate {one.number}" if one.step else f"candidate {one.number}" for one in ancestors
    )


def network_of(architecture: Any) -> Any:
    """An architecture's JSON form without what was done to it, or how it was trained."""
    while isinstance(architecture, dict) and architecture.get("part") in (PART, "network/trained"):
        architecture = architecture.get("network")
    return architecture


def _finished(architecture: Any) -> bool:
    return isinstance(architecture, dict) and architecture.get("part") == PART


__all__ = ["Ancestor", "lineage", "network_of", "told"]
