"""The ready spaces: conformance, sizes, the fit to the data, and NAS-Bench-201 as published."""

from itertools import product
from math import prod
from random import Random

import pytest
import torch

from search_spaces import SpaceError
from search_spaces.building import build
from search_spaces.spaces import SPACES, get_space
from search_spaces.spaces.cell201 import from_arch_str
from search_spaces.table import TableSpace
from search_spaces.testing import SpaceConformance

SAMPLES = 300
"""In the default run; `make test-slow` takes the 10,000 of the suite."""


class TestTinyHybrid(SpaceConformance):
    space = get_space("hybrid", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)
    samples = SAMPLES


class TestSmallHybrid(SpaceConformance):
    space = get_space("hybrid", (3, 32, 32), 8_000)
    inputs = (3, 32, 32)
    samples = SAMPLES


class TestMobile(SpaceConformance):
    space = get_space("mobile", (3, 32, 32), 8_000)
    inputs = (3, 32, 32)
    samples = SAMPLES
    builds = 4


class TestPaths(SpaceConformance):
    space = get_space("paths", (3, 32, 32), 8_000)
    inputs = (3, 32, 32)
    samples = SAMPLES
    builds = 4


class TestTied(SpaceConformance):
    space = get_space("tied", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)
    samples = SAMPLES


class TestWired(SpaceConformance):
    space = get_space("wired", (1, 8, 8), 1_400)
    inputs = (1, 8, 8)
    samples = SAMPLES


class TestCell201(SpaceConformance):
    space = get_space("cell201")
    inputs = (3, 16, 16)
    samples = SAMPLES
    builds = 4


class TestTable(SpaceConformance):
    """A table with rows missing, so that moves must find the nearest that are there."""

    space = TableSpace("rows", ("a", "b", "c"), Random(0).sample(list(product("wxyz", range(5), (0.5, 1.5))), 25))
    samples = SAMPLES


class TestBanned(SpaceConformance):
    """A space with a rule."""

    space = get_space("cell201").where(lambda network: network.op_0_1.name != "none", "the first edge is there")
    samples = SAMPLES


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestHybridThoroughly(SpaceConformance):
    space = get_space("hybrid")
    inputs = (3, 64, 64)


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestMobileThoroughly(SpaceConformance):
    space = get_space("mobile")
    inputs = (3, 64, 64)


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestTinyHybridThoroughly(TestTinyHybrid):
    samples = 10_000
    builds = 100


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestCell201Thoroughly(TestCell201):
    samples = 10_000


@pytest.mark.parametrize("name", ["hybrid", "mobile", "wired"])
@pytest.mark.parametrize(
    "inputs", [(1, 2, 2), (1, 8, 8), (1, 12, 9), (3, 13, 17), (1, 28, 28), (3, 47, 64), (3, 64, 64)]
)
def test_every_size_of_image_builds_and_runs(name, inputs):
    space = get_space(name, inputs, 1_000)
    for seed in range(5):
        network = build(space.sample(seed), inputs, 7, seed=seed).eval()
        with torch.no_grad():
            assert network(torch.zeros(1, *inputs)).shape == (1, 7)


def test_the_extremes_of_each_space_build_at_their_own_resolution():
    for space, inputs in ((get_space("hybrid"), (3, 224, 224)), (get_space("mobile"), (3, 224, 224))):
        counts = []
        for index in (0, -1):
            genes = [len(d.options) - 1 if index else 0 for d in space.decisions]
            network = build(space.architecture(tuple(genes)), inputs, 1000)
            counts.append(sum(p.numel() for p in network.parameters()))
        assert 100_000 < counts[0] < counts[1] < 60_000_000


def test_hybrid_fits_the_data():
    stages = {n: len(get_space("hybrid", (3, n, n), 5_000).sample(0).stages) for n in (8, 32, 64, 224)}
    assert stages == {8: 2, 32: 3, 64: 3, 224: 4}
    few, many = get_space("hybrid", (3, 224, 224), 2_000).size(), get_space("hybrid", (3, 224, 224), 10**6).size()
    assert few < many
    tiny = [build(get_space("hybrid", (1, 8, 8), 1_400).sample(i), (1, 8, 8), 10) for i in range(20)]
    assert max(sum(p.numel() for p in network.parameters()) for network in tiny) < 150_000


def test_images_that_no_space_fits_are_refused():
    for inputs in ((3, 1, 8), (8, 8)):
        with pytest.raises(SpaceError, match="inputs: takes images"):
            get_space("hybrid", inputs, 1_000)


def test_sizes_follow_from_the_definitions():
    assert get_space("cell201").size() == 15_625
    block = 3 * 3 * 2 * 2
    assert get_space("mobile", (1, 8, 8), 1_000).size() == 2 * prod([3 * (block + block**2)] * 2)


def test_names_and_files(tmp_path):
    assert {"cell201", "hybrid", "mobile"} <= set(SPACES.names())
    with pytest.raises(SpaceError, match=r"no space is named 'hybird'; did you mean 'hybrid'"):
        get_space("hybird")
    file = tmp_path / "mine.py"
    file.write_text(
        "from search_spaces import one_of\nfrom search_spaces.spaces.cell201 import cell201\n"
        "tree = cell201()\n"
        "def fitted(inputs, examples=5):\n    '''Fits.'''\n    from search_spaces.spaces.hybrid import hybrid\n"
        "    return hybrid(inputs, examples)\n"
    )
    assert get_space(f"{file}:tree").size() == 15_625
    assert get_space(f"{file}:tree").name == "tree"
    assert get_space(f"{file}:fitted", (1, 8, 8)).size() == get_space("hybrid", (1, 8, 8), 5).size()
    with pytest.raises(SpaceError, match="the space 'fitted' needs inputs"):
        get_space(f"{file}:fitted")
    with pytest.raises(SpaceError, match="did you mean 'tree'"):
        get_space(f"{file}:tre")


def test_arch_str_is_the_benchmarks():
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    network = from_arch_str(text)
    assert network.arch_str == text and network.key() == {"arch_str": text}
    assert network.op_1_2.name == "skip_connect" and network.op_0_3.name == "none"
    assert get_space("cell201").key(network) == {"arch_str": text}
    with pytest.raises(SpaceError, match="has 2 operations"):
        from_arch_str("|none~0|+|none~0|")
    with pytest.raises(SpaceError, match="did you mean"):
        from_arch_str(text.replace("~1", "~0"))


def test_cell201_has_the_published_rows(shared_data):
    """The cells' names are those of the table's 15,625 rows."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(shared_data / "tables" / "nasbench201_dev.parquet", columns=["arch_str"])
    assert {network.arch_str for network in get_space("cell201").enumerate()} == set(table["arch_str"].to_pylist())
