"""One network's measurement, slice by slice: the host is its own in slices, and everybody's between them."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from archfront.contracts import WrongUse
from hardware_profiles import quiet
from hardware_profiles.device_profile import Profile
from hardware_profiles.estimating import Estimate, Slice, estimate
from hardware_profiles.reference import level_of, reference_file, remember_level
from hardware_profiles.runtimes.base import Unsupported
from hardware_profiles.timer import ALLOWANCE_S, Timer, TimingFailed, TimingTimedOut
from search_spaces.errors import near

AGREEMENT = 1e-4
"""How far the converted network's outputs may be from PyTorch's, relative to their range."""
SLICE_S = 0.3
LONGEST_SLICE_S = 0.6
"""A network of which the usual slice would hold few runs is given longer ones."""
RUNS = 20
SEARCH_S = 3.0
"""How long others wait for one measurement of a search, at most, whatever the device's profile says."""
LEAST_PAUSE_S = 0.05
"""Who waits for the host must get in between two slices."""
SHORTEST_S, MARGIN_S = 0.1, 0.15
"""What is left of the time, but for a margin, is no slice any more when it is shorter."""


@dataclass(frozen=True)
class Effort:
    """How long a network may be measured.

    `exclusive_s`: how long, in all slices together, others may wait at most. `quiet_s`: when the host was quiet, this
    much is enough, however wide the interval; `target` is the relative width of the bootstrap that is enough before,
    once there are `least` slices: one doesn't show how far it is from the next. `pauses_s`: the pauses between all
    slices together. `wall_s`: no slice is begun later than this after the first.
    """

    exclusive_s: float
    quiet_s: float
    pauses_s: float
    wall_s: float
    target: float
    least: int


def _of_search(profile: Profile) -> Effort:
    return Effort(min(SEARCH_S, profile.patience_s), profile.cap_s, min(8.0, sum(profile.pauses_s)), 12.0, 0.02, 3)


def _of_finals(profile: Profile) -> Effort:
    exclusive_s, pauses_s = min(6.0, 2 * profile.patience_s), min(16.0, sum(profile.pauses_s))
    return Effort(exclusive_s, min(exclusive_s, 2 * profile.cap_s), pauses_s, 30.0, 0.01, 10)


def _brief(profile: Profile) -> Effort:
    return Effort(min(1.2, profile.patience_s), min(0.6, profile.cap_s), min(0.6, sum(profile.pauses_s)), 2.5, 0.05, 2)


EFFORTS: dict[str, Callable[[Profile], Effort]] = {"search": _of_search, "final": _of_finals, "brief": _brief}
"""The efforts there are: that of a search, in which trainings wait for slices; the longer one of its finals; and one
where trainings are so short that all would wait for the device."""


def effort_of(name: str, profile: Profile) -> Effort:
    """The effort of that name on this device; raises `WrongUse` for any other name."""
    if name not in EFFORTS:
        raise WrongUse(f"a latency is measured with no effort '{name}'; {near(name, EFFORTS)}")
    return EFFORTS[name](profile)


class Session:
    """A network that is loaded, checked and warm in the timing process, and the slices that were taken of it.

    Loading waits for nobody, and nobody waits for it. `exclusive_s` is how long the host was held in all.
    """

    def __init__(
        self, path: Path, profile: Profile, timer: Timer, effort: Effort, timeout_s: float | None, check: Path | None
    ) -> None:
        self.profile, self.timer, self.effort = profile, timer, effort
        self.reference = reference_file(timer.runtime)
        self.slices: list[Slice] = []
        self.exclusive_s = self._waited_s = 0.0
        self._level = level_of(self.reference, profile)
        request = {
            "do": "load",
            "path": str(path),
            "reference": str(self.reference),
            "check": str(check) if check else None,
            "threads": profile.threads,
            "options": dict(profile.options),
        }
        self.loaded: dict[str, Any] = timer.ask(request, min(timeout_s or ALLOWANCE_S, ALLOWANCE_S))
        difference = self.loaded["difference"]
        if difference is not None and not difference <= AGREEMENT:
            raise Unsupported(
                f"{timer.runtime.name}: conversion changed the outputs by {difference:.1e} of their range"
            )

    @property
    def left_s(self) -> float:
        """How much longer the host may be held."""
        return self.effort.exclusive_s - self.exclusive_s

    def take(self) -> bool:
        """Take one slice, once nobody trains or measures; False where there is no time left for any.

        A process that doesn't answer within what is left is killed: `TimingTimedOut`, where no slice was taken before
        (and `SEARCH_S` have passed, however little the device's profile allows).
        """
        run_s = self.loaded["run_ns"] / 1e9
        seconds = min(max(SLICE_S, RUNS * run_s), LONGEST_SLICE_S, self.left_s - MARGIN_S - 2 * run_s)
        if self.slices and seconds < SHORTEST_S:
            return False
        limit = self.left_s if self.slices else max(self.left_s, SEARCH_S)
        asked = time.monotonic()
        with quiet.measurement():
            start = time.monotonic()
            self._waited_s = start - asked
            try:
                reply = self.timer.ask({"do": "slice", "seconds": seconds}, limit)
            except TimingTimedOut:
                if not self.slices:
                    raise
                return False
            finally:
                self.exclusive_s += time.monotonic() - start
        self.slices.append(Slice(numpy.array(reply["rounds"]), numpy.array(reply["references"]), reply["others"]))
        return True

    def estimate(self) -> Estimate:
        """What all slices up to now come to; the reference's quiet time is kept for the next measurement."""
        found = estimate(self.slices, self._level)
        remember_level(self.reference, self.profile, found.level)
        return found

    def run(self) -> tuple[Estimate, str]:
        """Take slices until they are enough, or the time is up; the estimate, and why it stopped.

        Pauses become longer from one to the next: what lasts, on a host that isn't quiet, must be waited for.
        """
        most = max(self.effort.least, int(self.effort.exclusive_s / SLICE_S))
        shortest = 2 * self.effort.pauses_s / (most * (most - 1))
        before = time.monotonic()
        end, due = before + self.effort.wall_s, self.effort.least
        while before < end and self.take():
            # The first measurement on a host has the reference's quiet time to find, too, and takes all the time.
            if self._level is not None and len(self.slices) >= due:
                found = self.estimate()
                stopped = self._enough(found)
                if stopped:
                    return found, stopped
                due += max(1, due // 4)
            # While this one waited for its turn, others went on: that was a pause, too.
            time.sleep(max(LEAST_PAUSE_S, shortest * len(self.slices) - self._waited_s))
            before = time.monotonic()
        found = self.estimate()
        return found, "never quiet" if found.corrected else "cap"

    def _enough(self, found: Estimate) -> str:
        if found.corrected:
            return ""
        if found.spread <= self.effort.target:
            return "converged"
        return "cap" if self.exclusive_s >= self.effort.quiet_s else ""

    def close(self) -> None:
        """Let go of the network; the timing process stays for the next one."""
        if self.timer.pid is not None:
            # A process that has died meanwhile holds no network, and what was measured stands.
            with suppress(TimingFailed, TimingTimedOut):
                self.timer.ask({"do": "unload"}, ALLOWANCE_S)
