"""The model's mathematics against direct formulas and brute force, and what steers the search."""

from itertools import product

import numpy as np
import pytest
from moocore import hypervolume
from scipy.optimize import check_grad

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from controllers import CONTROLLERS
from controllers.encoding import Encoding, Traits
from controllers.gaussian_process import ALIKE, OFF, RATES, GaussianProcess, Observed
from controllers.hypervolume_gain import gain
from controllers.model_based import last_fit
from controllers.warping import Warping
from search_spaces.decisions import Decision
from search_spaces.spaces import get_space
from search_spaces.spaces.cell201 import from_arch_str
from search_spaces.table import TableSpace

DECISIONS = (
    Decision("kind", ("a", "b", "c"), False),
    Decision("width", (16, 64, 32), True),  # ordered by value, however it is listed
    Decision("extra", ("x", "y"), False, parent=0, parent_options=frozenset([1])),
    Decision("other", ("a", "b", "c"), False),
)
GENES = np.array(
    [(k, w, e, o) for k, w, o in product(range(3), range(3), range(3)) for e in ((0, 1) if k == 1 else (-1,))]
)


def distances(left, right):
    """Every decision's distance as the encoding's documentation says, one pair at a time."""
    rank = {0: 0, 1: 2, 2: 1}
    kind, width, extra, other = (float(a != b) for a, b in zip(left, right, strict=True))
    if -1 in (left[2], right[2]):
        extra /= 2  # an inactive one is half way from any option
    return [kind, 0.5 * width + 0.25 * abs(rank[left[1]] - rank[right[1]]), extra, other]


def test_distances_are_what_they_say():
    encoding = Encoding(DECISIONS)
    vectors = encoding.encode(GENES)
    every = np.array([[distances(a, b) for b in GENES.tolist()] for a in GENES.tolist()])
    weights = np.array([0.3, 1.0, 0.2, 2.0])
    assert np.allclose(encoding.distance(vectors, vectors, weights), every @ weights)
    outer = np.random.default_rng(0).normal(size=(len(GENES), len(GENES)))
    outer += outer.T
    assert np.allclose(encoding.gradient(vectors, outer), np.einsum("ij,ijk->k", outer, every))


def test_options_are_counted_wherever_they_are_chosen():
    counts = Encoding(DECISIONS).encode(np.array([(0, 0, -1, 0), (2, 1, -1, 0), (1, 1, 0, 2)])).counts
    assert np.allclose(counts * 2**0.5, [[2, 0, 0], [1, 0, 1], [0, 1, 1]])


def observed(n):
    """A process fitted to `n` architectures, their vectors and values, and the vectors of the rest."""
    order = np.random.default_rng(0).permutation(len(GENES))
    encoding = Encoding(DECISIONS)
    vectors = encoding.encode(GENES[order])
    values = np.sin(GENES[order] @ np.array([1.0, 2.0, 3.0, 4.0]))
    process = GaussianProcess(encoding)
    process.fit(vectors[:n], values[:n])
    return process, vectors[:n], values[:n], vectors[n:]


def test_predictions_are_the_textbook_ones_however_the_observations_came():
    process, vectors, values, rest = observed(20)
    inverse = np.linalg.inv(process.kernel(vectors, vectors) + process.noise * np.eye(20))
    across = process.kernel(rest, vectors)
    assert np.allclose(process.variance(rest), np.diag(process.kernel(rest, rest)))
    for known in (Observed([process], vectors), Observed([process], vectors[:12]).joined(vectors[12:])):
        (mean,), (variance,) = known.predict(values[None], rest)
        assert np.allclose(mean, across @ inverse @ values, atol=1e-6)
        assert np.allclose(variance, process.variance(rest) - ((across @ inverse) * across).sum(axis=1), atol=1e-6)


def test_the_likelihoods_gradient_is_its_derivative():
    space = get_space("cell201")
    encoding = Encoding(space.decisions, Traits(space))
    vectors = encoding.encode(np.array([space.genes(space.sample(seed)) for seed in range(15)]))
    process, values = GaussianProcess(encoding), np.sin(np.arange(15.0))
    compared = encoding.compared(vectors, vectors)
    at = process._prior + np.linspace(-0.5, 0.5, len(process._prior))
    costs = [lambda x, i=i: process._cost(x, vectors, values, compared)[i] for i in (0, 1)]
    assert check_grad(costs[0], costs[1], at) < 1e-3


def test_the_kernel_that_is_fitted_is_the_one_that_predicts():
    space = get_space("cell201")
    encoding = Encoding(space.decisions, Traits(space))
    vectors = encoding.encode(np.array([space.genes(space.sample(seed)) for seed in range(12)]))
    process = GaussianProcess(encoding)
    rows = [[process.kernel(vectors[[i]], vectors[[j]])[0, 0] for j in range(12)] for i in range(12)]
    assert np.allclose(process.kernel(vectors, vectors), rows)
    assert np.allclose(process.variance(vectors), np.diag(rows))


def test_traits_have_one_scale_and_tell_spellings_from_networks():
    space = get_space("cell201")
    encoding = Encoding(space.decisions, Traits(space))
    genes = np.array([space.genes(space.sample(seed)) for seed in range(400)])
    traits = encoding.encode(genes).traits
    assert traits.shape == (400, encoding.traits) and abs((traits**2).sum(axis=1).mean() - 1) < 0.1
    dead = ["|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"] * 2
    dead[1] = dead[1].replace("|nor_conv_3x3~0|", "|none~0|")
    alike = encoding.encode(np.array([space.genes(from_arch_str(text)) for text in dead])).traits
    assert np.allclose(alike[0], alike[1])


