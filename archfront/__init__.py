"""Archfront: the best accuracy-latency front that a budget can buy, each point a verified network."""

from archfront import contracts

__version__ = "0.1.0"


def _probed() -> dict[str, tuple[contracts.Direction, str, str]]:
    """The metrics of probes; their modules load torch, so they are imported when a name is in question."""
    from evaluators.probes import measures

    return measures()


contracts.FURTHER.append(_probed)
