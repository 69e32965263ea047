"""Probes: further metrics of a trained network, one per file, usable as objectives and constraints."""

from evaluators.probes.probe import PROBES, Probe, check, chosen, measures, metrics_of, naming, probed

__all__ = ["PROBES", "Probe", "check", "chosen", "measures", "metrics_of", "naming", "probed"]
