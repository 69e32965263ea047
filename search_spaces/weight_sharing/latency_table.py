"""Latency from a table: a base network's, and what each option of each decision adds to it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search_spaces import canonical
from search_spaces.decisions import INACTIVE, Decision
from search_spaces.errors import SpaceError
from search_spaces.space import Genes, SearchSpace

FORM = "latency table"


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds: of a network of options that add 0, and those that each option adds, `added[decision][option]`.

    An option's figure counts where its decision is in force. `about` says how it was measured. Sums are predictions:
    on server CPUs and GPUs such tables were within 10 % for 93 % of networks, on phones for 50 %.
    """

    fingerprint: str
    base_ms: float
    added: tuple[tuple[float, ...], ...]
    about: Mapping[str, Any]

    def to_json(self, space: SearchSpace) -> dict[str, Any]:
        """The table as JSON values: per decision its path and {option: ms}, in the space's order."""
        rows = [
            {"path": d.path, "options": dict(zip(map(canonical.outline, d.options), row, strict=True))}
            for d, row in zip(space.decisions, self.added, strict=True)
        ]
        return {
            "form": FORM,
            "space": space.name,
            "identity": canonical.IDENTITY,
            "fingerprint": self.fingerprint,
            "kind": "predicted",
            "base_ms": self.base_ms,
            "about": dict(self.about),
            "decisions": rows,
        }

    @classmethod
    def of(cls, value: Any, space: SearchSpace) -> "LatencyTable":
        """The table from its JSON values, or from the path of a JSON file; raises `SpaceError` for a wrong one."""
        origin = "the latency table"
        if isinstance(value, str | Path):
            origin = str(value)
            try:
                value = json.loads(Path(value).expanduser().read_text())
            except (OSError, ValueError) as error:
                raise SpaceError(f"{origin} can't be read as a {FORM}: {str(error).splitlines()[0]}") from None
        if not isinstance(value, Mapping) or value.get("form") != FORM:
            raise SpaceError(f"{origin} is no {FORM}; measure one, or give the path of its JSON file")
        # Labels and fingerprints were written otherwise once; options are in the space's order in all files.
        earlier = value.get("identity", 1) < canonical.IDENTITY
        if not earlier and value.get("fingerprint") != space.fingerprint():
            raise SpaceError(f"{origin} is for the space '{value.get('space')}', not '{space.name}'; measure it anew")
        try:
            base = float(value["base_ms"])
            pairs = zip(space.decisions, value["decisions"], strict=True)
            added = tuple(_figures(row, decision, earlier) for decision, row in pairs)
        except (KeyError, TypeError, ValueError):
            raise SpaceError(f"{origin} lacks an option of the space '{space.name}'; measure it anew") from None
        if not all(map(math.isfinite, [base, *(ms for row in added for ms in row)])) or base <= 0:
            raise SpaceError(f"{origin} has a figure that is no latency; measure it anew")
        return cls(space.fingerprint(), base, added, dict(value.get("about") or {}))

    def predicted(self, genes: Genes) -> float:
        """The latency in ms of the architecture with these genes."""
        pairs = zip(self.added, genes, strict=True)
        return self.base_ms + sum(row[gene] for row, gene in pairs if gene != INACTIVE)

    def expected(self, weights: Sequence[Tensor], space: SearchSpace) -> Tensor:
        """The expectation in ms when each decision takes its options with `weights`; differentiable in these.

        A decision counts as much as it is probable that it is in force.
        """
        total: Tensor = torch.as_tensor(self.base_ms, dtype=weights[0].dtype)
        in_force: list[Tensor] = []
        for decision, row, added in zip(space.decisions, weights, self.added, strict=True):
            chance = torch.ones((), dtype=row.dtype)
            if decision.parent is not None:
                chance = in_force[decision.parent] * weights[decision.parent][sorted(decision.parent_options)].sum()
            in_force.append(chance)
            total = total + chance * (row * torch.tensor(added, dtype=row.dtype)).sum()
        return total


def _figures(row: Mapping[str, Any], decision: Decision, earlier: bool) -> tuple[float, ...]:
    """What each option of a decision adds, by its label, or by its place in a file whose labels were others."""
    if earlier:
        if row["path"] != decision.path or len(row["options"]) != len(decision.options):
            raise ValueError(f"another decision than {decision.path}")
        return tuple(map(float, row["options"].values()))
    return tuple(float(row["options"][canonical.outline(option)]) for option in decision.options)
