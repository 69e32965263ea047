"""Kernel transformations: cropping at first, then what the matrices make of it, as OFA has them."""

import warnings

import pytest
import torch
from torch.nn import functional

from search_spaces import one_of
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv, InvertedBottleneck
from search_spaces.spaces import get_space
from search_spaces.testing import assert_extracted_equal, randomise_supernet
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet, recalibrate
from search_spaces.weight_sharing.kernel_transformations import nested

INPUTS = (1, 8, 8)
KERNEL = "stages.0.blocks.0.0.branch.1.weight"


def network(mixer, width=8):
    return Network(Conv3x3Stem(stride=1), (Stage(width, (Block(mixer, MLP(1)),), None),))


def supernet_of(mixer, width=8, **settings):
    return Supernet(network(mixer, width), INPUTS, 4, seed=0, **{"kernel_transformations": True, **settings})


def matrices(supernet):
    return dict(supernet.store.matrices())


def test_there_is_one_matrix_for_each_step():
    supernet = supernet_of(one_of(DepthwiseConv(one_of(3, 5, 7)), InvertedBottleneck(one_of(3, 7), 2)))
    shapes = {(key.partition("[")[2], tuple(matrix.shape)) for key, matrix in matrices(supernet).items()}
    assert len(shapes) == 3 and {shape for _, shape in shapes} == {(25, 25), (9, 9)}
    assert set(matrices(supernet)) <= {name.removeprefix("store.") for name in supernet.state_dict()}
    assert not matrices(supernet_of(DepthwiseConv(one_of(3, 5)), kernel_transformations=False))
    assert not matrices(supernet_of(one_of(DepthwiseConv(3), "pool")))


def test_identity_at_the_start_is_plain_cropping():
    space = get_space("mobile", (1, 8, 8), 1_400)
    first, second = (Supernet(space, INPUTS, 4, seed=0, kernel_transformations=on).eval() for on in (False, True))
    assert matrices(second)
    x = torch.randn(2, *INPUTS, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        architecture = space.sample(seed)
        first.activate(architecture)
        second.activate(architecture)
        with torch.no_grad():
            assert torch.equal(first(x), second(x))


def test_the_smallest_kernel_goes_through_all_steps():
    """Written out for a 7x7 kernel, at half of the channels, against the product's."""
    supernet = randomise_supernet(supernet_of(DepthwiseConv(one_of(3, 5, 7)), one_of(4, 8)), 0)
    by_size = {matrix.shape[0]: matrix.detach() for matrix in matrices(supernet).values()}
    whole = next(p.detach() for key, p in supernet.store.named_parameters() if p.shape[2:] == (7, 7))
    five, three = torch.empty(4, 1, 5, 5).double(), torch.empty(4, 1, 3, 3).double()
    for channel in range(4):
        five[channel, 0] = (by_size[25] @ whole[channel, 0, 1:6, 1:6].reshape(25)).view(5, 5)
        three[channel, 0] = (by_size[9] @ five[channel, 0, 1:4, 1:4].reshape(9)).view(3, 3)
    for kernel, expected in ((5, five), (3, three), (7, whole[:4])):
        architecture = network(DepthwiseConv(kernel), 4)
        assert torch.allclose(supernet.extract(architecture).get_parameter(KERNEL), expected, atol=1e-14)
        supernet.activate(architecture)
        assert torch.allclose(dict(supernet.network.named_parameters())[KERNEL], expected, atol=1e-14)


def test_extracts_what_it_ran_with_gradients():
    for space in (get_space("mobile", (1, 8, 8), 1_400), get_space("hybrid", (1, 8, 8), 1_400)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            supernet = randomise_supernet(Supernet(space, INPUTS, 10, seed=0, kernel_transformations=True), 0)
            for architecture in (supernet.smallest(), supernet.largest(), *(space.sample(i) for i in range(4))):
                assert_extracted_equal(supernet, architecture)


def test_matrices_learn_with_the_rest_and_last():
    supernet = supernet_of(DepthwiseConv(one_of(3, 5)))
    (matrix,) = matrices(supernet).values()
    x = torch.randn(16, *INPUTS, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(16) % 4
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.5)
    for architecture, learns in ((supernet.largest(), False), (supernet.smallest(), True)):
        before = matrix.detach().clone()
        supernet.activate(architecture)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(supernet(x), labels).backward()
        optimizer.step()
        assert torch.equal(before, matrix) != learns
    other = supernet_of(DepthwiseConv(one_of(3, 5)))
    other.load_state_dict(supernet.state_dict())
    with torch.no_grad():
        for each in (supernet.eval(), other.eval()):
            each.activate(supernet.smallest())
        assert torch.equal(supernet(x), other(x))
        assert torch.equal(supernet(x), supernet.extract(supernet.smallest()).eval()(x))


def test_recalibration_sees_transformed_kernels():
    """Statistics are those that the extracted network has on the same pictures."""
    supernet = supernet_of(InvertedBottleneck(one_of(3, 5), 2))
    with torch.no_grad():
        for matrix in matrices(supernet).values():
            matrix.add_(0.3)
    batches = [torch.randn(8, *INPUTS, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    small = supernet.smallest()
    alone = supernet.extract(small)
    recalibrate(alone, batches)
    supernet.activate(small)
    with recalibrate(supernet, batches), torch.no_grad():
        found = supernet.extract(small)
        assert torch.allclose(supernet.eval()(batches[0]), alone.eval()(batches[0]), atol=1e-6)
    for name, buffer in alone.named_buffers():
        assert torch.allclose(buffer.float(), found.get_buffer(name).float(), atol=1e-6), name


def test_steps_lead_only_inwards():
    assert nested([(3, 3), (5, 5), (7, 7)], (7, 7)) == [(5, 5), (3, 3)]
    assert nested([(1, 7), (7, 1), (1, 1)], (7, 7)) == [(7, 1), (1, 1)]
    assert nested([(3,), (3,)], (3,)) == []


def test_a_size_that_covering_missed_keeps_the_others():
    """A new step in between is the identity, so that kernels below it stay what they were."""
    supernet = supernet_of(DepthwiseConv(one_of(3, 5, 7)))
    key = next(key for key, matrix in matrices(supernet).items() if matrix.shape[0] == 25)
    with torch.no_grad():
        for name, matrix in matrices(supernet).items():
            if name != key:
                matrix.add_(torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0)))
    del supernet.store._parameters[key]
    supernet._forget()
    small = network(DepthwiseConv(3))
    before = supernet.extract(small).get_parameter(KERNEL)
    with pytest.warns(UserWarning, match="grew by 1 tensor"):
        supernet.activate(network(DepthwiseConv(5)))
    assert torch.equal(supernet.extract(small).get_parameter(KERNEL), before)


def test_every_size_has_its_matrices_from_the_start_whatever_the_layer_s_kind():
    """An expansion of 1 leaves the first convolution out, and so makes the layer another kind."""
    mixer = InvertedBottleneck(kernel=one_of(3, 5, 7), expansion=one_of(1, 2))
    stage = Stage(8, (Block(mixer, channel_mixer=None, norm=None),), None)
    supernet = Supernet(Network(Conv3x3Stem(1), (stage,)), (1, 8, 8), 4, seed=0, kernel_transformations=True)
    known = {name for name, _ in supernet.named_parameters()}
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
    assert {name for name, _ in supernet.named_parameters()} == known
    assert sum("@" in name for name in known) == 4
