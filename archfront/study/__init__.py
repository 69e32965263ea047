"""The study database: what a search found, as the one truth that dashboards, reports and export read."""

from archfront.study.database import DEFAULT_URL, Database
from archfront.study.front import Point, hypervolume, nondominated
from archfront.study.study import FINISHED, RUNNING, Candidate, Row, Study, open_study, studies_in
from archfront.study.writer import LeaseLost, Recorded, StudyWriter, create_study

__all__ = [
    "DEFAULT_URL",
    "FINISHED",
    "RUNNING",
    "Candidate",
    "Database",
    "LeaseLost",
    "Point",
    "Recorded",
    "Row",
    "Study",
    "StudyWriter",
    "create_study",
    "hypervolume",
    "nondominated",
    "open_study",
    "studies_in",
]
