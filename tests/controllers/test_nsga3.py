"""What is particular to NSGA-III: reference directions, normalisation, niches."""

from random import Random

import numpy as np
import pytest

from archfront.contracts import Constraint, WrongUse, judged
from controllers.archive import Member
from controllers.base import create
from controllers.nsga3 import associated, das_dennis, fitting, niched, normalised
from controllers.testing import OBJECTIVES, WIDE, measured


@pytest.mark.parametrize(("objectives", "divisions", "count"), [(2, 19, 20), (3, 4, 15), (3, 12, 91), (5, 6, 210)])
def test_directions_are_as_many_as_in_the_paper_and_lie_on_the_simplex(objectives, divisions, count):
    found = das_dennis(objectives, divisions)
    assert len(np.unique(found, axis=0)) == len(found) == count
    assert np.allclose(found.sum(axis=1), 1) and (found >= 0).all()
    assert np.allclose(found * divisions, np.round(found * divisions))


def test_directions_fit_the_population_and_get_an_inner_layer_where_all_lie_on_the_border():
    assert fitting(1, 20).tolist() == [[1.0]]
    assert len(fitting(2, 20)) == 20 and len(fitting(3, 20)) == 15
    eight = fitting(8, 20)
    assert len(eight) == 16 and (eight[:8].max(axis=1) == 1).all()
    assert np.allclose(eight.sum(axis=1), 1) and (eight[8:] > 0).all()


def test_the_plane_through_the_extremes_becomes_the_unit_simplex():
    points = np.array([[10.0, 2.0, 3.0], [0.0, 6.0, 3.0], [0.0, 2.0, 8.0], [5.0, 3.0, 4.0]])
    assert np.allclose(normalised(points), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0.2]])
    flat = normalised(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert flat.tolist() == [[0, 0], [1, 0]], "no division by the width of an objective that has none"


def test_points_belong_to_the_nearest_line():
    nearest, distance = associated(np.array([[2.0, 0.1], [0.3, 0.4]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert nearest.tolist() == [0, 1]
    assert distance == pytest.approx([0.1, 0.1 / np.sqrt(2)])


def test_places_go_to_the_emptiest_niches_and_there_to_the_nearest():
    chosen = [Member("end", (0.0, 1.0), 0.0)]
    front = [Member(name, losses, 0.0) for name, losses in (("near end", (0.01, 0.9)), ("far", (1.0, 0.0)))]
    front += [Member("middle", (0.5, 0.5), 0.0), Member("beside", (0.6, 0.45), 0.0)]
    for seed in range(10):
        found = niched(chosen, front, 2, das_dennis(2, 2), Random(seed))
        assert {member.digest for member in found} == {"far", "middle"}
    every = niched(chosen, front, 4, das_dennis(2, 2), Random(0))
    assert sorted(member.digest for member in every) == sorted(member.digest for member in front)


def test_three_objectives_under_a_constraint_end_with_a_feasible_population():
    search = create("nsga3", WIDE, OBJECTIVES[:3], [Constraint("heat", 3.0)], settings={"population": 12})
    for _ in range(150):
        search.tell([judged(measured(proposal), search.constraints) for proposal in search.ask(1)])
    assert len(search._population) == 12
    assert all(member.excess == 0 for member in search._population)


def test_wrong_settings_are_refused():
    with pytest.raises(WrongUse, match="divisions >= 1"):
        create("nsga3", WIDE, OBJECTIVES[:2], settings={"divisions": -1})
    with pytest.raises(WrongUse, match="population >= 2"):
        create("nsga3", WIDE, OBJECTIVES[:2], settings={"population": 1})
