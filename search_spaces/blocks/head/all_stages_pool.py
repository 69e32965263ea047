"""A head of all stages' maps: their global averages, concatenated, and a linear layer."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.parts import Part, Placed, part, slot
from search_spaces.site import Shape, Site


@transparent
class StagesPool(nn.Module):
    """W [mean N1(x1), ..., mean Nk(xk)] + b of maps (batch, c_s, *sides_s), averages over all sides.

    While it learns, W is held as one linear layer per map, of which the last has the bias, so that each slices, and
    grows, with its own map; deployed it is one.
    """

    def __init__(self, norms: Iterable[nn.Module], channels: Iterable[int], outputs: int) -> None:
        super().__init__()
        self.norms, counts = nn.ModuleList(norms), list(channels)
        linears = [nn.Linear(count, outputs, bias=place == len(counts) - 1) for place, count in enumerate(counts)]
        for linear in linears:
            # The initial weights are those that one layer of all channels would have.
            nn.init.uniform_(linear.weight, -(sum(counts) ** -0.5), sum(counts) ** -0.5)
        self.linears = nn.ModuleList(linears)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        means = [norm(maps[place]).flatten(2).mean(2) for place, norm in enumerate(self.norms)]
        if len(self.linears) == 1:
            return self.linears[0](torch.cat(means, 1))
        total = self.linears[0](means[0])
        for linear, mean in zip(self.linears[1:], means[1:], strict=True):
            total = total + linear(mean)
        return total

    def reparameterize(self) -> None:
        """Become one linear layer."""
        weight, bias = torch.cat([linear.weight for linear in self.linears], 1), self.linears[-1].bias
        whole = nn.Linear(weight.shape[1], weight.shape[0]).to(weight)
        whole.load_state_dict({"weight": weight, "bias": bias})
        self.linears = nn.ModuleList([whole])


@part(
    "head",
    "all_stages_pool",
    source="Hypercolumns for Object Segmentation and Fine-grained Localization",
    sliced=True,
    sides=(1, 2, 3),
)
class AllStagesPoolHead(Part):
    """Classes from what all stages see: z = W [mean N(x_1), ..., mean N(x_k)] + b.

    x_s are the maps (batch, c_s, *sides_s) of all stages, each with a normalization N of its own (or none); averages
    are over all positions. The publication has such columns at each position; here there is one for the whole input.
    Costs as many weights and multiply-accumulates as the outputs times the sum of all c_s.
    """

    norm: Any = slot("norm", default="batch")

    all_maps = True

    def shape_after(self, site: Site) -> Shape:
        return (site.leads_to,)

    def parts_at(self, site: Site) -> Iterable[Placed]:
        return [("norm", self.norm, site.at(shape)) for shape in site.maps]

    def build(self, site: Site) -> nn.Module:
        norms = [nn.Identity() if self.norm is None else self.norm.build(site.at(shape)) for shape in site.maps]
        return StagesPool(norms, [shape[0] for shape in site.maps], site.leads_to)
