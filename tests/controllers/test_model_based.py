"""The Gaussian process' mathematics, against direct formulas and brute force."""

from itertools import product
from random import Random

import numpy as np
import pytest
from moocore import hypervolume
from scipy.optimize import check_grad
from scipy.special import ndtr

from archfront.contracts import Constraint, Evaluation, Metric, Objective, Proposal, Status, WrongUse
from controllers import CONTROLLERS
from controllers.acquisition import expected_gain
from controllers.archive import Archive
from controllers.encoding import BinaryEncoding
from controllers.model_based import last_fit
from controllers.outcome_model import Observation, OutcomeModel, Scale
from controllers.surrogate import (
    JITTER,
    VARIANCE_WEIGHT,
    GaussianProcess,
    Kernel,
    Posterior,
    fit,
    negative_log_likelihood,
)
from search_spaces.decisions import Decision
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


def component_distances(left, right):
    """The components as the encoding's documentation says, one pair at a time."""
    rank = {0: 0, 1: 2, 2: 1}
    kind, width, extra, other = (float(a != b) for a, b in zip(left, right, strict=True))
    scale = abs(rank[left[1]] - rank[right[1]]) / 2
    counts = [np.bincount([genes[0], genes[3]], minlength=3) for genes in (left, right)]
    histogram = 0.5 * np.abs(counts[0] - counts[1]).sum() / 2
    return [kind, width, extra, other, scale, histogram]


def test_component_distances_are_what_they_say():
    encoding = BinaryEncoding(DECISIONS)
    vectors = encoding.encode(GENES)
    expected = np.array([[component_distances(a, b) for b in GENES.tolist()] for a in GENES.tolist()])
    assert np.allclose(encoding.distances(vectors), expected.transpose(2, 0, 1))
    weights = np.array([0.3, 1.0, 0.2, 2.0, 0.5, 0.7])
    assert np.allclose(encoding.distance(vectors, vectors, weights), expected @ weights, atol=1e-5)


def test_an_ordered_decision_that_may_be_inactive_is_far_from_all_its_options():
    decisions = (Decision("on", (False, True), False), Decision("n", (1, 2, 3), True, 0, frozenset([1])))
    genes = np.array([(0, -1), (1, 0), (1, 1), (1, 2)])
    encoding = BinaryEncoding(decisions)
    found = encoding.distances(encoding.encode(genes))[2]  # after the two decisions' own
    assert np.allclose(found, [[0, 1, 1, 1], [1, 0, 0.5, 1], [1, 0.5, 0, 0.5], [1, 1, 0.5, 0]])
    assert np.linalg.eigvalsh(np.exp(-found)).min() > 0


def kernel() -> Kernel:
    size = BinaryEncoding(DECISIONS).components
    return Kernel(BinaryEncoding(DECISIONS), np.linspace(0.2, 1.0, size), np.linspace(0.5, 0.1, size), 0.05)


def observed(n: int):
    """Vectors and targets of `n` architectures, and the vectors of the rest."""
    order = np.random.default_rng(0).permutation(len(GENES))
    vectors = kernel().encoding.encode(GENES[order])
    targets = np.sin(GENES[order] @ np.array([1.0, 2.0, 3.0, 4.0]))
    return vectors[:n], targets[:n], vectors[n:]


def test_the_posterior_is_the_textbook_one_however_the_observations_came():
    vectors, targets, rest = observed(20)
    whole = GaussianProcess(kernel(), vectors, targets)
    grown = GaussianProcess(kernel(), vectors[:12], targets[:12])
    kept = Posterior(grown, rest)
    for vector, target in zip(vectors[12:], targets[12:], strict=True):
        grown.append(vector, float(target))
        kept.extend()
    k = kernel()
    inverse = np.linalg.inv(k(vectors, vectors) + (k.noise + JITTER) * np.eye(20))
    across = k(vectors, rest)
    mean = inverse.sum(axis=0) @ targets / inverse.sum()
    beyond = targets - mean
    variance = (beyond @ inverse @ beyond + VARIANCE_WEIGHT) / (20 + VARIANCE_WEIGHT)
    left = k.variance - np.einsum("ij,ik,kj->j", across, inverse, across) + k.noise
    for posterior in (Posterior(whole, rest), kept):
        means, variances = posterior.predict()
        assert np.allclose(means, mean + across.T @ inverse @ beyond, atol=1e-4)
        assert np.allclose(variances, variance * left, atol=1e-4)


def test_pending_candidates_lower_the_variance_and_leave_the_mean():
    vectors, targets, rest = observed(12)
    process = GaussianProcess(kernel(), vectors, targets)
    posterior = Posterior(process, rest)
    before = posterior.predict()
    process.append(rest[0])
    means, variances = posterior.predict()
    fresh = Posterior(process, rest).predict()
    assert np.allclose(means, before[0]) and np.allclose(means, fresh[0], atol=1e-4)
    assert np.allclose(variances, fresh[1], atol=1e-4)
    assert variances[0] < 0.5 * before[1][0] and np.all(variances <= before[1] + 1e-6)
    process.forget_pending()
    assert np.array_equal(posterior.predict()[1], before[1])


