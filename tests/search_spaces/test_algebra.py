"""The algebra against brute force: size, enumeration, encoding, moves, on random trees with nested conditions."""

import json
from collections import Counter
from itertools import product
from math import prod
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from search_spaces import Space, SpaceError, diff, digest, from_json, integers, one_of, outline, part, repeat, to_json
from search_spaces.decisions import INACTIVE
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of


@part("block", "test_pair", source="none: a part for tests")
class Pair(Part):
    """Two of anything."""

    left: Any
    right: Any


@part("block", "test_tagged", source="none: a part for tests")
class Tagged(Part):
    """A number that keeps options apart, and anything."""

    tag: int
    inner: Any


def expand(tree: Any) -> list[Any]:
    """Every architecture of a tree, by the definition of holes and nothing else."""
    if isinstance(tree, OneOf):
        return [value for option in tree.options for value in expand(option)]
    if isinstance(tree, Repeat):
        counts = expand(tree.count)
        items = expand(tree.item)
        if tree.shared:
            return [(item,) * n for n in counts for item in (items if n else items[:1])]
        return [values for n in counts for values in product(items, repeat=n)]
    if isinstance(tree, Part):
        return [type(tree)(*values) for values in product(*(expand(getattr(tree, f)) for f in fields_of(tree)))]
    if isinstance(tree, tuple):
        return list(product(*(expand(item) for item in tree)))
    return [tree]


def count(tree: Any) -> int:
    """The number of architectures of a tree, by the definition of holes."""
    if isinstance(tree, OneOf):
        return sum(map(count, tree.options))
    if isinstance(tree, Repeat):
        return sum((count(tree.item) if n else 1) if tree.shared else count(tree.item) ** n for n in expand(tree.count))
    if isinstance(tree, Part):
        return prod(count(getattr(tree, field)) for field in fields_of(tree))
    return prod(map(count, tree)) if isinstance(tree, tuple) else 1


def choices(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    options = st.lists(inner, min_size=1, max_size=3)
    return options.map(lambda items: one_of(*(Tagged(i, item) for i, item in enumerate(items))))


def repetitions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    counts = st.sampled_from([0, 1, 2, integers(0, 2), integers(1, 2), one_of(1, 3), one_of(2, 0)])
    return st.builds(lambda n, item, shared: Pair(repeat(n, item, shared), 0), counts, inner, st.booleans())


TREES = st.recursive(
    st.sampled_from([1, "a", None, one_of(1, 2), one_of("x", "y", None), one_of(1, 1.0, True), integers(2, 6, 2)]),
    lambda inner: st.one_of(st.builds(Pair, inner, inner), choices(inner), repetitions(inner), st.tuples(inner, inner)),
    max_leaves=6,
)


def spaces() -> st.SearchStrategy[tuple[Space, list[str]]]:
    """Small spaces with holes, each with the texts of all its architectures (text, since 1 == 1.0 == True)."""

    def make(tree: Any) -> tuple[Space, list[str]]:
        assume(1 < count(tree) <= 600)
        return Space(Pair(tree, 0)), [text(Pair(value, 0)) for value in expand(tree)]

    return TREES.map(make)


def text(architecture: Any) -> str:
    return json.dumps(to_json(architecture))


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_size_and_enumeration_agree_with_brute_force(case):
    space, expected = case
    found = [text(architecture) for architecture in space.enumerate()]
    assert space.size() == len(found) == len(expected)
    assert len(set(found)) == len(found), "each once"
    assert set(found) == set(expected)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 10**6))
def test_moves_stay_inside_and_encodings_round_trip(case, seed):
    space, expected = case
    inside, rng = set(expected), Random(seed)
    mother, father = space.sample(rng), space.sample(rng, "architectures")
    for architecture in (mother, father, space.mutate(mother, rng), space.crossover(mother, father, rng)):
        assert text(architecture) in inside
        genes = space.genes(architecture)
        assert len(genes) == len(space.decisions)
        assert text(space.architecture(genes)) == text(architecture)
        again = from_json(to_json(architecture))
        assert text(again) == text(architecture) and space.genes(again) == genes
        assert digest(again) == digest(architecture)
        for gene, decision in zip(genes, space.decisions, strict=True):
            assert gene == INACTIVE or 0 <= gene < len(decision.options)
            if decision.parent is not None:
                assert (gene != INACTIVE) == (genes[decision.parent] in decision.parent_options)
            else:
                assert gene != INACTIVE


@settings(max_examples=50, deadline=None)
@given(spaces(), st.integers(0, 10**6))
def test_neighbours_are_the_single_changes(case, seed):
    space, expected = case
    architecture = space.sample(seed)
    genes = space.genes(architecture)
    near = [space.genes(other) for other in space.neighbours(architecture)]
    assert len(near) == sum(len(d.options) - 1 for d, g in zip(space.decisions, genes, strict=True) if g != INACTIVE)
    assert len(set(near)) == len(near) and genes not in near
    for other in near:
        assert text(space.architecture(other)) in expected
        assert sum(a != b for a, b in zip(genes, other, strict=True) if INACTIVE not in (a, b)) == 1


