"""Registries: near names, clashes, globs, a user's files; every part and space names its source."""

import subprocess
import sys

import pytest

from search_spaces import FAMILIES, Family, Registry, SpaceError, from_json, one_of, part
from search_spaces.blocks import Block
from search_spaces.parts import Part
from search_spaces.spaces import SPACES


def test_misspelt_parts_raise_with_the_near_ones():
    with pytest.raises(SpaceError, match=r"^Block\.norm: no norm is named 'bacth'; did you mean 'batch'"):
        Block("pool", norm="bacth")
    with pytest.raises(SpaceError, match=r"^Block\.token_mixer: no token mixer is named 'depthwise_con'"):
        Block(one_of("pool", "depthwise_con"))
    with pytest.raises(SpaceError, match=r"^Block\.norm: takes a norm, but DepthwiseConv is a token_mixer"):
        Block("pool", norm=FAMILIES["token_mixer"].get("depthwise_conv")())
    with pytest.raises(SpaceError, match=r"^Block\.norm: takes a norm .* not 3"):
        Block("pool", norm=3)
    with pytest.raises(SpaceError, match="no family of parts is named 'nrom'; did you mean 'norm'"):
        part("nrom", "x", source="x")


def test_two_parts_of_one_name_are_an_error():
    def define() -> None:
        @part("norm", "batch", source="x")
        class Other(Part):
            """Another."""

    with pytest.raises(SpaceError, match="two norms are named 'batch'"):
        define()


def test_listing_and_globs():
    names = FAMILIES["token_mixer"].names()
    assert names == sorted(names) and {"depthwise_conv", "self_attention", "window_attention"} <= set(names)
    assert FAMILIES["token_mixer"].names("*_attention") == ["self_attention", "window_attention"]
    assert all(entry.source and entry.about for family in FAMILIES.values() for entry in family)


def test_a_users_file_adds_parts(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\nfrom search_spaces import Part, Site, part\n\n"
        "@part('activation', 'test_tanh', source='a test')\nclass Tanh(Part):\n    '''Tanh.'''\n\n"
        "    def build(self, site):\n        return nn.Tanh()\n"
    )
    tanh = FAMILIES["activation"].get(f"{file}:Tanh")
    assert type(tanh().build(None)).__name__ == "Tanh"
    assert FAMILIES["activation"].get("test_tanh") is tanh
    with pytest.raises(SpaceError, match="did you mean 'Tanh'"):
        FAMILIES["activation"].get(f"{file}:Tahn")
    with pytest.raises(SpaceError, match="no file"):
        FAMILIES["activation"].get(f"{tmp_path}/none.py:Tanh")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(SpaceError, match="cannot be imported: ZeroDivisionError"):
        FAMILIES["activation"].get(f"{tmp_path}/broken.py:x")


def test_a_registry_of_ones_own():
    registry: Registry[object] = Registry("thing", "search_spaces.spaces")
    registry.add("one", object, source="s", about="a")
    assert registry.entry("one").about == "a"
    with pytest.raises(SpaceError, match="no thing is named 'two'; known: one"):
        registry.get("two")


class Point:
    """An entry point that fails when it is loaded."""

    name, value, dist = "broken_part", "broken_package.parts:Part", None

    def load(self):
        raise ImportError("no module named 'numpy_of_old'")


def test_a_broken_plug_in_takes_nothing_else_away(monkeypatch):
    """It is said when it is asked for, and in the complaint about an unknown name; all others are there."""
    monkeypatch.setattr("search_spaces.registry.installed", lambda group: [Point()])
    for registry in (FAMILIES["norm"], SPACES):
        for _ in range(2):
            with pytest.raises(SpaceError, match=r"'broken_part' can't be imported from broken_package\.parts:Part"):
                registry.get("broken_part")
        known = "batch" if registry.kind == "norm" else "cell201"
        assert known in registry.names() and "broken_part" not in registry.names()
        assert registry.entry(known).name == known and known in [entry.name for entry in registry]
        with pytest.raises(SpaceError, match=rf"did you mean '{known}'.*'broken_part' can't be imported"):
            registry.get(known + "x")
        del registry._broken["broken_part"]


def test_a_family_is_declared_by_anybody():
    """In one place; parts of it stand in slots, and are read, like those of ours."""
    family = Family("test_greeting")
    try:

        @part("test_greeting", "test_hello", source="A test")
        class Hello(Part):
            """Hello."""

        assert FAMILIES["test_greeting"] is family and "test_greeting" in FAMILIES
        assert from_json({"part": "test_greeting/test_hello"}) == Hello()
        with pytest.raises(SpaceError, match="no test greeting is named 'test_helo'; did you mean 'test_hello'"):
            from_json({"part": "test_greeting/test_helo"})
    finally:
        FAMILIES._declared.pop("test_greeting")
    with pytest.raises(SpaceError, match="two families of parts are named 'norm'"):
        Family("norm")


def test_timm_and_torchvision_import_beside_a_cpu_torch():
    """In a fresh process, in the order that users have: the module first, then timm; twice does no harm."""
    code = (
        "from search_spaces import torchvision_operators as t; t.declare(); t.declare();"
        "import timm, torchvision.transforms.v2; assert timm.create_model and torchvision.models"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
