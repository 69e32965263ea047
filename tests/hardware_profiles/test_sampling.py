"""The protocol on synthetic times: the right rounds count, and sampling ends when it should."""

import time

import numpy
import pytest

from hardware_profiles import sampling

LEVEL = 40_000.0


def host(rng: numpy.random.Generator, slow: numpy.ndarray, network: float, factor: float) -> tuple:
    """Rounds of a network and the reference times around them, on a host that is slow in the rounds `slow`."""
    count = len(slow)
    noise = 1 + 0.01 * rng.random((count, 12))
    rounds = network * numpy.where(slow, factor, 1.0)[:, None] * noise
    before = numpy.concatenate([[slow[0]], slow])
    references = LEVEL * numpy.where(before, 1.7, 1.0) * (1 + 0.01 * rng.random(count + 1))
    return rounds, references


def test_headline_is_the_tenth_percentile_of_a_quiet_host() -> None:
    rng = numpy.random.default_rng(0)
    rounds, references = host(rng, numpy.zeros(100, bool), 250_000.0, 1.7)
    found = sampling.estimate(rounds, references, LEVEL)
    assert not found.corrected
    assert found.quiet_share == 1.0
    assert found.headline == numpy.percentile(rounds, 10)
    assert found.low <= found.headline <= found.high
    assert len(found.samples) == rounds.size


def test_slow_rounds_do_not_count() -> None:
    rng = numpy.random.default_rng(1)
    slow = rng.random(200) < 0.5
    rounds, references = host(rng, slow, 250_000.0, 1.75)
    found = sampling.estimate(rounds, references, LEVEL)
    assert not found.corrected
    assert 0.1 < found.quiet_share < 0.4
    assert found.headline == pytest.approx(250_250, rel=0.002)
    assert numpy.percentile(rounds, 60) > 1.5 * found.headline


def test_interrupted_rounds_and_those_after_them_do_not_count() -> None:
    rng = numpy.random.default_rng(2)
    rounds, references = host(rng, numpy.zeros(60, bool), 250_000.0, 1.0)
    rounds[[10, 30, 31], 4] *= -0.5
    found = sampling.estimate(rounds, references, LEVEL)
    counted = numpy.delete(rounds, [10, 11, 30, 31, 32], axis=0)
    assert found.headline == pytest.approx(numpy.percentile(counted, 10))
    assert len(found.samples) == counted.size


def test_without_quiet_the_reference_corrects_and_the_interval_says_so() -> None:
    rng = numpy.random.default_rng(3)
    rounds, references = host(rng, numpy.ones(100, bool), 250_000.0, 1.6)
    found = sampling.estimate(rounds, references, LEVEL)
    assert found.corrected
    assert found.headline == pytest.approx(250_000, rel=0.1)
    assert found.low < 250_000 < found.high
    assert found.width > 0.6


def test_interval_covers_the_truth_most_of_the_time() -> None:
    rng = numpy.random.default_rng(4)
    truth = numpy.percentile(250_000 * (1 + 0.05 * rng.random(1_000_000)), 10)
    hits = 0
    for _ in range(30):
        rounds = 250_000 * (1 + 0.05 * rng.random((60, 10)))
        found = sampling.estimate(rounds, numpy.full(61, LEVEL), LEVEL)
        hits += found.low <= truth <= found.high
    assert 24 <= hits <= 30


def test_quiet_level_is_found_kept_and_lowered() -> None:
    mixed = numpy.array([1.7] * 80 + [1.0] * 20) * LEVEL
    assert sampling.quiet_level(mixed, None) == pytest.approx(LEVEL)
    assert sampling.quiet_level(numpy.full(100, 1.7 * LEVEL), LEVEL) == LEVEL
    assert sampling.quiet_level(numpy.full(100, 0.8 * LEVEL), LEVEL) == pytest.approx(0.8 * LEVEL)
    assert LEVEL < sampling.quiet_level(numpy.full(100, 1.03 * LEVEL), LEVEL) < 1.03 * LEVEL


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_stops_at_the_cap_when_the_figure_stays_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_switches", lambda: 0)  # whatever else runs on this machine
    calls = iter(range(10**9))
    plan = sampling.Plan(cap_s=0.5, patience_s=60.0, target=0.0, least_s=0.1)
    start = time.perf_counter()
    found, stopped, rounds = sampling.sample(
        lambda: spin(0.0005 + 0.0001 * (next(calls) % 7)), lambda: spin(0.0001), plan, 1e9, lambda: True
    )
    assert stopped == "cap"
    assert not found.corrected
    assert rounds > 10
    assert time.perf_counter() - start < 30


def test_stops_after_patience_when_the_host_is_never_quiet() -> None:
    plan = sampling.Plan(cap_s=0.2, patience_s=0.6, least_s=0.1)
    found, stopped, _ = sampling.sample(lambda: spin(0.0005), lambda: spin(0.0001), plan, 50_000.0, lambda: True)
    assert stopped == "never quiet"
    assert found.corrected


def test_stops_when_nobody_waits() -> None:
    with pytest.raises(ConnectionAbortedError):
        sampling.sample(lambda: None, lambda: None, sampling.Plan(), 1e9, lambda: False)
