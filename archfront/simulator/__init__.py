"""Searches on tables with a virtual clock: what controllers find in so many evaluations, without waiting for any."""

from archfront.simulator.benchmark import Benchmark
from archfront.simulator.clock import Workers
from archfront.simulator.contest import Contender, Contest, Standing, run_contest
from archfront.simulator.simulation import Run, simulate

__all__ = ["Benchmark", "Contender", "Contest", "Run", "Standing", "Workers", "run_contest", "simulate"]
