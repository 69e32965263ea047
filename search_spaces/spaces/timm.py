"""Small networks that timm has and many people use, for pictures of any size."""

from math import ceil, log2
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.holes import one_of
from search_spaces.spaces import SPACES
from search_spaces.spaces.sizes import FEW
from search_spaces.topologies import Timm

SMALL = (
    *("lcnet_035", "lcnet_050", "lcnet_075", "lcnet_100"),
    *("mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100"),
    *("mobilevit_xxs", "efficientvit_b0"),
)
"""Those of fewer than 3 million weights whose first convolution can keep the resolution."""
SCALED = (
    ("mobilenetv3_large_100", (0.5, 0.75, 1.0), (1.0,)),
    ("tf_efficientnet_lite0", (0.5, 0.75, 1.0), (0.5, 1.0)),
    ("ghostnet_100", (0.5, 0.75, 1.0), (1.0,)),
)
"""Those whose family has multipliers, with the options of width and depth."""
LARGER = ("resnet10t", "resnet14t", "resnet18", "repvgg_a0", "mobileone_s0", "fastvit_t8")
"""Those of up to 12 million weights, which few pictures don't need."""
PATCHED = ("edgenext_xx_small", "convnext_atto", "convnext_femto")
"""Those whose stem cuts pictures into patches of 4 by 4 pixels."""
EACH = 32
"""All of them halve pictures five times."""


@SPACES.register("timm", source="PyTorch Image Models")
def timm(inputs: tuple[int, ...] = (3, 224, 224), examples: int = 1_000_000) -> Any:
    """Known small networks of timm, with widths and depths where they have multipliers, resized to what they need."""
    if len(inputs) != 3 or min(inputs[1:]) < 2:
        raise SpaceError(f"takes images (channels, height, width) of 2x2 pixels or more, not {inputs}", "inputs")
    side = min(inputs[1:])
    fitted = fit(side)
    small: Any = one_of(*(SMALL if examples < FEW else (*SMALL, *LARGER)))
    scaled = [Timm(name, one_of(*widths), one_of(*depths), **fitted) for name, widths, depths in SCALED]
    patched: Any = Timm(one_of(*PATCHED), resolution=enlarged(side, 2 * EACH))
    return one_of(Timm(small, **fitted), *scaled, patched)


def fit(side: int) -> dict[str, Any]:
    """How pictures whose shorter side is `side` are given to networks whose stem's stride may be 1 in place of 2.

    The last map has 2 by 2 places or more wherever the stem keeps the resolution.
    """
    if side >= 3 * EACH:
        return {"resolution": one_of(0.75, 1.0) if side >= 5 * EACH else 1.0}
    if side >= 1.5 * EACH:
        return {"stem_stride": one_of(None, 1)}
    times = enlarged(side, 0.75 * EACH)
    return {"stem_stride": 1, "resolution": one_of(times, 2 * times)}


def enlarged(side: int, wanted: float) -> float:
    """The power of two, 1 or more, by which sides of `side` pixels are `wanted` ones or more."""
    return float(2 ** max(0, ceil(log2(wanted / side))))
