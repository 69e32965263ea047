"""Schedules: the learning rate over a training."""

from search_spaces.families import Family

SCHEDULE = Family("schedule", __name__)
"""A schedule: `factor(progress, warmup)` gives the share of the peak rate."""
