"""A finished search of small networks on the digits, copied for each test that writes to it."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from archfront.plan import Plan
from archfront.run import Order, search
from archfront.search import Budget
from archfront.study import Study, open_study

SPACE = """
from search_spaces import integers, one_of, repeat
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.topologies import Network, Stage

block = Block(DepthwiseConv(one_of(3, 5)), MLP(expansion=2), norm="batch")
tree = Network(
    Conv3x3Stem(stride=2),
    (Stage(16, repeat(integers(2, 3), block), None), Stage(one_of(24, 32), repeat(integers(1, 2), block))),
)
"""

DEVICE = """
name = "quick"
cap_s = 0.2
patience_s = 0.2
pauses_s = []
"""
"""Figures of it are as bad as may be; they come soon."""


def order_of(folder: Path, evaluations: int = 4, url: str = "", **changes: object) -> Order:
    """A search of the networks of `folder` for accuracy and latency."""
    plan = Plan(
        space=f"{folder / 'small.py'}:tree",
        data="digits",
        evaluator_settings={"epochs": 3, "device": "cpu"},
        objectives=("accuracy", "latency_ms"),
        device=str(folder / "quick.toml"),
    )
    url = url or f"sqlite:///{folder / 's.db'}"
    return Order(replace(plan, **changes), "small", url, "random", budget=Budget(evaluations))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def finished_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search of four candidates."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "small.py").write_text(SPACE)
    (folder / "quick.toml").write_text(DEVICE)
    search(order_of(folder))
    return folder


@pytest.fixture
def studied(finished_search: Path, tmp_path: Path) -> Callable[[], Study]:
    """Makes a copy of the study that can be written to, another one whenever it is called."""

    def copied() -> Study:
        return open_study("small", f"sqlite:///{copy_of(finished_search, tmp_path)}", read_only=False)

    return copied


def copy_of(source: Path, to: Path) -> Path:
    """A copy below `to` of the database `s.db` in `source` and of its files, even while processes have it open."""
    folder = to / f"copy{len(list(to.glob('copy*')))}"
    folder.mkdir()
    with sqlite3.connect(source / "s.db") as before, sqlite3.connect(folder / "s.db") as after:
        before.backup(after)
    shutil.copytree(source / "s.files", folder / "s.files")
    return folder / "s.db"