@settings(max_examples=50, deadline=None)
@given(spaces(), st.integers(0, 10**6))
def test_diff_is_empty_exactly_for_equal_architectures(case, seed):
    space, _ = case
    rng = Random(seed)
    before, after = space.sample(rng), space.sample(rng)
    assert diff(before, before) == []
    if text(before) != text(after):
        changes = diff(before, after)
        assert changes and all(change.path and text(change.before) != text(change.after) for change in changes)


def test_decision_names_are_paths():
    tree = Pair(repeat(integers(1, 2), Tagged(0, one_of(Tagged(1, one_of(3, 5)), 7))), (one_of("a", "b"),))
    assert [decision.path for decision in Space(tree).decisions] == [
        "left.count",
        "left.0.inner",
        "left.0.inner.inner",
        "left.1.inner",
        "left.1.inner.inner",
        "right.0",
    ]


def test_each_repetition_chooses_on_its_own_unless_shared():
    item = Tagged(0, one_of(1, 2, 3))
    assert Space(Pair(repeat(2, item), 0)).size() == 9
    shared = Space(Pair(repeat(integers(0, 2), item, shared=True), 0))
    assert shared.size() == 1 + 3 + 3
    assert all(len(set(architecture.left)) <= 1 for architecture in shared.enumerate())


def test_a_repeated_count_keeps_the_choices_that_survive():
    space = Space(Pair(repeat(integers(1, 3), Tagged(0, one_of(*range(50)))), 0))
    long = space.from_json(to_json(Pair(tuple(Tagged(0, i) for i in (11, 22, 33)), 0)))
    shorter = [other for other in space.neighbours(long) if len(other.left) == 2]
    assert [tuple(item.inner for item in other.left) for other in shorter] == [(11, 22)]


def test_choosing_another_option_keeps_what_has_the_same_name():
    space = Space(Pair(one_of(Tagged(0, one_of(*range(30))), Tagged(1, one_of(*range(30)))), 0))
    before = Pair(Tagged(0, 17), 0)
    assert Pair(Tagged(1, 17), 0) in set(space.neighbours(before))


def test_sampling_is_uniform_over_decisions_or_over_architectures():
    """Chi-square, 9 degrees of freedom: 27.9 is the 0.1 % point; the seed is fixed."""
    space = Space(Pair(one_of(Tagged(0, one_of(*range(9))), "single"), 0))
    draws = 10_000

    def counts(uniform: Any) -> Counter[str]:
        rng = Random(7)
        return Counter(text(space.sample(rng, uniform)) for _ in range(draws))

    flat = counts("architectures")
    assert sum((flat[text(a)] - draws / 10) ** 2 / (draws / 10) for a in space.enumerate()) < 27.9
    by_decision = counts("decisions")
    assert abs(by_decision[text(Pair("single", 0))] / draws - 0.5) < 0.02
    assert sum((by_decision[text(Pair(Tagged(0, i), 0))] - draws / 18) ** 2 / (draws / 18) for i in range(9)) < 26.1


def test_mutation_reaches_every_neighbour_evenly():
    space = Space(Pair(one_of(1, 2, 3), one_of(4, 5)))
    rng, architecture = Random(3), Pair(1, 4)
    reached = Counter(text(space.mutate(architecture, rng)) for _ in range(4000))
    assert {key: round(n / 1000) for key, n in reached.items()} == {
        text(Pair(2, 4)): 1,
        text(Pair(3, 4)): 1,
        text(Pair(1, 5)): 2,
    }


def test_a_rule_bans_a_region():
    space = Space(Pair(integers(1, 6), integers(1, 6))).where(lambda p: p.left + p.right == 7, "the dice show seven")
    assert space.size() == 6 == len(list(space.enumerate()))
    rng = Random(0)
    for _ in range(50):
        assert sum((space.sample(rng).left, space.sample(rng, "architectures").right)) <= 12
        assert (lambda p: p.left + p.right)(space.sample(rng)) == 7
    assert Pair(3, 4) in space and Pair(3, 3) not in space
    with pytest.raises(SpaceError, match="the dice show seven"):
        space.genes(Pair(3, 3))


def test_a_rule_that_leaves_nothing_is_said_in_bounded_time():
    calls = Counter()

    def never(architecture: Any) -> bool:
        calls["asked"] += 1
        return False

    space = Space(Pair(integers(1, 6), 0), "dice").where(never, "impossible")
    for attempt in (lambda: space.sample(0), lambda: space.sample(0, "architectures")):
        calls.clear()
        with pytest.raises(SpaceError, match=r"nothing is left of the space 'dice'.*impossible") as caught:
            attempt()
        assert calls["asked"] <= 1000 and "\n" not in str(caught.value)
    assert space.size() == 0


