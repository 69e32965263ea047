"""Latency tables: a reference network of a space timed on a device, and each option of each decision put into it.

What an option adds is its network's latency less the reference's, so a table's sums are predictions; how far off they
are on architectures drawn at random is measured along, and kept. FBNet and ProxylessNAS here take such a table as
their setting `latency_table`.
"""

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from archfront.contracts import WrongUse
from hardware_profiles.device_profile import Profile, profile
from hardware_profiles.measuring import Measurement, Timer, measure
from hardware_profiles.runtimes.base import Unsupported
from search_spaces.errors import SpaceError
from search_spaces.space import Space
from search_spaces.weight_sharing.latency_table import LatencyTable

Listener = Callable[[int, int], None]
"""Told how many networks were timed, and how many there are."""


def measure_table(
    space: Space,
    inputs: tuple[int, int, int],
    outputs: int,
    device: str | Profile = "host",
    checks: int = 5,
    listener: Listener | None = None,
    timeout_s: float | None = None,
) -> LatencyTable:
    """Time the reference network of `space`, and one for each other option, on a device, one by one.

    `inputs` are (channels, height, width). That takes a few seconds for each option of the space. `checks` networks
    drawn at random are timed besides, and `about["check"]` gives the median and the largest error of their sums,
    relative to what was measured. Raises `WrongUse` where a network can't be built, or doesn't run on the device.
    """
    from search_spaces.building import build
    from search_spaces.deployment import deployed

    used = device if isinstance(device, Profile) else profile(device)
    measurements: list[Measurement] = []
    with Timer(used) as timer:

        def latency_ms(architecture: Any) -> float:
            try:
                network = deployed(build(architecture, inputs, outputs, seed=0))
                measurements.append(measure(network, inputs, used, timer, timeout_s))
            except (SpaceError, Unsupported) as error:
                raise WrongUse(f"no latency table of '{space.name}' on '{used.name}': {error}") from None
            if listener:
                listener(len(measurements), networks_of(space) + checks)
            return measurements[-1].latency_ms

        table = additive_table(space, latency_ms)
        error = checked(table, space, latency_ms, checks)
    about = {
        "provenance": asdict(measurements[0].provenance),
        "measured": len(measurements),
        # Timed on a host that never was quiet, and worked out from the reference network instead.
        "corrected": sum(found.corrected for found in measurements),
        "outputs": outputs,
        "check": error,
    }
    return LatencyTable(table.fingerprint, table.base_ms, table.added, json.loads(json.dumps(about)))


def save_table(table: LatencyTable, space: Space, path: str | Path) -> None:
    """Write the table as the JSON file that `latency_table` settings take."""
    Path(path).write_text(json.dumps(table.to_json(space), indent=1) + "\n")


def networks_of(space: Space) -> int:
    """How many networks `additive_table` asks the latency of, at most."""
    return 1 + sum(len(decision.options) for decision in space.decisions)


def additive_table(space: Space, latency_ms: Callable[[Any], float]) -> LatencyTable:
    """The table of a device of which `latency_ms(architecture)` gives the latency, measured or predicted.

    The reference network takes the first of kinds, the middle of sizes and the greatest depths. An option adds its
    network's latency less that of the same network with the reference's option; where a decision is void in the
    reference network, both are of one that takes what it needs to be in force.
    """
    known: dict[str, float] = {}

    def at(changes: Mapping[int, int]) -> float:
        architecture = space.drawn(lambda index, _: changes.get(index, reference[index]))
        digest = space.digest(architecture)
        if digest not in known:
            known[digest] = latency_ms(architecture)
        return known[digest]

    reference = _reference(space)
    added = []
    for index, decision in enumerate(space.decisions):
        needed = _needed(space, index, reference)
        without = at(needed)
        options = range(len(decision.options))
        added.append(tuple(0.0 if o == reference[index] else at({**needed, index: o}) - without for o in options))
    return LatencyTable(space.fingerprint(), at({}), tuple(added), {})


def _reference(space: Space) -> list[int]:
    above = {decision.parent for decision in space.decisions}
    found = []
    for index, decision in enumerate(space.decisions):
        order = sorted(range(len(decision.options)), key=lambda o: decision.options[o] if decision.ordered else o)
        found.append(order[0] if not decision.ordered else order[-1] if index in above else order[len(order) // 2])
    return found


def _needed(space: Space, index: int, reference: list[int]) -> dict[int, int]:
    """The options of the decisions above that must differ from the reference's for a decision to be in force."""
    needed: dict[int, int] = {}
    decision = space.decisions[index]
    while decision.parent is not None:
        if reference[decision.parent] not in decision.parent_options:
            needed[decision.parent] = min(decision.parent_options)
        decision = space.decisions[decision.parent]
    return needed


def checked(table: LatencyTable, space: Space, latency_ms: Callable[[Any], float], count: int) -> dict[str, Any]:
    """The errors of the table's sums for networks drawn at random, relative to their latency."""
    errors = []
    for number in range(count):
        architecture = space.sample(Random(f"latency table/{number}"))
        actual = latency_ms(architecture)
        errors.append(abs(table.predicted(space.genes(architecture)) - actual) / actual)
    if not errors:
        return {"networks": 0}
    return {"networks": count, "median_error": statistics.median(errors), "largest_error": max(errors)}
