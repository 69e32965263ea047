"""Tasks: what a data set asks of a network, one per file. Nobody else knows that there are classes, tokens or masks."""

from evaluators.tasks.task import IGNORED, Kind, Tally, Task

__all__ = ["IGNORED", "Kind", "Tally", "Task"]
