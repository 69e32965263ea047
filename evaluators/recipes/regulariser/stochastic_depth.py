"""Stochastic depth."""

from functools import partial
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

from timm.layers import DropPath
from torch import Tensor, nn

from evaluators.recipes.regulariser import Regulariser
from search_spaces.declarations import DROPPED, declared
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("regulariser", "stochastic_depth", source="Deep Networks with Stochastic Depth")
class StochasticDepth(Regulariser):
    """Branches that are added to something else are left out, example by example, the later the oftener.

    The last one is left out with probability `p`, and of L branches number l with p l / L. What are such branches is
    declared beside the modules that have them (`search_spaces.declarations.may_drop`): residual branches and the
    operations of cells. A network without any stays as it is.
    """

    p: float = 0.1

    def validate(self) -> None:
        if not 0 <= self.p < 1:
            raise SpaceError(f"must be from 0 to below 1, not {self.p!r}", "stochastic_depth.p")

    def apply(self, network: nn.Module) -> None:
        found: list[tuple[nn.Module, nn.Module]] = []
        for module in network.modules():
            branches = declared(DROPPED, module)
            found += [] if branches is None else [(module, branch) for branch in branches(module)]
        for number, (owner, branch) in enumerate(found, 1):
            drop = DropPath(self.p * number / len(found))
            owner.add_module(f"drop_path_{number}", drop)
            branch.register_forward_hook(partial(_dropped, drop))


def _dropped(drop: nn.Module, branch: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return drop(output)
