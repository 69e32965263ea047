"""Supernet trainings: they learn, resume exactly, say what they cost, and what is cut out is what was ranked."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.base import Diverged
from evaluators.datasets import load
from evaluators.recipes.training import Recipe
from evaluators.supernet_estimate import estimate
from evaluators.supernet_training import SupernetTraining, load_supernet
from search_spaces import one_of
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.holes import integers, repeat
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import METHODS, Supernet, recalibrate
from search_spaces.weight_sharing.methods.base import regularisation

HERE = Path(__file__)
STEPS = 12


def space():
    block = Block(one_of(DepthwiseConv(one_of(3, 5)), "pool"), MLP(one_of(1, 2)), norm=one_of("batch", "layer"))
    return Space(Network(Conv3x3Stem(stride=1), (Stage(one_of(8, 16), repeat(integers(1, 2), block), None),)), "small")


def training(method="sandwich", seed=3, steps=STEPS, recipe=None, **settings):
    supernet = Supernet(space(), (1, 8, 8), 10, seed=seed)
    about = {"space": f"{HERE}:space", "data": "digits"}
    chosen = METHODS.get(method)(**settings)
    return SupernetTraining(supernet, load("digits"), recipe or Recipe(epochs=1), chosen, seed, about, steps=steps)


def state(found):
    return {name: tensor.clone() for name, tensor in found.supernet.state_dict().items()}


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("method", ["sandwich", "delayed-shrinking"])
def test_a_training_that_was_stopped_ends_like_one_that_never_was(tmp_path, method):
    whole = training(method)
    whole.run(tmp_path / "whole", listener=lambda progress: None, every_s=0)
    for until in (3, 7, 7, STEPS):
        parts = training(method)
        parts.run(tmp_path / "parts", until=until)
    assert parts.done == STEPS and parts.history == whole.history
    assert equal(state(parts), state(whole))


def test_dropout_comes_back_after_an_error():
    supernet = Supernet(space(), (1, 8, 8), 10).train()
    dropout = torch.nn.Dropout().train()
    supernet.network.add_module("dropout", dropout)
    with pytest.raises(ZeroDivisionError), regularisation(supernet, False):
        assert not dropout.training
        raise ZeroDivisionError
    assert dropout.training


def test_it_learns_and_tells_how(tmp_path):
    seen = []
    found = training(steps=120, recipe=Recipe(lr=0.01))
    found.run(tmp_path, listener=seen.append)
    first, last = seen[0], seen[-1]
    assert (first.step, last.step, last.steps) == (0, 120, 120)
    for name in ("smallest", "largest", "random"):
        assert getattr(last, name) < 0.7 * getattr(first, name)


def test_the_estimate_leaves_the_training_as_it_was(tmp_path):
    asked, plain = training(), training()
    found = estimate(asked)
    asked.run(tmp_path / "asked")
    plain.run(tmp_path / "plain")
    assert asked.history == plain.history and equal(state(asked), state(plain))
    weights = sum(p.numel() * 4 for p in asked.supernet.parameters()) / 2**20
    # Weights, gradients and two moments, and the activations of 64 pictures on top.
    assert 4 * weights < found.memory_mb < 4 * weights + 100
    assert found.seconds > 0


def test_the_trained_supernet_comes_back(tmp_path):
    found = training()
    found.run(tmp_path)
    supernet, about = load_supernet(tmp_path)
    assert about["method"] == "sandwich" and about["done"] == about["steps"] == STEPS
    assert equal(dict(supernet.state_dict()), state(found))


def test_after_training_what_is_cut_out_is_what_was_ranked(tmp_path):
    """Batch normalization's statistics included, as trained and as recalibrated."""
    found = training(recipe=Recipe(lr=0.01), steps=30)
    found.run(tmp_path)
    supernet, _ = load_supernet(tmp_path)
    supernet.double()
    images = load("digits").prepared(load("digits").train.inputs[:100]).double()
    networks = [supernet.smallest(), supernet.largest(), *(supernet.space.sample(i) for i in range(6))]
    for architecture in networks:
        supernet.activate(architecture)
        with recalibrate(supernet, images.split(40)):
            for training_mode in (False, True):
                stand_alone = supernet.extract(architecture).train(training_mode)
                supernet.train(training_mode)
                difference = (supernet(images[:32]) - stand_alone(images[:32])).abs().max()
                assert float(difference.detach()) <= 1e-10


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    training().run(tmp_path, until=2)
    with pytest.raises(WrongUse, match="trained with method = 'sandwich', not 'single-path'"):
        training("single-path").run(tmp_path)
    with pytest.raises(WrongUse, match="seed = 3, not 4"):
        training(seed=4).run(tmp_path)
    assert checkpoints.load(tmp_path / "checkpoints" / "supernet.training.safetensors")[1]["done"] == 2


def test_no_supernet_is_one_clear_line(tmp_path):
    with pytest.raises(WrongUse, match="no trained supernet"):
        load_supernet(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(Diverged, match="lower lr"):
        training(recipe=Recipe(lr=1e30, optimizer="sgd", clip=0.0, warmup=0.0), steps=40).run(tmp_path)


def test_kill_9_in_the_middle_changes_nothing(tmp_path):
    whole = training(steps=60)
    whole.run(tmp_path / "whole")
    code = f"""
import sys; sys.path.insert(0, {str(HERE.parent)!r})
import torch; torch.set_num_threads({torch.get_num_threads()})
from pathlib import Path
from test_supernet_training import training
training(steps=60).run(Path({str(tmp_path / "killed")!r}), every_s=0.05)
"""
    file = tmp_path / "killed" / "checkpoints" / "supernet.training.safetensors"
    for kill in (True, False):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=HERE.parents[2])
        if kill:
            deadline = time.monotonic() + 60
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert checkpoints.load(file)[1]["done"] < 60
        else:
            assert process.wait(120) == 0
    again = training(steps=60)
    again.restore(tmp_path / "killed")
    assert again.done == 60 and again.history == whole.history and equal(state(again), state(whole))
