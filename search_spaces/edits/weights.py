"""The weights of an edited network, with which it computes what the network before the edit computed.

Of a wider map, channel j is a copy of channel j modulo the former number of channels; every layer that reads the map
divides its weights among the copies. So each layer can be changed by itself, from its shapes alone.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.building import build
from search_spaces.edits.edit import Edit, Inserted
from search_spaces.edits.growth import Growth
from search_spaces.edits.identity import make_identity
from search_spaces.edits.reaching import check_reachable, network_of, ties_of
from search_spaces.errors import SpaceError
from search_spaces.site import Shape

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Edited:
    """An architecture and its weights, as a state dict."""

    architecture: Any
    state: dict[str, Tensor]


def apply(edit: Edit, architecture: Any, state: State, inputs: Shape, outputs: int, seed: int = 0) -> Edited:
    """The network after an edit; its outputs are those of the network before, if the edit `preserves` them.

    `seed` decides how weights are shared out among copies, and what is new behind zeros. Raises `SpaceError`, with
    the path, where the edit doesn't fit the architecture or can't leave its function as it was.
    """
    edited = edit.applied(architecture)
    if not edit.moves_weights:
        return Edited(edited, {name: tensor.detach().clone() for name, tensor in state.items()})
    inserted = {path.removeprefix("network."): new for path, new in edit.inserted(architecture).items()}
    return Edited(edited, inherited(architecture, state, edited, inputs, outputs, seed, inserted))


def inherited(
    before: Any,
    state: State,
    after: Any,
    inputs: Shape,
    outputs: int,
    seed: int = 0,
    inserted: Inserted | None = None,
) -> dict[str, Tensor]:
    """The weights with which `after` computes what `before` computes with `state`.

    Raises `SpaceError` where no edits lead from one to the other. `inserted` are the blocks that are new, where
    `check_reachable` shouldn't find them itself. A layer that is tied now and wasn't before takes over the weights of
    the layer it is tied to, which changes what is computed; layers that are untied start with copies.
    """
    found = check_reachable(before, after, inserted)
    ties = [*ties_of(after)]
    before, after = network_of(before), network_of(after)
    old = build(before, inputs, outputs, seed=0)
    new = build(after, inputs, outputs, seed=seed)
    reference = next((tensor for tensor in state.values() if tensor.is_floating_point()), torch.empty(0))
    dtype = torch.promote_types(reference.dtype, torch.float32)
    old, new = old.to(reference.device, dtype), new.to(reference.device, dtype)
    old.load_state_dict(dict(state))
    growth = Growth(torch.Generator().manual_seed(seed), _inserter(found))
    with torch.no_grad():
        growth.grow(old, new, "")
        for path, _, place, root in ties:
            wired: Any = new.get_submodule(f"{path}.blocks")
            blocks = getattr(wired, "blocks", wired)
            blocks[place].load_state_dict(blocks[root].state_dict())
    return {name: tensor.detach().clone() for name, tensor in new.state_dict().items()}


def _inserter(inserted: Inserted) -> Callable[[Growth, nn.Module, nn.Module, str], nn.Module | None]:
    """What takes new blocks out of a sequence: it gives the rest, after each new block was made the identity."""

    def rest(growth: Growth, old: nn.Module, new: nn.Module, path: str) -> nn.Module | None:
        # The blocks of a stage are right there, or inside of the module that wires them.
        stage = path.removesuffix(".blocks").removesuffix(".blocks")
        places = inserted.get(stage) if path.endswith(".blocks") else None
        if not places or not isinstance(new, nn.Sequential | nn.ModuleList):
            return None
        old_blocks, new_blocks = list(old.children()), list(new.children())
        for place, model in places.items():
            if model is not None:
                growth.grow(copy.deepcopy(old_blocks[model]), new_blocks[place], f"{path}.{place}")
            try:
                make_identity(new_blocks[place])
            except SpaceError as error:
                raise SpaceError(str(error), f"{path}.{place}") from None
        return nn.Sequential(*(block for place, block in enumerate(new_blocks) if place not in places))

    return rest
