"""The columns behind dashboard and report, and how architectures and settings are written out."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from archfront.contracts import Constraint, Objective
from archfront.report import write_report
from archfront.report.architectures import branches, differences
from archfront.report.report import study_file, toml
from archfront.report.results import Results, robust_range, sample
from archfront.settings import Settings
from archfront.study import Study, open_study
from tests.dashboard.example_study import write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    url = f"sqlite:///{tmp_path_factory.mktemp('report') / 'a.db'}"
    write_study(url, 50)
    return open_study("digits", url)


def test_front_and_points_are_the_study_s(study: Study) -> None:
    results = Results(study, ["accuracy", "latency_ms@host"]).refresh()
    cloud = results.cloud(study.objectives)
    assert {results.digests[i] for i in cloud.points} == {point.digest for point in study.points()}
    assert {results.digests[i] for i in cloud.front} == {point.digest for point in study.front()}


def test_refresh_adds_only_what_is_new(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    study = write_study(url, 20)
    grown = Results(study, ["accuracy"]).refresh()
    write_study(url, 15)
    asked: list[int] = []
    table = study.table
    study.table = lambda metrics, after=-1: asked.append(after) or table(metrics, after)  # type: ignore[method-assign]
    grown.refresh()
    fresh = Results(study, ["accuracy"]).refresh()
    assert asked == [19, -1] and len(grown) == 35
    assert np.array_equal(grown.values["accuracy"], fresh.values["accuracy"], equal_nan=True)
    assert grown.digests == fresh.digests


def test_history_ends_with_everything_and_never_falls(study: Study) -> None:
    history = Results(study, [o.metric for o in study.objectives]).refresh().history()
    assert history.hypervolume[-1] == 1.0
    assert history.hypervolume == sorted(history.hypervolume)
    assert history.best["accuracy"][-1] == max(point.values["accuracy"] for point in study.points())
    assert history.best["latency_ms@host"][-1] == min(point.values["latency_ms@host"] for point in study.points())


def test_a_sample_is_bounded_and_steady() -> None:
    numbers = np.arange(20_000)
    first = sample(np.arange(10_000), numbers, 500)
    later = sample(np.arange(20_000), numbers, 500)
    assert len(first) == len(later) == 500
    assert np.array_equal(first, sample(np.arange(10_000), numbers, 500))
    assert set(later[later < 10_000]) <= set(first)  # as the study grows, points only leave for new ones


def test_outliers_do_not_ruin_an_axis() -> None:
    values = np.concatenate([np.linspace(1, 2, 200), [500.0, np.nan, -300.0]])
    low, high = robust_range(values) or (0, 0)
    assert 0.8 < low < 1 and 2 < high < 2.2
    assert robust_range(np.array([3.0])) is not None
    assert robust_range(np.array([])) is None


def test_differences_are_at_the_deepest_paths() -> None:
    before = {"part": "network/n", "stages": [{"part": "stage/s", "width": 24}], "head": {"part": "head/a"}}
    after = {"part": "network/n", "stages": [{"part": "stage/s", "width": 32}, {"part": "stage/s"}], "head": None}
    assert differences(before, after) == [
        ("stages.0.width", "24", "32"),
        ("stages.1", "–", "s"),
        ("head", "a", "–"),
    ]
    assert differences(before, before) == []
    assert branches(before).children[0].children[0].path == "stages.0"


def test_settings_come_back_from_toml() -> None:
    settings = {"space": 'a "b"', "n": 3, "lr": 1e-3, "deep": {"x": [1, 2], "y": {"z": True}}, "none": None}
    assert tomllib.loads(toml(settings)) == {key: value for key, value in settings.items() if value is not None}


def test_the_study_file_of_a_report_starts_a_search(study: Study) -> None:
    recorded = {"data": "digits", "evaluator": "training", "evaluator_settings": {"epochs": 3}, "recipe": {"lr": 0.1}}
    study.settings = {**recorded, "space": "hybrid", "controller": "", "controller_settings": {}, "inputs": [1, 8, 8]}
    read = Settings.model_validate(tomllib.loads(toml(study_file(study))))
    assert read.evaluator is not None and read.evaluator.settings == {"epochs": 3}
    assert tuple(map(Objective.parse, read.objectives)) == study.objectives
    assert tuple(map(Constraint.parse, read.constraints)) == study.constraints
    assert read.budget.evaluations == 50


def test_the_report_escapes_and_brings_plotly_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    study = write_study(url, 30, "a<script>alert(1)</script>", settings={"note": "<img src=x onerror=alert(2)>"})
    text = write_report(study, tmp_path / "deep" / "report.html").read_text()
    assert "<script>alert(1)" not in text and "<img src=x" not in text and "<b>of memory</b>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("plotly.js v") == 1
    assert "cdn.plot.ly" not in text.split("plotly.js v")[0]
