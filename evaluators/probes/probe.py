"""The contract of a probe, and the registry of probes."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from archfront.contracts import Direction, Metric, Provenance, WrongUse
from evaluators.datasets import DataSet
from search_spaces.errors import SpaceError, near
from search_spaces.registry import Registry
from search_spaces.specs import parse_spec, split_specs

Measures = Mapping[str, tuple[Direction, str, str]]


class Probe(ABC):
    """Something that is measured of a trained network beside the measures of its task.

    An implementation is constructed from keyword settings that are plain JSON values, and raises `WrongUse` for wrong
    ones. `measures` are its metrics: direction, unit, meaning on the validation split, which selection uses; each has
    a twin on the test split, called `test_…`. All randomness comes from the seed that `probed` is given.
    """

    name: ClassVar[str] = ""
    measures: ClassVar[Measures] = {}

    def refuses(self, data: DataSet) -> str:
        """Why networks for this data set can't be probed, in a few words; empty where they can."""
        return ""

    @abstractmethod
    def probed(self, network: nn.Module, data: DataSet, device: str, seed: int) -> Mapping[str, float]:
        """All measures, `test_…` ones included, of a trained network on `device`, which is left as it was."""


PROBES: Registry[type[Probe]] = Registry("probe", "evaluators.probes")
"""All probes by name; `path/to/file.py:Class` and entry points of `archfront.probes` count, too."""


def measures() -> dict[str, tuple[Direction, str, str]]:
    """The metrics of all registered probes: direction, unit, meaning."""
    return {name: told for entry in PROBES for name, told in metrics_of(entry.value).items()}


def metrics_of(probe: Probe | type[Probe]) -> dict[str, tuple[Direction, str, str]]:
    """The metrics of one probe, those on the test split included."""
    tested = {
        f"test_{name}": (direction, unit, f"{text}; on the untouched test split")
        for name, (direction, unit, text) in probe.measures.items()
    }
    return {**probe.measures, **tested}


def naming(metrics: Iterable[str]) -> list[str]:
    """The registered probes that yield any of these metrics."""
    wanted = set(metrics)
    return [entry.name for entry in PROBES if wanted & metrics_of(entry.value).keys()] if wanted else []


def chosen(specs: str | Sequence[str]) -> tuple[Probe, ...]:
    """The probes that are named: `calibration`, `corruptions(severity=5)`, `path/to/file.py:Class`.

    A text names several with commas between. Raises `WrongUse`, one line, for what is no probe or no setting of it.
    """
    listed: Any = specs
    if not isinstance(specs, str) and not (isinstance(listed, list | tuple) and all(isinstance(s, str) for s in specs)):
        raise WrongUse(f"probes={specs!r} must be names of probes; known: {', '.join(PROBES.names())}")
    made = [_made(spec) for spec in (split_specs(specs) if isinstance(specs, str) else specs)]
    found: dict[str, str] = {}
    for probe in made:
        for metric in probe.measures:
            if metric in found:
                raise WrongUse(f"the probes '{found[metric]}' and '{probe.name}' both yield {metric}; leave one out")
            found[metric] = probe.name
    return tuple(made)


def _made(spec: str) -> Probe:
    try:
        name, settings = parse_spec(spec)
        cls: Any = PROBES.get(name)
    except SpaceError as error:
        raise WrongUse(str(error)) from None
    if not (isinstance(cls, type) and issubclass(cls, Probe)):
        raise WrongUse(f"'{name}' is no probe; give a class derived from evaluators.probes.Probe")
    known = inspect.signature(cls).parameters
    for key in settings:
        if key not in known:
            raise WrongUse(f"the probe '{name}' has no setting '{key}'; {near(key, known)}")
    return cls(**settings)


def check(probes: Iterable[Probe], data: DataSet) -> None:
    """Raise `WrongUse`, one line, where one of the probes can't probe networks for this data set."""
    for probe in probes:
        reason = probe.refuses(data)
        if reason:
            raise WrongUse(f"the probe '{probe.name}' can't be used with {data.name}: {reason}")


def probed(
    probes: Iterable[Probe], network: nn.Module, data: DataSet, device: str, seed: int, provenance: Provenance
) -> tuple[Metric, ...]:
    """The metrics of all the probes, got as the network's own measures were (`provenance`)."""
    found: list[Metric] = []
    for probe in probes:
        values, told = probe.probed(network, data, device, seed), metrics_of(probe)
        found += [Metric(name, values[name], told[name][1], provenance=provenance) for name in told]
    return tuple(found)
