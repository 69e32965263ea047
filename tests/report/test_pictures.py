"""Pictures of architectures: their nodes and edges are what wirings say, and unknown parts are drawn as chains."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from archfront.report.pictures import WIDTH, Panel, graphs, kinds, svg
from search_spaces import to_json
from search_spaces.spaces import get_space
from search_spaces.topologies import Tied
from tests.topologies.wired_networks import NETWORKS, WIRINGS, exiting, wired

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "wiring.md"
CHAIN = [(0, 1, ""), (1, 2, ""), (2, 3, ""), (3, 4, "")]
FURTHER = {
    "dense": {(0, 2, "join"), (0, 3, "join"), (1, 3, "join")},
    "skips": {(1, 3, "skip")},
    "csp": {(0, 4, "skip")},
    "recursion": {(1, 1, "again"), (2, 2, "again"), (3, 3, "again")},
    "together": {(3, 1, "again")},
}


@pytest.mark.parametrize("name", WIRINGS)
def test_each_wiring_draws_its_own_edges(name):
    network, stage, last = graphs(to_json(NETWORKS[name]))
    assert network.rows == (
        "input → conv3x3(stride=1)",
        "stage 0: 8 channels, 3 blocks",
        "stage 1: 16 channels, 1 block",
        "head",
    )
    assert stage.rows[0] == "in" and stage.rows[-1] == "out" and stage.rows[1] == "0: depthwise_conv(kernel=3)"
    assert set(stage.edges) == {*CHAIN, *FURTHER[name]} and len(set(stage.edges)) == len(stage.edges)
    assert WIRINGS[name].name in stage.title
    assert last.edges == ((0, 1, ""), (1, 2, "")) and "chain" not in last.title
    assert [kind for kind, _ in kinds([stage])] == [next(iter(FURTHER[name]))[2]]


def test_exits_lead_from_their_stages_to_the_end():
    network, *_ = graphs(to_json(exiting()))
    assert [edge for edge in network.edges if edge[2]] == [(1, 4, "exit"), (2, 4, "exit")]


def test_a_neck_is_given_all_stages():
    architecture = to_json(wired("chain"))
    for field, value in (("neck", "neck/iterative_aggregation"), ("head", "head/all_stages_pool")):
        network, *_ = graphs({**architecture, field: {"part": value}})
        assert (1, 3, "join") in network.edges and value.partition("/")[2] in network.rows[-1]


def test_unknown_parts_are_drawn_as_a_chain():
    architecture = json.loads(json.dumps(to_json(NETWORKS["dense"])).replace("dense_aggregation", "from_nowhere"))
    architecture["head"] = {"part": "head/also_unknown"}
    network, stage, _ = graphs(architecture)
    assert list(stage.edges) == CHAIN and stage.title.endswith(": from_nowhere")
    assert network.rows[-1] == "also_unknown"
    assert [panel.rows for panel in graphs({"part": "network/unknown", "depth": 3})] == [("unknown",)]


ODD: list[Any] = [
    None,
    3,
    {},
    {"part": "network/network", "stages": [1, {"blocks": 4, "wiring": []}]},
    {"part": "network/network", "stages": [{"blocks": [None, "x"], "wiring": {"part": "norm/batch"}}]},
]


@pytest.mark.parametrize("value", ODD)
def test_whatever_is_stored_is_drawn(value):
    assert all(ElementTree.fromstring(svg(panel)) is not None for panel in graphs(value))


def test_tied_layers_say_whose_weights_they_have():
    _, stage, _ = graphs(to_json(Tied(wired("chain"), ((0, 1, 0),))))
    assert stage.rows[3].endswith("(weights of 0)") and "weights of" not in stage.rows[1]


def test_a_cell_is_drawn_with_its_operations():
    architecture = get_space("cell201").sample(5)
    (cell,) = graphs(to_json(architecture))
    live = [
        edge
        for edge, op in zip(("01", "02", "12", "03", "13", "23"), architecture.operations, strict=True)
        if op.name != "none"
    ]
    assert {f"{start}{end}" for start, end, _ in cell.edges} == set(live)
    assert cell.rows[1] == f"1: {architecture.op_0_1.name}(0)"


def test_the_picture_has_all_nodes_and_arcs_within_its_width():
    panel = graphs(to_json(wired(WIRINGS["dense"], 8)))[1]
    picture = svg(panel)
    root = ElementTree.fromstring(picture)
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags.count("circle") == len(panel.rows)
    arcs = [edge for edge in panel.edges if edge[2]]
    assert tags.count("path") == len(panel.edges) + len(arcs), "an arc has a head"
    places = [float(x) for path in re.findall(r' d="([^"]*)"', picture) for x in re.findall(r"[-\d.]+ ", path)]
    assert min(places) > -40 and max(places) < WIDTH
    assert "prefers-color-scheme" in svg(panel, dark=True) and "prefers-color-scheme" not in picture


def test_text_is_escaped_and_long_lines_are_wrapped():
    picture = svg(Panel("<i>", ("<script>alert(1)</script>", "word " * 60), ()))
    assert "<script>" not in picture and "&lt;script&gt;" in picture and "…" in picture
    assert ElementTree.fromstring(picture) is not None


def test_the_document_s_example_is_a_space(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.S)
    (tmp_path / "own.py").write_text(code)
    space = get_space(f"{tmp_path / 'own.py'}:space")
    found = {space.sample(seed).stages[0].wiring.name for seed in range(60)}
    assert found == {"chain", "dense_aggregation", "long_skips", "csp", "recursion"}