def test_spaces_without_traits_are_modelled_without():
    rows = TableSpace("rows", ["a", "b"], [(a, b) for a in range(4) for b in range(4)])
    encoding = Encoding(rows.decisions, Traits(rows))
    vectors = encoding.encode(np.array([rows.genes(row) for row in rows.enumerate()]))
    process = GaussianProcess(encoding)
    process.fit(vectors, np.linspace(-1, 1, 16))
    assert encoding.traits == 0 and process._settings[ALIKE] == OFF
    assert np.allclose(process.variance(vectors), np.diag(process.kernel(vectors, vectors)))


def test_fitting_finds_the_decisions_that_act_together():
    encoding = Encoding(DECISIONS)
    process = GaussianProcess(encoding)
    process.fit(encoding.encode(GENES), np.where(GENES[:, 1] == GENES[:, 3], 1.0, -1.0))
    rates = np.exp(process._settings[RATES:])
    assert min(rates[1], rates[3]) > 3 * max(rates[0], rates[2])


@pytest.mark.parametrize("objectives", [1, 2])
def test_gains_are_differences_of_hypervolumes(objectives):
    random = np.random.default_rng(0)
    front, points = random.uniform(0.2, 1.2, (6, objectives)), random.uniform(0, 1.2, (50, objectives))
    reference = np.ones(objectives)
    before = hypervolume(front, ref=reference)
    expected = [hypervolume(np.vstack([front, point]), ref=reference) - before for point in points]
    assert np.allclose(gain(points, front, reference, random), expected)
    assert np.allclose(gain(points[:, None], front[:0], reference, random)[:, 0], np.prod(1 - np.minimum(points, 1), 1))


def test_gains_of_three_objectives_follow_the_hypervolume():
    random = np.random.default_rng(1)
    front, points, reference = random.uniform(0.3, 1, (6, 3)), random.uniform(0, 1, (60, 3)), np.ones(3)
    before = hypervolume(front, ref=reference)
    expected = [hypervolume(np.vstack([front, point]), ref=reference) - before for point in points]
    assert np.corrcoef(gain(points, front, reference, random), expected)[0, 1] > 0.95


@pytest.mark.parametrize("draw", ["lognormal", "exponential", "normal"])
def test_warped_values_are_near_normal_and_come_back(draw):
    values = getattr(np.random.default_rng(0), draw)(size=300)
    warping = Warping(values)
    known = values[values <= warping.fence]
    warped = warping.forward(known)
    assert np.allclose(warping.inverse(warped), known)
    assert (np.diff(warping.forward(np.sort(known))) > 0).all()
    assert abs(np.mean((warped - warped.mean()) ** 3)) < 0.5


def test_outliers_on_the_bad_side_are_alike():
    warping = Warping(np.array([-3.0, 1.0, 1e6, 2.0, 2.0, 1.5]))
    assert warping.fence < 100 and warping.forward(np.array([1e3]))[0] == warping.forward(np.array([1e6]))[0]
    assert np.isfinite(Warping(np.zeros(3)).forward(np.array([-1.0, 0.0, 1.0]))).all()


def test_models_are_fitted_ever_more_rarely():
    points = sorted({last_fit(count, 10) for count in range(10, 1000)})
    gaps = np.diff(points)
    assert points[0] == 10 and gaps[0] == 5 and gaps[-1] > 50 and (np.diff(gaps) >= 0).all()


def test_constraints_and_failures_steer_the_search():
    space = TableSpace("grid", ["a", "b"], [(a, b) for a in range(20) for b in range(20)])
    search = CONTROLLERS.get("model-based")(space, [Objective("accuracy", "max")], [Constraint.parse("cost<=12")], 0)

    def result(proposal: Proposal) -> Evaluation:
        a, b = proposal.architecture.values
        if b > 15:
            return Evaluation(proposal, Status.FAILED, "does not run")
        status = Status.OK if a <= 12 else Status.INFEASIBLE
        return Evaluation(proposal, status, "", (Metric("accuracy", float(a + b)), Metric("cost", float(a))))

    for _ in range(40):
        search.tell([result(proposal) for proposal in search.ask(1)])
    # The best of 400 that neither fails nor breaks the bound; beyond it accuracy still rises both ways.
    assert search.archive.front[0].losses == (-27.0,)


def test_a_batch_does_not_crowd_together():
    space = TableSpace("grid", ["a", "b"], [(a, b) for a in range(20) for b in range(20)])
    search = CONTROLLERS.get("model-based")(space, [Objective("x", "min"), Objective("y", "min")], (), 0)

    def result(proposal: Proposal) -> Evaluation:
        a, b = (value / 10 for value in proposal.architecture.values)
        return Evaluation(proposal, metrics=(Metric("x", a + (b - 1) ** 2), Metric("y", 2 - a + (b - 1) ** 2)))

    for _ in range(20):
        search.tell([result(proposal) for proposal in search.ask(1)])
    batch = np.array([proposal.architecture.values for proposal in search.ask(6)])
    assert len(set(batch[:, 0].tolist())) >= 4, "they lie along the front"


def test_wrong_settings_are_one_line():
    with pytest.raises(WrongUse, match="start >= 2"):
        CONTROLLERS.get("model-based")(TableSpace("t", ["a"], [(1,)]), [Objective("x", "max")], start=1)