def test_the_likelihoods_gradient_is_its_derivative():
    vectors, targets, _ = observed(15)
    encoding = kernel().encoding
    distances = encoding.distances(vectors).reshape(encoding.components, -1)
    at = np.linspace(-2, -0.5, 2 * encoding.components + 1)
    error = check_grad(
        lambda logs: negative_log_likelihood(logs, distances, targets)[0],
        lambda logs: negative_log_likelihood(logs, distances, targets)[1],
        at,
    )
    assert error < 1e-4


def test_fitting_finds_the_decision_that_matters():
    vectors, _, _ = observed(len(GENES))
    order = np.random.default_rng(0).permutation(len(GENES))
    found = fit(kernel().encoding, vectors, np.where(GENES[order][:, 3] == 1, 1.0, -1.0))
    strength = found.decay + found.linear
    assert np.argmax(strength) == 3


def normal(mean, deviation):
    """The probabilities of independent normal losses."""
    return lambda i, values: ndtr((values[:, None] - mean[:, i]) / deviation[:, i])


def test_expected_gains_are_the_means_of_sampled_hypervolumes():
    random = np.random.default_rng(0)
    front = np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2], [0.9, 0.9]])
    reference = np.array([1.0, 1.1])
    mean, deviation = random.uniform(0, 1, (5, 2)), random.uniform(0.05, 0.5, (5, 2))
    before = hypervolume(front, ref=reference)
    sampled = [
        np.mean([hypervolume(np.vstack([front, y]), ref=reference) - before for y in random.normal(m, d, (4000, 2))])
        for m, d in zip(mean, deviation, strict=True)
    ]
    ideal = np.array([-1.0, -1.0])
    found = expected_gain(normal(mean, deviation), front, reference, ideal, Random(0)) * np.prod(reference - ideal)
    assert np.allclose(found, sampled, atol=0.02)


def test_the_expected_gain_of_one_objective_is_the_expected_improvement():
    mean, deviation = np.array([[0.0], [1.0], [2.0]]), np.array([[0.5], [1.0], [0.7]])
    scaled = (0.8 - mean) / deviation
    expected = (0.8 - mean) * ndtr(scaled) + deviation * np.exp(-0.5 * scaled**2) / np.sqrt(2 * np.pi)
    low, high = np.array([-5.0]), np.array([3.0])
    found = expected_gain(normal(mean, deviation), np.array([[0.8], [1.5]]), high, low, Random(0)) * 8
    assert np.allclose(found, expected[:, 0], atol=0.02)


def test_expected_gains_of_three_objectives_follow_the_hypervolume():
    random = np.random.default_rng(1)
    front, reference = random.uniform(0.3, 1, (6, 3)), np.ones(3)
    mean = random.uniform(0, 1, (40, 3))
    deviation = np.full((40, 3), 0.02)
    before = hypervolume(front, ref=reference)
    gains = np.array([hypervolume(np.vstack([front, m]), ref=reference) - before for m in mean])
    below, ideal = normal(mean, deviation), np.zeros(3) - 0.1
    found = np.mean([expected_gain(below, front, reference, ideal, Random(seed)) for seed in range(40)], axis=0)
    assert np.corrcoef(gains, found)[0, 1] > 0.95


def test_figures_become_scores_and_back():
    values = np.array([3.0, 1.0, 1e6, 2.0, 2.0])
    scale = Scale(values, unit=1.0, offset=0.5, far=4.0)
    scores = scale.targets(values)
    assert scores.mean() == pytest.approx(0) and scores.std() == pytest.approx(1)
    assert scale.limit == 5.0 and np.allclose(scale.inverse(scores), [3, 1, 5, 2, 2])
    assert np.all(np.diff(scale(np.array([0.6, 1.0, 2.0, 2.9, 100.0, 1e6]))) > 0)
    assert np.isfinite(Scale(np.zeros(3), 1e-9)(np.array([-1.0, 0.0, 1.0]))).all()


def test_the_reference_lies_beyond_what_random_candidates_reach_whatever_search_has_found_since():
    values = [9.0, 5.0, 7.0, 1.0, 500.0, *[1.1] * 20]
    proposals = [Proposal(None, str(i)) for i in range(len(values))]
    told = [Evaluation(p, metrics=(Metric("x", v),)) for p, v in zip(proposals, values, strict=True)]
    archive = Archive([Objective("x", "min")], ())
    vectors = kernel().encoding.encode(GENES)[: len(values)]
    known = [(Observation(e, archive.member(e)), v) for e, v in zip(told, vectors, strict=True)]
    model = OutcomeModel(kernel().encoding, 1, (), known, 5, vectors[:0])
    assert model.losses[0].unit == 6.0
    assert 500 > model.reference()[0] > 9 and model.losses[0].limit == 28.0


def test_kernels_are_fitted_ever_more_rarely():
    points = sorted({last_fit(count, 10) for count in range(10, 400)})
    gaps = np.diff(points)
    assert points[0] == 10 and gaps[0] == 5 and max(gaps) == 50 and (np.diff(gaps) >= 0).all()


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


def test_wrong_settings_are_one_line():
    with pytest.raises(WrongUse, match="start >= 2"):
        CONTROLLERS.get("model-based")(TableSpace("t", ["a"], [(1,)]), [Objective("x", "max")], start=1)
