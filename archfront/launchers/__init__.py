"""Launchers: where evaluations run."""
