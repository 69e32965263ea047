"""The best candidates so far, kept up to date evaluation by evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from archfront.contracts import Constraint, Evaluation, Objective, Status, dominates, losses


@dataclass(frozen=True)
class Member:
    """A candidate with its losses (less is better) and how far it breaks the constraints (0: not at all)."""

    digest: str
    losses: tuple[float, ...]
    excess: float
    number: int = -1
    values: dict[str, float] = field(default_factory=dict, compare=False)

    def beats(self, other: "Member") -> bool:
        """Constrained domination: the feasible beats the infeasible, less excess beats more, else domination."""
        if self.excess != other.excess:
            return self.excess < other.excess
        return dominates(self.losses, other.losses)


class Archive:
    """The members that no other beats, in the order in which they came."""

    def __init__(self, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> None:
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.front: list[Member] = []

    def member(self, evaluation: Evaluation) -> Member | None:
        """The evaluation as a member; None when it failed or lacks an objective."""
        if evaluation.status not in (Status.OK, Status.INFEASIBLE):
            return None
        found = losses(evaluation.values, self.objectives)
        if found is None:
            return None
        values = evaluation.values
        excess = sum(c.excess(values[c.metric]) for c in self.constraints if c.metric in values)
        return Member(evaluation.proposal.digest, found, excess, evaluation.proposal.number, values)

    def add(self, evaluation: Evaluation) -> None:
        """Take an evaluation in, where nothing beats it."""
        member = self.member(evaluation)
        if member is None or any(known.beats(member) for known in self.front):
            return
        self.front = [known for known in self.front if not member.beats(known)]
        self.front.append(member)
