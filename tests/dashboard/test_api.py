"""The REST API, over a study written by the real writer."""

import math

import pytest
from fastapi.testclient import TestClient

from archfront.study import open_study
from dashboard import create_app
from tests.dashboard.conftest import HOSTILE


@pytest.fixture(scope="module")
def client(url: str) -> TestClient:
    return TestClient(create_app(url))


def test_health_and_list(client: TestClient) -> None:
    assert client.get("/api/health").json()["status"] == "ok"
    studies = {study["name"]: study for study in client.get("/api/studies").json()}
    assert set(studies) == {"digits", "fresh", HOSTILE}
    assert studies["digits"]["evaluations"] == 60 and not studies["digits"]["running"]
    assert studies["fresh"]["best"] == {}


def test_study_tells_counts_metrics_and_failures(client: TestClient, url: str) -> None:
    found = client.get("/api/studies/digits").json()
    assert found["counts"] == dict(open_study("digits", url).counts())
    assert found["metrics"] == ["accuracy", "latency_ms@host", "params", "test_accuracy"]
    assert {"status": "diverged", "reason": "loss is nan at step #", "count": 3} in found["failures"]
    best = max(point.values["accuracy"] for point in open_study("digits", url).points())
    assert found["best"]["accuracy"] == best


def test_front_is_the_study_s_front(client: TestClient, url: str) -> None:
    found = client.get("/api/studies/digits/front").json()
    assert {point["digest"] for point in found["front"]} == {p.digest for p in open_study("digits", url).front()}
    assert (found["x"], found["y"]) == ("latency_ms@host:min", "accuracy:max")
    point = found["front"][0]
    assert point["x_low"] < point["x"] < point["x_high"]


def test_front_of_any_two_metrics(client: TestClient, url: str) -> None:
    found = client.get("/api/studies/digits/front", params={"x": "params", "y": "test_accuracy"}).json()
    values = [(point["x"], point["y"]) for point in found["front"]]
    assert values == sorted(values) and len(values) > 1
    assert [y for _, y in values] == sorted(y for _, y in values)
    assert found["candidates"] == len(open_study("digits", url).points())


def test_candidate_has_everything(client: TestClient, url: str) -> None:
    found = client.get("/api/studies/digits/candidates/2").json()
    assert found["architecture"]["part"] == "network/staged"
    latency = {metric["name"]: metric for metric in found["metrics"]}["latency_ms@host"]
    assert latency["provenance"]["runtime"] == "onnxruntime" and latency["summary"]["n"] == 300
    [parent] = found["parents"]
    assert parent["number"] == 1
    assert all(before != after for _, before, after in parent["changes"])
    assert client.get(f"/api/studies/digits/candidates/{found['digest'][:8]}").json()["number"] == 2


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/api/studies/digit", "no study is named 'digit'"),
        ("/api/studies/digits/candidates/999", "has no candidate 999"),
        ("/api/studies/digits/candidates/zebra", "is no candidate"),
        ("/api/studies/digits/front?x=speed", "has no metric 'speed'"),
        ("/api/nothing", "no /api/nothing"),
    ],
)
def test_what_isn_t_there_is_said_in_one_line(client: TestClient, path: str, line: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert line in answer.json()["detail"] and "\n" not in answer.json()["detail"]


def test_an_export_that_can_t_be_made_says_why(client: TestClient) -> None:
    answer = client.get("/api/studies/digits/candidates/7/export")
    assert answer.status_code == 409
    assert "\n" not in answer.json()["detail"]


def test_deep_links_give_the_page_and_nothing_comes_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/study/digits/candidate/2")
    assert answer.status_code == 200 and "react-entry-point" in answer.text
    assert "style.css" in answer.text and "archfront.js" in answer.text
    assert 'src="http' not in answer.text and 'href="http' not in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_hostile_name_is_only_text(client: TestClient) -> None:
    names = [study["name"] for study in client.get("/api/studies").json()]
    assert HOSTILE in names
    assert HOSTILE not in client.get("/study/x").text


def test_what_is_not_finite_is_null(client: TestClient) -> None:
    points = client.get("/api/studies/digits/front", params={"x": "params", "y": "accuracy"}).json()["front"]
    assert all(point["x_low"] is None and math.isfinite(point["x"]) for point in points)
