"""The block of staged networks: a token mixer and a channel mixer, each on a normalized residual branch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Site


@part("block", "block", source="MetaFormer Is Actually What You Need for Vision", sliced=True)
class Block(Part):
    """Mix the positions, then the channels.

    Channel attention follows the token mixer, inside its branch. `channel_mixer=None` leaves the second branch out
    (an inverted bottleneck mixes channels itself), `token_mixer=None` the first one (features without sides have no
    positions to mix), `norm=None` leaves the normalizations out (the bottleneck has its own).
    """

    token_mixer: Any = slot("token_mixer")
    channel_mixer: Any = slot("channel_mixer", default="mlp")
    norm: Any = slot("norm", default="batch")
    norm_placement: Any = slot("norm_placement", default="pre")
    residual: Any = slot("residual", default="add")
    channel_attention: Any = slot("channel_attention", default=None)

    def validate(self) -> None:
        for field in ("norm_placement", "residual"):
            if getattr(self, field) is None:
                raise SpaceError(f"can't be None; a block needs a {field.replace('_', ' ')}", f"block.{field}")

        if self.token_mixer is None and self.channel_mixer is None:
            raise SpaceError("can't be None, too; a block needs a token mixer or a channel mixer", "block.token_mixer")
        if self.token_mixer is None and self.channel_attention is not None:
            raise SpaceError("follows the token mixer, and there is none; leave it out", "block.channel_attention")

    def canonical(self) -> Part:
        # Where nothing normalizes, it makes no difference where.
        if self.norm is None and self.norm_placement.name != "pre":
            return replace(self, norm_placement="pre")
        return self

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for field in ("norm", "token_mixer", "channel_attention", "channel_mixer", "norm_placement", "residual"):
            yield field, getattr(self, field), site

    def build(self, site: Site) -> nn.Module:
        branches = []
        if self.token_mixer is not None:
            token_mixer = self.token_mixer.build(site)
            if self.channel_attention is not None:
                token_mixer = nn.Sequential(token_mixer, self.channel_attention.build(site))
            branches.append(self._branch(token_mixer, site))
        if self.channel_mixer is not None:
            branches.append(self._branch(self.channel_mixer.build(site), site))
        return nn.Sequential(*branches)

    def _branch(self, inner: nn.Module, site: Site) -> nn.Module:
        def make_norm() -> nn.Module:
            return nn.Identity() if self.norm is None else self.norm.build(site)

        return self.norm_placement.build(site, inner, make_norm, self.residual.build(site))
