"""What there is: blocks, spaces, controllers, evaluators, devices."""

from typing import Any

import pytest


def test_spaces_have_exact_sizes(archfront: Any) -> None:
    sizes = {row["name"]: row["size"] for row in archfront("spaces", "--json").json}
    assert sizes["cell201"] == 15_625
    assert {"hybrid", "mobile"} <= set(sizes)
    from search_spaces.spaces import get_space

    assert sizes["mobile"] == get_space("mobile").size()


def test_blocks_by_family_name_their_sources(archfront: Any) -> None:
    rows = archfront("blocks", "--json").json
    found = {(row["family"], row["name"]): row for row in rows}
    assert found["channel_attention", "squeeze_excitation"]["source"] == "Squeeze-and-Excitation Networks"
    assert all(row["source"] != "-" for row in rows)
    norms = archfront("blocks", "--family", "norm", "--json").json
    assert {row["name"] for row in norms} == {name for family, name in found if family == "norm"}
    assert "window_attention" in archfront("blocks", "*attention").out


def test_blocks_say_how_a_supernet_holds_them(archfront: Any) -> None:
    """Every registered part is in the list; one without a rule of sharing is a branch."""
    from search_spaces.parts import FAMILIES, Part, part

    @part("token_mixer", "test_without_a_rule", source="A test")
    class WithoutRule(Part):
        """Nothing."""

    try:
        listed = {(row["family"], row["name"]): row["supernet"] for row in archfront("blocks", "--json").json}
        assert listed.pop(("token_mixer", "test_without_a_rule")) == "branched"
        assert "branched" in archfront("blocks", "test_without_a_rule", "--family", "token_mixer").out
    finally:
        FAMILIES["token_mixer"]._entries.pop("test_without_a_rule")
    registered = {(family, entry.name): entry.value for family in FAMILIES for entry in FAMILIES[family]}
    assert registered.keys() <= listed.keys()
    # Other tests register parts of their own.
    ours = [key for key, value in registered.items() if value.__module__.startswith("search_spaces.")]
    assert len(ours) > 30 and {key for key in ours if listed[key] != "sliced"} == {("network", "timm")}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("controllers", {"random", "regularized-evolution", "pareto-evolution"}),
        ("evaluators", {"cost", "training", "latency", "table"}),
        ("devices", {"host", "host-torch"}),
    ],
)
def test_registries(command: str, names: set[str], archfront: Any) -> None:
    assert names <= {row["name"] for row in archfront(command, "--json").json}
    printed = archfront(command)
    assert printed.code == 0 and all(name in printed.out for name in names)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["spaces", "cel201"], "did you mean 'cell201'"),
        (["controllers", "radnom"], "did you mean 'random'"),
        (["evaluators", "trainin"], "did you mean 'training'"),
        (["devices", "hots"], "did you mean 'host'"),
        (["blocks", "--family", "nrom"], "did you mean 'norm'"),
        (["blocks", "--family", "norm", "bach"], "did you mean 'batch'"),
    ],
)
def test_unknown_names(words: list[str], advice: str, archfront: Any) -> None:
    done = archfront(*words)
    assert done.code == 2 and done.out == ""
    assert advice in done.error
