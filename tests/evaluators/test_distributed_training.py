"""Supernet trainings on several workers: the same weights as on one, and a worker's death changes nothing."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.base import Diverged
from evaluators.datasets import load
from evaluators.distributed_training import run_distributed
from evaluators.recipes.training import Recipe
from evaluators.supernet_training import SupernetTraining, load_supernet
from search_spaces import one_of
from search_spaces.blocks import MLP, AveragePoolHead, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.holes import integers, repeat
from search_spaces.space import Space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import METHODS, Supernet

HERE = Path(__file__)
STEPS = 10


def space():
    """Networks without batch normalization, which sees a worker's share of a batch."""
    block = Block(one_of(DepthwiseConv(one_of(3, 5)), "pool"), MLP(one_of(1, 2)), norm="layer")
    stage = Stage(one_of(8, 16), repeat(integers(1, 2), block), None)
    return Space(Network(Conv3x3Stem(stride=1, norm="layer"), (stage,), AveragePoolHead(norm="layer")), "small")


def training(method="sandwich", steps=STEPS, recipe=None, data="digits", **settings):
    supernet = Supernet(space(), (1, 8, 8), 10, seed=3, kernel_transformations=True)
    about = {"space": f"{HERE}:space", "data": data, "method_settings": settings, "kernel_transformations": True}
    chosen = METHODS.get(method)(**settings)
    # SGD shows what is wrong with gradients' sizes, which AdamW hides.
    recipe = recipe or Recipe(epochs=1, optimizer="sgd", lr=0.1, clip=0.5, augmentation="none")
    return SupernetTraining(supernet, load("digits"), recipe, chosen, 3, about, steps=steps)


def assert_near(left, right):
    for (name, one), two in zip(left.supernet.named_parameters(), right.supernet.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5), name


@pytest.fixture
def cluster():
    """A Ray for several trainings; where there is none, each starts its own."""
    import ray

    ray.init(
        num_cpus=2,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"worker_niceness": 0},
    )
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cluster")
def test_two_workers_train_as_one_does(tmp_path):
    """Also in two parts, and with a frozen teacher from before the second part."""
    alone, shared = (training("progressive-shrinking", full=0.4, width_networks=2) for _ in range(2))
    alone.run(tmp_path / "alone")
    told = []
    for until in (6, None):
        run_distributed(shared, tmp_path / "shared", workers=2, until=until, listener=told.append)
        assert shared.done == (until or STEPS) == told[-1].step
    assert_near(alone, shared)
    for one, two in zip(alone.history, shared.history, strict=True):
        assert one == pytest.approx(two, abs=1e-5)
    supernet, about = load_supernet(tmp_path / "shared")
    assert about["done"] == STEPS and len(list(supernet.parameters())) == len(list(shared.supernet.parameters()))


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_a_killed_worker_changes_nothing(tmp_path):
    # Beside two workers that live: one alone adds up gradients in another order, which 60 steps make visible.
    alive, shared = training(steps=60), training(steps=60)
    run_distributed(alive, tmp_path / "alive", workers=2)
    file = tmp_path / "shared" / "checkpoints" / "supernet.training.safetensors"
    killed = []

    def kill():
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in psutil.Process().children(recursive=True):
            if "RayTrainWorker" in " ".join(process.cmdline()) and not killed:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(checkpoints.load(file)[1]["done"])

    thread = threading.Thread(target=kill)
    thread.start()
    run_distributed(shared, tmp_path / "shared", workers=2, every_s=0)
    thread.join()
    assert killed and killed[0] < 60
    assert shared.done == 60 and len(shared.history) == 60
    assert_near(alive, shared)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_loss_that_is_not_finite_ends_it_at_once(tmp_path):
    wild = training(steps=40, recipe=Recipe(lr=1e30, optimizer="sgd", clip=0.0, warmup=0.0))
    with pytest.raises(Diverged, match="lower lr"):
        run_distributed(wild, tmp_path, workers=2)


def test_what_cannot_be_shared_is_one_clear_line(tmp_path):
    with pytest.raises(WrongUse, match="3 workers can't share a batch of 64 alike"):
        run_distributed(training(), tmp_path, workers=3)
    with pytest.raises(WrongUse, match="know the data by name"):
        run_distributed(training(data=""), tmp_path, workers=2)
    with pytest.raises(WrongUse, match="'darts' learns more than the weights"):
        run_distributed(training("darts"), tmp_path, workers=2)
