"""Few-shot search: several supernets, each for one option of a decision, that go on from a trained one.

The design of "Few-shot Neural Architecture Search": networks that differ in the decision no longer pull at the same
weights, so that they rank more truly, for the cost of some more training of each.
"""

from dataclasses import replace
from typing import Any

import torch

from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.weight_sharing.binding import Slice
from search_spaces.weight_sharing.splitting import SEPARATOR
from search_spaces.weight_sharing.supernet import Supernet


def split(supernet: Supernet, decision: str | None = None) -> Supernet:
    """A supernet with weights of its own for each option of a decision, each begun with the weights of `supernet`.

    `decision` is the path of one, as in `space.decisions`; without, it is the one that `decision_to_split` gives. The
    result is a supernet like any other, whose networks give what those of `supernet` do until it is trained further;
    an optimizer must be given its parameters. Raises `SpaceError` where there is no such decision, or where the
    supernet is split already.
    """
    if supernet.split is not None:
        raise SpaceError(f"the supernet is split already, by '{supernet.split}'; split the one it came from")
    found = Supernet(
        supernet.space,
        supernet.inputs,
        supernet.outputs,
        seed=0,
        keep=supernet.keep,
        kernel_transformations=supernet.kernel_transformations,
        split=decision or decision_to_split(supernet.space),
    )
    tensor = next(iter(supernet.store.parameters()), torch.empty(0))
    found.to(device=tensor.device, dtype=tensor.dtype).train(supernet.training)
    with torch.no_grad():
        _take_over(found, supernet)
    return found


def decision_to_split(space: Space) -> str:
    """The path of the decision with the fewest options: of kinds, in force in all networks, where there is one."""

    def order(number: int) -> tuple[Any, ...]:
        decision = space.decisions[number]
        return (decision.parent is not None, decision.ordered, len(decision.options), number)

    if not space.decisions:
        raise SpaceError(f"the space '{space.name}' leaves nothing to decide, so nothing to split it by")
    return space.decisions[min(range(len(space.decisions)), key=order)].path


def _take_over(found: Supernet, known: Supernet) -> None:
    """Give each tensor of a split supernet the value that networks have in the one it comes from."""
    for key, view in found.store.views.items():
        former = replace(view, key=key.partition(SEPARATOR)[2])
        target = found.store.tensor(key)
        if target is not None and known.store.tensor(former.key) is not None:
            source = Slice(former, known.store)
            source.look()
            target.copy_(source.value())
    for key, matrix in found.store.matrices():
        former_matrix = known.store.tensor(key.partition(SEPARATOR)[2])
        if former_matrix is not None:
            matrix.copy_(former_matrix)
