"""A network's layers in their order, for what treats first and last ones differently."""

from dataclasses import dataclass, field

from torch import nn

from search_spaces.errors import SpaceError


@dataclass
class Layer:
    """A module with a weight of two dimensions or more, and what stands behind it without one, as normalizations."""

    modules: list[nn.Module] = field(default_factory=list)
    parameters: list[nn.Parameter] = field(default_factory=list)


def layers(network: nn.Module) -> list[Layer]:
    """The layers in the order in which the network holds them, from the input on; every parameter once.

    What comes before the first weight, as a scale of the input, belongs to the first layer.
    """
    found: list[Layer] = [Layer()]
    seen: set[int] = set()
    for module in network.modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen |= {id(p) for p in own}
        if any(p.ndim > 1 for p in own) and any(p.ndim > 1 for p in found[-1].parameters):
            found.append(Layer())
        if own or any(True for _ in module.buffers(recurse=False)):
            found[-1].modules.append(module)
            found[-1].parameters += own
    return found


def last_layer(network: nn.Module) -> nn.Module:
    """The last module with a weight of two dimensions or more; raises `SpaceError` where there is none."""
    for module in reversed(list(network.modules())):
        if any(p.ndim > 1 for p in module.parameters(recurse=False)):
            return module
    raise SpaceError("the network has no layer with weights")
