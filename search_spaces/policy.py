"""Policies: for each decision of a space the probability of each option, as one-shot searches leave them, as JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from search_spaces import canonical
from search_spaces.decisions import INACTIVE
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace, Space

FORM = "one-shot policy"
TOLERANCE = 1e-3
"""How far from 1 the sum of a decision's probabilities may be."""


@dataclass(frozen=True)
class Policy:
    """Probabilities `[decision][option]` for a space whose fingerprint is `fingerprint`, learnt by `method`.

    `decisions` are (path, labels of the options) of each decision, so that the file tells what it is about; `report`
    is what else the method says of the outcome, as JSON values; `identity` how labels and fingerprint are written.
    """

    method: str
    space: str
    fingerprint: str
    decisions: tuple[tuple[str, tuple[str, ...]], ...]
    probabilities: tuple[tuple[float, ...], ...]
    report: Mapping[str, Any] = field(default_factory=dict)
    identity: int = canonical.IDENTITY

    @classmethod
    def of(cls, space: SearchSpace, method: str, probabilities: Any) -> "Policy":
        """The policy with these `probabilities` for the decisions of `space`."""
        decisions = tuple((d.path, tuple(map(canonical.outline, d.options))) for d in space.decisions)
        return cls(method, space.name, space.fingerprint(), decisions, tuple(map(tuple, probabilities)))

    def to_json(self) -> dict[str, Any]:
        """The policy as JSON values: per decision its path and {option: probability}, in the space's order."""
        rows = zip(self.decisions, self.probabilities, strict=True)
        return {
            "form": FORM,
            "method": self.method,
            "space": self.space,
            "identity": canonical.IDENTITY,
            "fingerprint": self.fingerprint,
            "report": dict(self.report),
            "decisions": [
                {"path": path, "options": list(labels), "probabilities": list(row)} for (path, labels), row in rows
            ],
        }

    @classmethod
    def from_json(cls, value: Any, origin: str = "the policy") -> "Policy":
        """What `to_json` gave; raises `SpaceError` for anything else, `origin` naming where it came from."""
        if not isinstance(value, dict) or value.get("form") != FORM:
            raise SpaceError(f"{origin} is no {FORM}; give the JSON file that a differentiable method's training wrote")
        try:
            rows = value["decisions"]
            decisions = tuple((str(row["path"]), tuple(map(str, row["options"]))) for row in rows)
            probabilities = tuple(tuple(map(float, row["probabilities"])) for row in rows)
            named = str(value["method"]), str(value["space"]), str(value["fingerprint"])
            policy = cls(*named, decisions, probabilities, identity=int(value.get("identity", 1)))
        except (KeyError, TypeError, ValueError):
            raise SpaceError(f"{origin} lacks a part of a {FORM}; write it anew") from None
        for (path, labels), row in zip(policy.decisions, policy.probabilities, strict=True):
            valid = all(math.isfinite(p) and p >= 0 for p in row) and abs(sum(row) - 1) <= TOLERANCE
            if len(labels) != len(row) or not valid:
                raise SpaceError(f"{origin}: the numbers for '{path}' are no probabilities of its options")
        return policy

    def save(self, path: str | Path) -> None:
        """Write the JSON file."""
        Path(path).write_text(json.dumps(self.to_json(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """Read the JSON file; raises `SpaceError` when it is missing or holds no policy."""
        try:
            value = json.loads(Path(path).expanduser().read_text())
        except FileNotFoundError:
            raise SpaceError(f"no policy file {path}; a supernet trained by a differentiable method has one") from None
        except (OSError, ValueError) as error:
            raise SpaceError(f"{path} can't be read as JSON: {str(error).splitlines()[0]}") from None
        return cls.from_json(value, str(path))

    def check(self, space: SearchSpace) -> None:
        """Raise `SpaceError` unless the policy is for `space`."""
        earlier = self.identity < canonical.IDENTITY
        if not self._alike(space) if earlier else self.fingerprint != space.fingerprint():
            raise SpaceError(
                f"the policy is for the space '{self.space}' ({self.fingerprint}), not for '{space.name}' "
                f"({space.fingerprint()}); give the policy of a supernet of this space and data"
            )

    def _alike(self, space: SearchSpace) -> bool:
        """Whether the decisions are at the same places and have as many options; labels were written otherwise once."""
        mine = [(path, len(labels)) for path, labels in self.decisions]
        return mine == [(decision.path, len(decision.options)) for decision in space.decisions]

    def most_probable(self, space: SearchSpace) -> Any | None:
        """The architecture that takes the most probable option of each decision in force.

        None where the space's rules ban it, or, in a space that isn't a tree, where it isn't in it.
        """
        return self._architecture(space, [max(range(len(row)), key=row.__getitem__) for row in self.probabilities])

    def sample(self, space: SearchSpace, rng: Random, uniform: float = 0.0) -> Any | None:
        """An architecture drawn from the policy mixed with the share `uniform` of even chances; None where banned."""
        genes = []
        for row in self.probabilities:
            weights = [(1 - uniform) * p + uniform / len(row) for p in row]
            genes.append(rng.choices(range(len(row)), weights)[0])
        return self._architecture(space, genes)

    def _architecture(self, space: SearchSpace, genes: list[int]) -> Any | None:
        try:
            if not isinstance(space, Space):
                return space.architecture(tuple(genes))
            architecture = space.drawn(lambda index, _: genes[index])
        except SpaceError:
            return None
        return architecture if space.allows(architecture) else None

    def probability(self, architecture: Any, space: SearchSpace) -> float:
        """The probability of drawing `architecture` from the policy."""
        pairs = zip(self.probabilities, space.genes(architecture), strict=True)
        return math.prod(row[gene] for row, gene in pairs if gene != INACTIVE)
