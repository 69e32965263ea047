"""Trainings as trials of Ray Tune; but for `tuning`, modules here need Ray."""
