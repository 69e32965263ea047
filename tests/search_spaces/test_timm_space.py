"""The space of timm's networks: what the suite of spaces asks, and that all of it fits pictures of any size."""

import pytest

from search_spaces import SpaceError
from search_spaces.site import Site
from search_spaces.spaces import get_space
from search_spaces.testing import SpaceConformance


class TestTimmSpace(SpaceConformance):
    space = get_space("timm", (3, 32, 32), 8_000)
    samples = 100


SLOW = [pytest.param(inputs, marks=pytest.mark.slow) for inputs in ((3, 32, 32), (3, 64, 48), (3, 128, 128))]


@pytest.mark.parametrize("inputs", [(1, 8, 8), *SLOW])
def test_every_network_of_it_takes_the_pictures(inputs: tuple[int, ...]) -> None:
    """Looked at without weights: one of each backbone, and that none is there twice."""
    space = get_space("timm", inputs, 50_000)
    every = list(space.enumerate())
    assert len({space.digest(one) for one in every}) == len(every) == space.size()
    one_each = {one.backbone: one for one in every}
    assert len(one_each) == 21
    assert not [one.accepts(Site(inputs, 5)) for one in one_each.values() if one.accepts(Site(inputs, 5))]


def test_few_pictures_get_small_networks() -> None:
    few, many = (get_space("timm", (3, 64, 64), examples) for examples in (2_000, 100_000))
    assert few.size() < many.size() and not any("resnet" in one.backbone for one in few.enumerate())
    with pytest.raises(SpaceError, match="images"):
        get_space("timm", (3, 100), 1_000)