def test_mutation_and_crossover_under_a_rule_are_bounded():
    only = Space(Pair(integers(1, 6), integers(1, 6)), "dice").where(lambda p: p == Pair(1, 1), "ones")
    with pytest.raises(SpaceError, match="ones"):
        only.mutate(Pair(1, 1), Random(0))
    assert only.crossover(Pair(1, 1), Pair(1, 1), Random(0)) == Pair(1, 1)
    assert list(only.neighbours(Pair(1, 1))) == []


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (lambda: one_of(), "one_of() needs at least one option"),
        (lambda: integers(3, 2), "integers(3, 2, 1) is empty"),
        (lambda: integers(1, 5, 0), "integers(1, 5, 0) is empty"),
        (lambda: repeat(-1, 0), "not -1"),
        (lambda: repeat(one_of(1, "2"), 0), "not '2'"),
        (lambda: repeat(True, 0), "not True"),
        (lambda: Space(Pair(one_of(1, 2, 1), 0)), "left: options 1 and 3"),
        (lambda: Space(Pair(one_of(Tagged(0, one_of(1, 2)), Tagged(0, 2)), 0)), "left: options 1 and 2"),
        (lambda: Space(Pair(0, one_of(repeat(integers(0, 2), 1), repeat(2, 1)))), "right: options 1 and 2"),
        (lambda: Space(Pair(0, repeat(one_of(1, 1), 0))), "right: repeat() lists a count twice"),
    ],
)
def test_wrong_holes_raise_with_their_path(tree, message):
    with pytest.raises(SpaceError) as caught:
        tree()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_equal_numbers_of_different_types_are_different_options():
    space = Space(Pair(one_of(1, 1.0, True), 0))
    assert space.size() == 3
    texts = [text(space.architecture((i,))) for i in range(3)]
    assert len(set(texts)) == 3
    assert [space.genes(from_json(json.loads(line))) for line in texts] == [(0,), (1,), (2,)]


def test_foreign_architectures_are_refused():
    space = Space(Pair(one_of(1, 2), 0), "small")
    for foreign in (Pair(3, 0), Pair(1, 1), Tagged(1, 0), 5, (1, 0)):
        assert foreign not in space
        with pytest.raises(SpaceError, match="isn't in the space 'small'"):
            space.genes(foreign)


def test_json_errors_carry_the_path():
    good = to_json(Pair((Tagged(1, 2),), 0))
    bad = json.loads(json.dumps(good).replace("block/test_tagged", "block/test_taged"))
    with pytest.raises(SpaceError, match=r"^left\.0: no block is named 'test_taged'; did you mean 'test_tagged'"):
        from_json(bad)
    bad = json.loads(json.dumps(good).replace('"inner"', '"iner"'))
    with pytest.raises(SpaceError, match=r"^left\.0: block/test_tagged has no field 'iner'; did you mean 'inner'"):
        from_json(bad)
    with pytest.raises(SpaceError, match=r"^right: no family of parts is named 'blok'"):
        from_json({**good, "right": {"part": "blok/x"}})
    with pytest.raises(SpaceError, match="fill every hole"):
        to_json(Pair(one_of(1, 2), 0))


def test_diff_names_the_deepest_paths():
    before = Pair((Tagged(0, 3), Tagged(1, 4)), "a")
    after = Pair((Tagged(0, 5),), "b")
    assert [str(change) for change in diff(before, after)] == [
        "left.0.inner: 3 -> 5",
        "left.1: test_tagged(tag=1, inner=4) -> None",
        "right: a -> b",
    ]
    assert outline(after) == "test_pair(left=(test_tagged(tag=0, inner=5)), right=b)"


def test_parts_are_spaces_and_filled_ones_are_values():
    tree = Pair(one_of(1, 2), 0)
    assert tree.space().size() == 2 and tree.sample(3) in tree.space()
    assert tree.where(lambda p: p.left == 2, "two").sample(0) == Pair(2, 0)
    assert hash(Pair(1, 0)) == hash(Pair(1, 0)) and Pair(1, 0) != Pair(2, 0)
    with pytest.raises(AttributeError):
        Pair(1, 0).left = 2


def test_the_same_seed_draws_the_same_and_fingerprints_tell_spaces_apart():
    trees = [Pair(integers(1, 9), integers(1, 9)), Pair(integers(1, 9), integers(1, 8))]
    left, right = (Space(tree) for tree in trees)
    assert [left.sample(i) for i in range(20)] == [Space(trees[0]).sample(i) for i in range(20)]
    assert left.fingerprint() == Space(trees[0]).fingerprint() != right.fingerprint()
