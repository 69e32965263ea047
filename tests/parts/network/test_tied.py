"""A network with tied layers. Counting, folding, exporting and spaces of ties: `tests/search_spaces/test_tied.py`."""

import torch

from search_spaces.blocks import Block
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from search_spaces.topologies import Network, Stage, Tied

POST = Block("pool", norm_placement="post")
CONV = Block("depthwise_conv")
LONG = Network("conv3x3", (Stage(16, (CONV, CONV, CONV)), Stage(16, (CONV, CONV))))


class TestTied(PartConformance):
    cases = [
        (Tied(Network("conv3x3", (Stage(16, (POST,) * 3),)), ((0, 1, 0),)), (3, 9, 11)),
        (Tied(LONG, ((0, 0, 1), (0, 0))), (3, 8, 8)),
    ]
    wrong = [
        (lambda: Tied(LONG, ((0, 2),)), "tied.ties.0.1"),
        (lambda: Tied(LONG, (0, 1)), "tied.ties"),
        (lambda: Tied(Network("conv3x3", (Stage(8, (POST, CONV)),)), ((0, 0),)), "tied.ties.0.1"),
    ]

    def reference(self, part, site, module, x):
        """The network without ties, the weights of each tied layer copied from the one that it is tied to."""
        state = dict(module.state_dict())
        for stage, row in enumerate(part.ties):
            for layer, to in enumerate(row):
                start, source = (f"stages.{stage}.blocks.{place}." for place in (layer, to))
                state |= {
                    start + name.removeprefix(source): tensor
                    for name, tensor in state.items()
                    if name.startswith(source)
                }
        plain = part.network.build(site).double().eval()
        plain.load_state_dict(state)
        return plain(x)

    def test_gradients_of_tied_layers_add_up(self):
        """Those of a network without ties whose layers begin alike, summed over the layers that are tied."""
        one = Network("conv3x3", (Stage(8, (CONV, CONV)),))
        tied, plain = (part.build(Site((3, 6, 6), 10)).double() for part in (Tied(one, ((0, 0),)), one))
        plain.load_state_dict(tied.state_dict())
        x = torch.randn(4, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        for model in (tied, plain):
            model(x).square().sum().backward()
        first, second = (dict(block.named_parameters()) for block in plain.stages[0].blocks)
        for name, parameter in tied.stages[0].blocks[1].named_parameters():
            torch.testing.assert_close(parameter.grad, first[name].grad + second[name].grad)
