"""A convolution that begins as the identity."""

from dataclasses import dataclass
from typing import Any

from search_spaces.canonical import outline
from search_spaces.edits.edit import Edit, at, edit, put
from search_spaces.errors import SpaceError


@edit("insert_identity", source="Path-Level Network Transformation for Efficient Architecture Search")
@dataclass(frozen=True)
class InsertIdentity(Edit):
    """A depthwise convolution behind the token mixer at `path`, in the same path, which begins as the identity."""

    path: str
    kernel: int = 3

    def applied(self, architecture: Any) -> Any:
        from search_spaces.blocks.token_mixer.chain import Chain
        from search_spaces.blocks.token_mixer.depthwise_conv import DepthwiseConv

        mixer = at(architecture, self.path)
        if getattr(mixer, "family", "") != "token_mixer":
            raise SpaceError(f"{outline(mixer)} is no token mixer, so no other can follow it in its path", self.path)
        before = mixer.children if isinstance(mixer, Chain) else (mixer,)
        return put(architecture, self.path, Chain((*before, DepthwiseConv(self.kernel))))
