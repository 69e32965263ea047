"""The protocol on synthetic times: the right rounds count, and intervals hold what is true."""

import numpy
import pytest

from hardware_profiles import estimating
from hardware_profiles.estimating import Slice

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
    found = estimating.estimate([Slice(rounds, references)], LEVEL)
    assert not found.corrected
    assert found.quiet_share == 1.0
    assert found.headline == numpy.percentile(rounds, 10)
    assert found.low <= found.headline <= found.high
    assert len(found.samples) == rounds.size


def test_slow_rounds_do_not_count() -> None:
    rng = numpy.random.default_rng(1)
    slow = rng.random(200) < 0.5
    rounds, references = host(rng, slow, 250_000.0, 1.75)
    found = estimating.estimate([Slice(rounds, references)], LEVEL)
    assert not found.corrected
    assert 0.1 < found.quiet_share < 0.4
    assert found.headline == pytest.approx(250_250, rel=0.002)
    assert numpy.percentile(rounds, 60) > 1.5 * found.headline


def test_interrupted_rounds_and_those_after_them_do_not_count() -> None:
    rng = numpy.random.default_rng(2)
    rounds, references = host(rng, numpy.zeros(60, bool), 250_000.0, 1.0)
    rounds[[10, 30, 31], 4] *= -0.5
    found = estimating.estimate([Slice(rounds, references)], LEVEL)
    counted = numpy.delete(rounds, [10, 11, 30, 31, 32], axis=0)
    assert found.headline == pytest.approx(numpy.percentile(counted, 10))
    assert len(found.samples) == counted.size


def test_interval_covers_the_truth_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "FLOOR", 0.0)
    monkeypatch.setattr(estimating, "LOUD_FLOOR", 0.0)
    rng = numpy.random.default_rng(4)
    truth = numpy.percentile(250_000 * (1 + 0.05 * rng.random(1_000_000)), 10)
    hits = 0
    for _ in range(30):
        rounds = 250_000 * (1 + 0.05 * rng.random((60, 10)))
        found = estimating.estimate([Slice(rounds, numpy.full(61, LEVEL))], LEVEL)
        hits += found.low <= truth <= found.high
    assert 24 <= hits <= 30


def test_slices_are_pooled_as_if_their_rounds_had_come_in_one_go() -> None:
    rng = numpy.random.default_rng(5)
    slices = [Slice(*host(rng, rng.random(40) < share, 250_000.0, 1.7)) for share in (0.0, 0.9, 0.4)]
    quiet = [(s.references[:-1] < 1.06 * LEVEL) & (s.references[1:] < 1.06 * LEVEL) for s in slices]
    counted = numpy.concatenate([s.rounds[calm] for s, calm in zip(slices, quiet, strict=True)])
    found = estimating.estimate(slices, LEVEL)
    assert not found.corrected
    assert found.headline == numpy.percentile(counted, 10)
    assert sorted(found.samples) == sorted(counted.ravel())
    assert found.quiet_share == pytest.approx(len(counted) / 120)
    # Rounds of one slice, cut in two where the reference was timed: the figure can't tell.
    whole = slices[0]
    halves = [Slice(whole.rounds[:25], whole.references[:26]), Slice(whole.rounds[25:], whole.references[25:])]
    assert estimating.estimate(halves, LEVEL).headline == estimating.estimate([whole], LEVEL).headline


def test_slices_that_differ_widen_the_interval() -> None:
    rng = numpy.random.default_rng(6)
    alike = [Slice(*host(rng, numpy.zeros(40, bool), 250_000.0, 1.0)) for _ in range(6)]
    apart = [Slice(s.rounds * (1 + 0.03 * place), s.references) for place, s in enumerate(alike)]
    assert estimating.estimate(alike, LEVEL).spread < 0.005
    assert estimating.estimate(apart, LEVEL).spread > 0.03


