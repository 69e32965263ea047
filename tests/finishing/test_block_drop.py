"""Dropping blocks: the distance by its formula, and the rest of the network exactly as it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from archfront.finishing.block_drop import BlockDrop, Run, angular, distances, dropped
from search_spaces.blocks import Block, DepthwiseConv, LayerScale
from search_spaces.errors import SpaceError
from search_spaces.topologies import DenseAggregation, Network, Stage, Tied
from tests.finishing.trained import DIGITS, chain, given, outputs, state_of


def test_angular_distance_is_arccos_of_the_cosine() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.normal(size=(2, 5, 7, 3, 4))
    expected = np.zeros(5)
    for n in range(5):
        for y in range(3):
            for x in range(4):
                a, b = before[n, :, y, x], after[n, :, y, x]
                expected[n] += np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) / np.pi / 12
    found = angular(torch.from_numpy(before), torch.from_numpy(after))
    assert np.allclose(found.numpy(), expected)
    same = torch.from_numpy(before)
    assert angular(same, 3 * same).abs().max() < 1e-6 and torch.allclose(angular(same, -same), torch.ones(5).double())
    assert angular(same[:, :, 0, 0], -same[:, :, 0, 0]).shape == (5,)


def test_every_run_has_the_distance_between_its_ends(tmp_path: Path) -> None:
    architecture = chain((16, 3), (24, 2))
    network = given(architecture, tmp_path).network()
    found = {(run.stage, run.start): run.distance for run in distances(network, architecture, 2, DIGITS, 100)}
    step = DIGITS.train.size // 100
    x = DIGITS.prepared(DIGITS.train.inputs[::step][:100])
    with torch.no_grad():
        maps = [network.stem(x)]
        for block in network.stages[0].blocks:
            maps.append(block(maps[-1]))
    expected = {(0, start): float(angular(maps[start], maps[start + 2]).mean()) for start in (0, 1)}
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("run", [Run(0, 0, 1, "stages.0.blocks"), Run(1, 1, 3, "stages.1.blocks")])
def test_what_is_left_computes_as_if_the_blocks_passed_on_their_input(run: Run, tmp_path: Path) -> None:
    architecture = chain((16, 2), (24, 4))
    before = given(architecture, tmp_path).network()
    shorter, state = dropped(architecture, state_of(architecture), run)
    assert [len(stage.blocks) for stage in shorter.stages] == [[1, 4], [2, 2]][run.stage]
    whole = outputs(before)
    for place in range(run.start, run.end):
        before.stages[run.stage].blocks[place] = nn.Identity()
    found = outputs(given(shorter, tmp_path).network(shorter, state))
    assert torch.equal(found, outputs(before))
    assert not torch.allclose(found, whole)


def test_the_block_that_changes_least_is_dropped(tmp_path: Path) -> None:
    block = Block(DepthwiseConv(3), "mlp", norm="batch", residual=LayerScale())
    architecture = chain((16, 4), block=block)
    state = state_of(architecture)
    for name, tensor in state.items():
        if "residual" in name:
            tensor.fill_(1e-4 if name.startswith("stages.0.blocks.2.") else 1.0)
    product = BlockDrop().finish(given(architecture, tmp_path, state=state))
    assert len(product.architecture.stages[0].blocks) == 3
    kept = [key for key in state if key.startswith("stages.0.blocks.3.")]
    assert kept and all(torch.equal(product.state[k.replace("blocks.3", "blocks.2")], state[k]) for k in kept)
    assert product.note.startswith("dropped block 2 of stage 0, angular distance 0.000")


def test_healing_gets_the_shorter_network_and_its_epochs(tmp_path: Path) -> None:
    asked: list[object] = []

    def heal(architecture, state, epochs):
        asked.append((len(architecture.stages[0].blocks), epochs))
        return {name: tensor + 1 for name, tensor in state.items()}

    source = replace(given(chain((16, 3)), tmp_path), heal=heal)
    product = BlockDrop(blocks=2, epochs=4).finish(source)
    healed_for_a_third = BlockDrop().finish(source)
    assert asked == [(1, 4), (2, max(1, source.recipe.epochs // 3))]
    assert torch.equal(product.state["stem.0.weight"], source.state["stem.0.weight"] + 1)
    assert healed_for_a_third.note.startswith("dropped block ")


def test_networks_that_have_no_block_to_spare(tmp_path: Path) -> None:
    for architecture, blocks in ((chain((16, 1), (24, 1)), 1), (chain((16, 3)), 3)):
        with pytest.raises(SpaceError, match=f"no stage has a chain of more than {blocks} block"):
            BlockDrop(blocks).finish(given(architecture, tmp_path))
    wired = Network("conv3x3", (Stage(16, (Block("pool", norm="batch"),) * 3, None, DenseAggregation()),))
    with pytest.raises(SpaceError, match="no stage has a chain"):
        BlockDrop().finish(given(wired, tmp_path))
    with pytest.raises(SpaceError, match="'tied' is no network of stages"):
        BlockDrop().finish(given(Tied(chain((16, 2)), ((0, 0),)), tmp_path))


@pytest.mark.parametrize(("field", "value"), [("blocks", 0), ("blocks", 1.5), ("examples", 0), ("epochs", -1)])
def test_wrong_fields(field: str, value: object) -> None:
    with pytest.raises(SpaceError, match=f"block_drop.{field}"):
        BlockDrop(**{field: value})
