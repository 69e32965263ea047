"""The blocks that architectures are made of: one folder per family, one design per file, named as it is registered.

What the parts of a family owe, besides their fields. `site` says where a part is built (`search_spaces.site`); a
*shape* is channels first, without the batch: (channels, height, width) for maps of pictures, (channels, length) for
sequences, (channels,) for tables. A stem whose `takes_ids` says so is given numbers of tokens, (vocabulary, length).

| family | `build` is given | and returns a module |
|---|---|---|
| stem, downsample | `site` | `site.shape` -> `shape_after(site)`, which has `site.width` channels |
| block, token_mixer, channel_mixer, positional_encoding, cell_operation | `site` | same shape in and out |
| norm, channel_attention | `site` | any map with the site's channels -> the same shape |
| activation | `site` | elementwise |
| residual | `site` | `module(x, branch(x))` -> the shape of `x` |
| norm_placement | `site, inner, make_norm, residual` | the whole residual branch, same shape in and out |
| head | `site` | `site.shape` (all stages' maps with `all_maps`) -> `shape_after(site)`, of `site.width` outputs |
| neck | `site` | a tuple of maps of `site.maps` -> a tuple of maps of `shapes_after(site)` |
| stage | `site` | `site.shape` -> `shape_after(site)` |
| wiring | `site, modules, sites` | the modules as one, see `search_spaces/topologies/wiring` |
| network | `site` | `site.shape` -> what its head gives |

`accepts(site)` says why a part can't be built at a site. A part that holds others has `parts_at(site)`, which yields
`(path, part, site)` for each part that it builds, so that the check reaches them.

An exported network carries the source of its parts along: the dataclasses without what only a search calls, and the
modules. So these files import only torch, timm, the standard library, `search_spaces.layers` and the algebra's few
names (`parts`, `site`, `declarations`, `errors`); `build` looks nothing up in a registry and calls other parts only
through fields (`self.norm.build(site)`, hence typed `Any`).

Modules may follow protocols: `reparameterize()` changes one in place from the form that it trains in to the one that
it runs in (timm's); `auxiliary_loss` and `set_progress` are in `search_spaces.training_protocols`.

`from search_spaces.blocks import DepthwiseConv` imports that design's file alone.
"""

from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  (before anything imports timm)
from search_spaces.families import class_in


def __getattr__(name: str) -> Any:
    return class_in(__name__, name)
