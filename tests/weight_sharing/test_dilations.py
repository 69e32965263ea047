"""Dilations chosen from one network with full kernels, against sums written out element by element."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evaluators.datasets import load
from evaluators.dilation_search import search_dilations
from evaluators.recipe import default_recipe
from search_spaces.blocks import Block, Conv3x3Stem, InceptionConv
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.holes import one_of, repeat
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing.dilations import FullKernel, chosen, covering

PAIRS = ((1, 1), (1, 2), (2, 1), (2, 3))


def space(channels: int = 6, period: int = 6) -> Space:
    """Two blocks whose channels each choose a dilation."""
    mixer = InceptionConv(3, repeat(period, one_of(*PAIRS)))  # type: ignore[arg-type]
    return Space(Network(Conv3x3Stem(), (Stage(channels, repeat(2, Block(mixer))),)), "dilations")


def written_out(weight: torch.Tensor, x: torch.Tensor, pair: tuple[int, int], channel: int) -> float:
    """The mean absolute difference of one channel's outputs of the full and of the dilated kernel, tap by tap."""
    tall, wide = weight.shape[2] // 2, weight.shape[3] // 2
    padded = nn.functional.pad(x, (wide, wide, tall, tall))
    height, width = x.shape[2:]
    outputs = []
    for taps in ("all", "dilated"):
        total = torch.zeros(x.shape[0], height, width, dtype=x.dtype)
        for down in range(-tall, tall + 1):
            for across in range(-wide, wide + 1):
                if taps == "dilated" and not (down in (-pair[0], 0, pair[0]) and across in (-pair[1], 0, pair[1])):
                    continue
                shifted = padded[:, :, tall + down : tall + down + height, wide + across : wide + across + width]
                total += torch.einsum("nchw,c->nhw", shifted, weight[channel, :, tall + down, wide + across])
        outputs.append(total)
    return float((outputs[0] - outputs[1]).abs().sum())


def test_distances_are_those_of_the_outputs() -> None:
    torch.manual_seed(0)
    full = FullKernel(3, 3, PAIRS).double()
    assert full.kernel_size == (5, 7), "as large as the largest dilation of each axis needs"
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    full.watching, full.distance = True, full.distance.double()
    assert torch.equal(full(x), nn.functional.conv2d(x, full.weight, full.bias, padding=(2, 3)))
    for number, pair in enumerate(PAIRS):
        for channel in range(3):
            expected = written_out(full.weight.detach(), x, pair, channel)
            assert full.distance[number, channel].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("period", [6, 3])
def test_each_channel_gets_the_dilation_that_its_kernel_has(period: int) -> None:
    tree = space(6, period)
    architecture = tree.sample(0)
    model = build(architecture, (1, 8, 8), 3, seed=0)
    kernels = covering(tree, architecture, model)
    assert [path for path, _ in kernels] == [f"stages.0.blocks.{i}.token_mixer" for i in range(2)]
    wanted = {path: [PAIRS[(i + j) % 4] for i in range(period)] for j, (path, _) in enumerate(kernels)}
    for path, full in kernels:
        for channel in range(6):
            # Full weights where the dilated kernel has its taps, next to nothing elsewhere.
            keep = 1 - full.left_out(wanted[path][channel % period])
            full.weight.data[channel] = keep * full.weight.data[channel].sign() + 0.01 * full.weight.data[channel]
    found = chosen(tree, architecture, model, kernels, [torch.randn(8, 1, 8, 8)])
    assert found in tree
    for i, (path, _) in enumerate(kernels):
        assert list(found.stages[0].blocks[i].token_mixer.dilations) == wanted[path]
    assert set(found.stages[0].blocks[0].token_mixer.dilations) != {PAIRS[0]}


def test_other_choices_stay_as_they_are() -> None:
    mixer = InceptionConv(one_of(3, 5), repeat(4, one_of((1, 1), (2, 2))))  # type: ignore[arg-type]
    tree = Space(Network(Conv3x3Stem(), (Stage(one_of(4, 8), (Block(mixer), Block(one_of("pool", mixer)))),)), "more")
    for seed in range(4):
        before = tree.sample(seed)
        model = build(before, (1, 8, 8), 3, seed=0)
        after = chosen(tree, before, model, covering(tree, before, model), [torch.randn(4, 1, 8, 8)])
        changed = [
            d.path for d, a, b in zip(tree.decisions, tree.genes(before), tree.genes(after), strict=True) if a != b
        ]
        assert all(".dilations." in path for path in changed)


def test_a_space_without_open_dilations_is_refused() -> None:
    tree = Space(Network(Conv3x3Stem(), (Stage(one_of(4, 8), (Block("inception_conv"),)),)), "closed")
    with pytest.raises(SpaceError, match="leaves no dilations open"):
        covering(tree, tree.sample(0), build(tree.sample(0), (1, 8, 8), 3))


def test_trains_and_chooses_by_the_seed_alone() -> None:
    data, tree = load("digits", seed=0), space()
    recipe = default_recipe(data, epochs=1)
    runs = [search_dilations(tree, tree.sample(start), data, recipe, device="cpu") for start in (0, 0)]
    assert runs[0] == runs[1] and runs[0][0] in tree
    assert len(runs[0][1]) == 2 and all(len(pairs) == 6 for pairs in runs[0][1].values())


def test_the_outcome_is_proposed_to_a_study(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    from archfront.commands import run
    from archfront.study import open_study

    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from search_spaces import one_of, repeat\nfrom search_spaces.blocks import Block, InceptionConv\n"
        "from search_spaces.topologies import Network, Stage\n"
        "mixer = InceptionConv(3, repeat(8, one_of((1, 1), (1, 2), (2, 1), (2, 2))))\n"
        "space = Network('conv3x3', (Stage(8, (Block(mixer),)),))\n"
    )
    words = ["--space", "mine.py:space", "--data", "digits", "--epochs", "1"]
    assert run(["supernet", "dilations", *words, "--to", "found.json"]) == 0
    assert "found.json" in capsys.readouterr().out
    assert run(["search", *words, "--evaluations", "2", "--study", "s", "--warm-start", "found.json"]) == 0
    first = open_study("s", "sqlite:///archfront.db")
    assert first.rows()[0].origin == "given"
    assert [first.candidate("0").architecture] == json.loads(Path("found.json").read_text())
    capsys.readouterr()
    assert run(["supernet", "dilations", "--space", "hybrid", "--data", "digits", "--to", "none.json"]) == 2
    assert "leaves no dilations open" in capsys.readouterr().err and not Path("none.json").exists()
    assert run(["supernet", "dilations", *words, "--to", "nowhere/found.json"]) == 2
    assert "no folder" in capsys.readouterr().err
