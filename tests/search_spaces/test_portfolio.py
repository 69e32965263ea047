"""The order of the portfolio follows from figures, and leaves out the data sets that have no say."""

import json

import pytest

from benchmarks.portfolio import Found, covered, figures, greedy, write
from search_spaces.portfolio import CANDIDATES, order

QUICK = {"small": Found(0.5, 1.0), "middle": Found(0.8, 2.0), "large": Found(0.9, 8.0), "bad": Found(0.4, 8.0)}


def test_what_covers_most_comes_first():
    assert greedy({"one": QUICK}) == ["small", "middle", "large", "bad"]
    assert covered(QUICK, ["small", "middle", "large"]) == pytest.approx(1)
    assert 1 > covered(QUICK, ["small"]) > covered(QUICK, ["middle"]) > covered(QUICK, ["large"]) > 0


def line(name, network, accuracy, seconds=60.0):
    return {"set": name, "network": network, "seed": 0, "seconds": seconds, "accuracy": accuracy, "latency_ms": 1.0}


def test_only_the_longest_trainings_count_and_left_out_sets_have_no_say(tmp_path, monkeypatch):
    first, second, third = list(CANDIDATES)[:3]
    lines = [line("a", first, 0.9), line("a", second, 0.1), line("b", first, 0.1), line("b", second, 0.9)]
    lines += [line("a", third, 0.99, seconds=5.0), line("b", first, 0.99, seconds=5.0)]
    assert figures(lines)["a"].keys() == {first, second} and figures(lines)["b"][first].accuracy == 0.1
    path = tmp_path / "portfolio.json"
    write(lines, path)
    monkeypatch.setattr("search_spaces.portfolio.FIGURES", path)
    assert order({"b"})[0] == first and order({"a"})[0] == second
    assert order({"another"}) == order() == json.loads(path.read_text())["order"]
