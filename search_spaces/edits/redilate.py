"""Re-dilation."""

from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.canonical import outline
from search_spaces.edits.edit import Edit, at, edit, put
from search_spaces.errors import SpaceError


@edit("redilate", source="ScaleCrafter: Tuning-free Higher-Resolution Visual Generation with Diffusion Models")
@dataclass(frozen=True)
class Redilate(Edit):
    """The depthwise convolution at `path` with its taps `dilation` times as far apart, its weights as they are.

    For running a trained network on images so much larger: a map in which each pixel is `dilation` pixels in both
    directions is convolved to what was, with each pixel repeated so. On other maps the outputs change. A dilation of
    1 gives the plain convolution back.
    """

    path: str
    dilation: int = 2
    preserves: ClassVar[bool] = False
    moves_weights: ClassVar[bool] = False

    def applied(self, architecture: Any) -> Any:
        from search_spaces.blocks.token_mixer.depthwise_conv import DepthwiseConv
        from search_spaces.blocks.token_mixer.dilated_conv import DilatedConv

        mixer = at(architecture, self.path)
        if not isinstance(mixer, DepthwiseConv | DilatedConv):
            raise SpaceError(f"{outline(mixer)} is no depthwise convolution, so it can't be dilated", self.path)
        if self.dilation < 1 or mixer.kernel == 1:
            raise SpaceError(
                f"a kernel of {mixer.kernel} can't have a dilation of {self.dilation}; take 3 or more of 1 or more",
                self.path,
            )
        new: Any = DilatedConv(mixer.kernel, self.dilation) if self.dilation > 1 else DepthwiseConv(mixer.kernel)
        return put(architecture, self.path, new)
