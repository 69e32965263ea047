"""The meta-controller of path-level search: a tree-structured LSTM that gives each leaf of a tree a score per action.

Plain tensors and functions, so that torch is loaded when the first policy is made, not when controllers are listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Node:
    """A node of the tree that the policy looks at: what kind it is, numbers about it, its children."""

    kind: int
    numbers: tuple[float, ...]
    children: tuple["Node", ...] = ()
    leaf: bool = False


State = tuple[Any, Any]


class TreePolicy:
    """A bidirectional Tree-LSTM: what is below each node is summed up from the leaves, what is around it from the root.

    Deterministic: the initial weights depend on `seed`, all others on the calls of `learn`.
    """

    def __init__(self, kinds: int, numbers: int, actions: int, seed: int, hidden: int = 24, lr: float = 0.01) -> None:
        import torch

        generator = torch.Generator().manual_seed(Random(f"{seed}/tree policy").randrange(2**31))

        def drawn(*shape: int) -> "Tensor":
            return (torch.randn(*shape, generator=generator) / shape[0] ** 0.5).requires_grad_()

        self.hidden = hidden
        self.kinds = drawn(kinds, 4 * hidden)
        self.numbers = drawn(numbers, 4 * hidden)
        self.up = drawn(hidden, 4 * hidden)
        self.down_in = drawn(hidden, 4 * hidden)
        self.down = drawn(hidden, 4 * hidden)
        self.first = drawn(2 * hidden, hidden)
        self.last = drawn(hidden, actions)
        weights = [self.kinds, self.numbers, self.up, self.down_in, self.down, self.first, self.last]
        self._optimizer = torch.optim.Adam(weights, lr=lr)

    def probabilities(self, tree: Node, allowed: Sequence[tuple[int, int]]) -> list[float]:
        """How likely each of the allowed choices, pairs of a leaf's number and an action, is."""
        import torch

        with torch.no_grad():
            return self._logits(tree, allowed).softmax(0).tolist()

    def learn(
        self, tree: Node, allowed: Sequence[tuple[int, int]], chosen: int, advantage: float, entropy: float = 0.01
    ) -> None:
        """One step of REINFORCE: make the choice more likely by its advantage, and keep some spread by entropy."""
        chances = self._logits(tree, allowed).log_softmax(0)
        loss = -advantage * chances[chosen] + entropy * (chances.exp() * chances).sum()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def _logits(self, tree: Node, allowed: Sequence[tuple[int, int]]) -> "Tensor":
        import torch

        below: dict[int, State] = {}
        self._rise(tree, below)
        leaves: list[Tensor] = []
        nothing = torch.zeros(self.hidden)
        self._descend(tree, below, (nothing, nothing), leaves)
        scores = (torch.stack(leaves) @ self.first).tanh() @ self.last
        return torch.stack([scores[leaf, action] for leaf, action in allowed])

    def _rise(self, node: Node, below: dict[int, State]) -> State:
        """The sum of a node's subtree: a child-sum Tree-LSTM with a forget gate per child."""
        import torch

        inner = [self._rise(child, below) for child in node.children]
        given = self.kinds[node.kind] + torch.tensor(node.numbers) @ self.numbers
        total = torch.stack([h for h, _ in inner]).sum(0) if inner else torch.zeros(self.hidden)
        enter, leave, _, fresh = (given + total @ self.up).chunk(4)
        cell = enter.sigmoid() * fresh.tanh()
        for h, c in inner:
            forget = (given + h @ self.up).chunk(4)[2]
            cell = cell + (forget + 1).sigmoid() * c
        below[id(node)] = leave.sigmoid() * cell.tanh(), cell
        return below[id(node)]

    def _descend(self, node: Node, below: dict[int, State], above: State, leaves: "list[Tensor]") -> None:
        """The way from the root to each node: an LSTM over the sums of the subtrees."""
        import torch

        own = below[id(node)][0]
        enter, leave, forget, fresh = (own @ self.down_in + above[0] @ self.down).chunk(4)
        cell = (forget + 1).sigmoid() * above[1] + enter.sigmoid() * fresh.tanh()
        state = leave.sigmoid() * cell.tanh(), cell
        if node.leaf:
            leaves.append(torch.cat([own, state[0]]))
        for child in node.children:
            self._descend(child, below, state, leaves)