def test_other_threads_that_want_to_run_widen_the_interval() -> None:
    rng = numpy.random.default_rng(9)
    alone = [Slice(*host(rng, numpy.zeros(40, bool), 250_000.0, 1.0)) for _ in range(3)]
    widths = []
    for others in (0.0, 10.0, 500.0):
        found = estimating.estimate([Slice(s.rounds, s.references, others) for s in alone], LEVEL)
        widths.append((found.high - found.low) / found.headline / 2)
    assert widths == pytest.approx([0.02, 0.12, 0.25], abs=0.002)


def power_law(rng: numpy.random.Generator, power: float, slowdowns: numpy.ndarray) -> Slice:
    """Rounds of a network that takes 250 µs when quiet, and the reference's slowdown to a power otherwise."""
    noise = 1 + 0.04 * rng.random((len(slowdowns), 8))
    references = numpy.repeat(slowdowns, 2)[: len(slowdowns) + 1] * LEVEL
    around = (references[:-1] + references[1:]) / 2 / LEVEL
    return Slice(250_000.0 * (around**power)[:, None] * noise, references * (1 + 0.01 * rng.random(len(references))))


@pytest.mark.parametrize("seen", ["one speed", "two speeds", "near quiet"])
def test_intervals_without_quiet_hold_the_truth_whatever_the_network_feels(
    seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "DRAWS", 60)
    rng = numpy.random.default_rng(3)
    truth = numpy.percentile(250_000 * (1 + 0.04 * rng.random(100_000)), 10)
    hits, widths, errors, count = 0, [], [], 40
    for _ in range(count):
        power = float(numpy.clip(rng.normal(estimating.POWER, estimating.POWER_SPREAD), 0, 1.3))
        slices = []
        for _ in range(5):
            slow = {
                "one speed": numpy.full(50, 1.7),
                "two speeds": rng.choice([1.15, 1.8], 50),
                "near quiet": numpy.full(50, 1.09),
            }[seen]
            slices.append(power_law(rng, power, slow))
        found = estimating.estimate(slices, LEVEL)
        assert found.corrected
        hits += found.low <= truth <= found.high
        widths.append((found.high - found.low) / found.headline)
        errors.append(abs(found.headline / truth - 1))
    assert hits >= 0.88 * count
    assert max(widths) < {"one speed": 0.9, "two speeds": 0.6, "near quiet": 0.2}[seen]
    assert numpy.median(errors) < {"one speed": 0.2, "two speeds": 0.1, "near quiet": 0.05}[seen]


def test_a_host_of_two_speeds_is_covered_by_what_was_quiet_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "DRAWS", 60)
    rng = numpy.random.default_rng(7)
    truth = numpy.percentile(250_000 * (1 + 0.01 * rng.random(100_000)), 10)
    hits = 0
    for _ in range(40):
        # Each slice meets the fast speed or the slow one for long: some measurements see little of the fast one.
        slices = [Slice(*host(rng, rng.random(30) < rng.choice([0.1, 0.95]), 250_000.0, 1.5)) for _ in range(6)]
        found = estimating.estimate(slices, LEVEL)
        hits += found.low <= truth <= found.high
    assert hits >= 37


def test_runs_that_were_all_interrupted_still_give_a_figure() -> None:
    rng = numpy.random.default_rng(8)
    rounds, references = host(rng, numpy.zeros(30, bool), 250_000.0, 1.0)
    found = estimating.estimate([Slice(-rounds, references)], LEVEL)
    assert found.corrected
    assert found.headline == pytest.approx(250_250, rel=0.02)


def test_quiet_level_is_found_kept_and_lowered() -> None:
    mixed = numpy.array([1.7] * 80 + [1.0] * 20) * LEVEL
    assert estimating.quiet_level(mixed, None) == pytest.approx(LEVEL)
    assert estimating.quiet_level(numpy.full(100, 1.7 * LEVEL), LEVEL) == LEVEL
    assert estimating.quiet_level(numpy.full(100, 0.8 * LEVEL), LEVEL) == pytest.approx(0.8 * LEVEL)
    assert LEVEL < estimating.quiet_level(numpy.full(100, 1.03 * LEVEL), LEVEL) < 1.03 * LEVEL
