"""A network together with the recipe that it is to be trained by, so that both are searched at once."""

from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@part(
    "network",
    "trained",
    source="FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining",
    sliced=True,
)
class Trained(Part):
    """A network and the recipe that it is to be trained by; what is built, timed and exported is the network alone.

    The recipe's family is not of this package: whoever trains says what a recipe is.
    """

    network: Any = slot("network")
    recipe: Any = slot("recipe")

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(option, Trained) for option in _options(self.network)):
            raise SpaceError("a Trained can't hold another; give one network and one recipe", "trained.network")
        for option in _options(self.recipe):
            if not hasattr(option, "over"):
                raise SpaceError(
                    "takes the fields that are to be searched, as PartialRecipe(lr=log_uniform(1e-4, 1e-2)), "
                    f"not a {type(option).__name__}",
                    "trained.recipe",
                )

    def without_recipe(self) -> Part:
        return self.network

    def traits(self) -> dict[str, float]:
        return dict(self.network.traits())

    def key(self) -> Any:
        return self.network.key()

    def takes_ids(self) -> bool:
        return self.network.takes_ids()

    def layers(self) -> int:
        return self.network.layers()

    def shape_after(self, site: Site) -> Shape:
        return self.network.shape_after(site)

    def parts_at(self, site: Site) -> list[Placed]:
        return [("network", self.network, site)]

    def build(self, site: Site) -> nn.Module:
        return self.network.build(site)


def _options(value: Any) -> tuple[Any, ...]:
    """What a field may become: all options of a hole, or the value that is there."""
    return getattr(value, "options", (value,))
