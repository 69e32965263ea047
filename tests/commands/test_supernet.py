"""`archfront supernet`: trained once, searched under several constraints, the best retrained, one cut out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from archfront.commands import run
from archfront.study import Point, open_study
from archfront.supernets.finalists import spread
from evaluators.inherited_weights import InheritedWeights
from search_spaces.building import build
from search_spaces.canonical import from_json

SPACE = f"{Path(__file__).parents[1] / 'evaluators' / 'small_space.py'}:space"


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a supernet that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("trained") / "small"
    assert run(["supernet", "train", "--space", SPACE, "--steps", "40", "--to", str(folder)]) == 0
    return folder


def files(folder: Path) -> dict[Path, int]:
    """The files of a folder and when they were last changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_from_training_to_a_network(archfront: Any, supernet: Path) -> None:
    before = files(supernet)
    words = ["supernet", "search", supernet, "--objective", "accuracy", "--objective", "params", "--json"]
    wide = archfront(*words, "--study", "wide", "--evaluations", 12)
    assert wide.code == 0, wide.error
    narrow = archfront(*words, "--study", "narrow", "--constraint", "params<=1.5k", "--evaluations", 6)
    assert narrow.code == 0, narrow.error
    assert all(point["metrics"]["params"] <= 1500 for point in narrow.json["front"])
    assert max(point["metrics"]["params"] for point in wide.json["front"]) > 1500
    assert files(supernet) == before
    kept = [open_study(name).settings for name in ("wide", "narrow")]
    assert kept[0]["evaluator_identity"] == kept[1]["evaluator_identity"] and kept[0]["data"] == "digits"

    final = archfront("supernet", "finalists", "wide", "--top", 2, "--seeds", 2, "--epochs", 1, "--json")
    assert final.code == 0, final.error
    chosen = {row.digest: row for row in open_study("wide-finalists").rows()}
    assert len(chosen) == 2 and set(chosen) <= {point["digest"] for point in wide.json["front"]}
    assert all(row.origin == "given" and "accuracy" in row.bounds for row in chosen.values())
    assert "[" in archfront("front", "wide-finalists").out
    again = archfront("supernet", "finalists", "wide", "--seeds", 2, "--epochs", 1, "--json").json
    assert again["evaluations_in_this_run"] == 0

    number = wide.json["front"][0]["candidate"]
    cut = archfront("supernet", "extract", supernet, "--candidate", f"wide:{number}", "--to", "net", "--json")
    assert cut.code == 0, cut.error
    assert cut.json["metrics"]["accuracy"] == pytest.approx(wide.json["front"][0]["metrics"]["accuracy"])
    assert_same_network(Path("net"), supernet)
    again = archfront("supernet", "extract", supernet, "--architecture", "net/architecture.json", "--to", "net2")
    assert again.code == 0 and "differ from the supernet's by" in again.out
    assert Path("net2/model.safetensors").read_bytes() == Path("net/model.safetensors").read_bytes()


def assert_same_network(folder: Path, supernet: Path) -> None:
    """The files alone make the network that is in the supernet."""
    from evaluators.datasets import load

    digits = load("digits")
    architecture = from_json(json.loads((folder / "architecture.json").read_text()))
    network = build(architecture, digits.inputs, digits.outputs)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    images = digits.prepared(digits.test.inputs[:50])
    with torch.no_grad(), InheritedWeights(supernet, digits).active(architecture) as whole:
        assert torch.allclose(network.eval()(images), whole(images), atol=1e-5)
    assert json.loads((folder / "network.json").read_text())["supernet"]["data"] == "digits"


def test_training_goes_on_and_keeps_its_settings(archfront: Any, supernet: Path) -> None:
    more = archfront("supernet", "train", "--to", supernet, "--json")
    assert more.code == 0, more.error
    assert more.json["progress"]["step"] == 40 and len(more.json["loss"]) == 40
    for words, cause in (
        (["--method", "fair"], "method = sandwich, not fair"),
        (["--steps", "50"], "steps = 40, not 50"),
        (["--set", "recipe.lr=0.1"], "recipe"),
        (["--seed", "3"], "seed = 0, not 3"),
    ):
        done = archfront("supernet", "train", "--to", supernet, *words)
        assert done.code == 2 and cause in done.error and done.error.count("\n") == 1


WRONG = [
    (["train", "--to", "s", "--space", "mobil"], "did you mean 'mobile'"),
    (["train", "--to", "s", "--method", "sandwitch"], "did you mean 'sandwich'"),
    (["train", "--to", "s", "--set", "method.drws=3"], "did you mean 'draws'"),
    (["train", "--to", "s", "--set", "recipe.epochs=3"], "say epochs"),
    (["train", "--to", "s", "--set", "recipe.lrr=3"], "did you mean 'lr'"),
    (["train", "--to", "s", "--set", "metod.draws=3"], "did you mean 'method'"),
    (["train", "--to", "s", "--data", "digts"], "did you mean 'digits'"),
    (["train", "--to", "s", "--steps", "3", "--epochs", "2"], "one of --epochs, --steps and --minutes"),
    (["train", "--to", "s", "--steps", "0"], "steps"),
    (["train", "--to", "."], "holds other things"),
    (["train"], "--to"),
    (["trian"], "trian"),
    (["search", "nowhere", "--evaluations", "3"], "nowhere has no trained supernet"),
    (["search", "SUPERNET"], "needs a budget"),
    (["search", "SUPERNET", "--evaluations", "3", "--set", "data.seed=5"], "this split"),
    (["search", "SUPERNET", "--evaluations", "3", "--set", "evaluator.imags=5"], "did you mean 'images'"),
    (["train", "--to", "s", "--start", "nowhere"], "nowhere has no trained supernet"),
    (["train", "--to", "s", "--split", "stages.9.width"], "stages.9.width"),
    (["methods", "sandwitch"], "did you mean 'sandwich'"),
    (["rank", "nowhere"], "nowhere has no trained supernet"),
    (["rank", "SUPERNET", "--proxies", "nawot"], "did you mean 'naswot'"),
    (["rank", "SUPERNET", "--truth", "nothing"], "no study"),
    (["finalists", "nothing"], "no study"),
    (["extract", "SUPERNET", "--to", "d"], "--candidate STUDY:NUMBER or --architecture"),
    (["extract", "SUPERNET", "--to", "d", "--candidate", "12"], "say STUDY:NUMBER"),
    (["extract", "SUPERNET", "--to", "d", "--architecture", "none.json"], "none.json can't be read"),
    (["extract", "SUPERNET", "--to", "d", "--architecture", "notes.txt"], "no architecture"),
    (["extract", "SUPERNET", "--to", ".", "--architecture", "other.json"], "holds other things"),
    (["extract", "SUPERNET", "--to", "d", "--architecture", "other.json"], "isn't in the space"),
]


@pytest.mark.parametrize(("words", "cause"), WRONG, ids=[" ".join(words[:4]) for words, _ in WRONG])
def test_wrong_input_is_one_line_and_writes_nothing(
    words: list[str], cause: str, archfront: Any, supernet: Path
) -> None:
    from search_spaces.spaces import get_space

    Path("notes.txt").write_text("no JSON")
    stranger = get_space("mobile").sample(0)
    Path("other.json").write_text(get_space("mobile").to_text(stranger))
    before = sorted(Path().rglob("*"))
    done = archfront("supernet", *[str(supernet) if word == "SUPERNET" else word for word in words])
    assert done.code == 2 and done.out == ""
    assert done.error.startswith("error: ") and done.error.count("\n") == 1
    assert cause in done.error
    assert sorted(Path().rglob("*")) == before


def test_a_retrained_supernet_is_another_evaluator(archfront: Any, tmp_path: Path) -> None:
    words = ["supernet", "train", "--space", SPACE, "--steps", 2, "--to", "s", "--seed"]
    look = ["supernet", "search", "s", "--objective", "accuracy", "--study", "x", "--evaluations"]
    assert archfront(*words, 1).code == 0 and archfront(*look, 1).code == 0
    Path("s").rename("old")
    assert archfront(*words, 1, "--method", "single-path").code == 0
    done = archfront(*look, 2)
    assert done.code == 2 and "evaluator_identity" in done.error


def test_few_shot_starts_from_a_trained_supernet(archfront: Any, supernet: Path) -> None:
    words = ["supernet", "train", "--to", "few", "--start", supernet, "--split", "auto", "--steps", 1]
    first = archfront(*words, "--json")
    assert first.code == 0, first.error
    before = archfront("supernet", "train", "--to", supernet, "--json").json["progress"]
    # It has learnt one step at a tiny rate since.
    assert first.json["progress"]["largest"] == pytest.approx(before["largest"], abs=0.3)
    assert first.json["settings"]["split"].startswith("stages") and first.json["settings"]["space"] == SPACE
    assert archfront(*words).code == 0
    other = archfront("supernet", "train", "--to", "x", "--start", supernet, "--space", "mobile")
    assert other.code == 2 and "is of another space" in other.error and not Path("x").exists()


def test_a_learnt_policy_is_searched(archfront: Any) -> None:
    trained = archfront("supernet", "train", "--to", "s", "--space", SPACE, "--method", "gdas", "--steps", 2)
    assert trained.code == 0, trained.error
    [words] = [line.split()[1:] for line in trained.out.splitlines() if "one-shot" in line]
    found = archfront(*words[:3], "--objective", "accuracy", *words[5:], "--evaluations", 2, "--json")
    assert found.code == 0 and found.json["evaluations"] == {"ok": 2}, found.error


def test_finalists_are_spread_along_the_front() -> None:
    front = [
        Point(f"d{i}", i, (-1 + x, 1000 * y), {}) for i, (x, y) in enumerate([(0, 1), (0.02, 0.9), (0.5, 0.4), (1, 0)])
    ]
    assert [point.number for point in spread(front, 3)] == [0, 2, 3]
    assert [point.number for point in spread(front, 1)] == [0]
    assert spread(front, 9) == front


def test_fine_tuning_needs_a_supernet(archfront: Any, supernet: Path) -> None:
    words = ["--space", SPACE, "--epochs", 1, "--objective", "accuracy", "--evaluations", 1]
    assert archfront("search", *words, "--study", "scratch").code == 0
    done = archfront("supernet", "finalists", "scratch", "--fine-tune")
    assert done.code == 2 and "nothing to fine-tune" in done.error
    words = ["--objective", "accuracy", "--study", "inherited", "--evaluations", 2]
    said = archfront("supernet", "search", supernet, *words)
    assert "archfront supernet finalists inherited" in said.out
    tuned = archfront("supernet", "finalists", "inherited", "--fine-tune", "--top", 1, "--seeds", 1, "--epochs", 1)
    assert tuned.code == 0, tuned.error
    [metric] = [m for m in open_study("inherited-finalists").candidate("0").metrics if m.name == "accuracy"]
    assert "inherit=" in metric.provenance.protocol
    taken = archfront("supernet", "finalists", "inherited", "--to-study", "scratch")
    assert taken.code == 2 and "--to-study" in taken.error


@pytest.mark.slow
def test_ranking_trains_its_truth_once(archfront: Any, supernet: Path) -> None:
    words = ["supernet", "rank", supernet, "--networks", 6, "--seeds", 2, "--epochs", 1]
    first = archfront(*words, "--to", "ranking.html", "--json")
    assert first.code == 0, first.error
    names = {row["predictor"] for row in first.json["rows"]}
    assert {"supernet accuracy", "supernet loss", "params", "macs", "naswot", "az_nas"} <= names
    assert first.json["trainings"] == 12 and all(row["whole"]["n"] == 6 for row in first.json["rows"])
    assert first.json["ceiling"]["whole"]["n"] == 6 and Path("ranking.html").stat().st_size > 1000
    rows = open_study("small-truth").rows()
    again = archfront("supernet", "rank", supernet, "--truth", "small-truth", "--json").json
    assert again["rows"] == first.json["rows"] and open_study("small-truth").rows() == rows
    some = archfront("supernet", "rank", supernet, "--truth", "small-truth", "--proxies", "none").out
    assert "params" in some and "naswot" not in some


@pytest.mark.slow
def test_search_with_latency_and_export(archfront: Any, supernet: Path) -> None:
    words = ["supernet", "search", supernet, "--evaluations", 3, "--set", "evaluator.keep=true", "--study", "fast"]
    found = archfront(*words, "--json")
    assert found.code == 0, found.error
    assert "latency_ms@host" in found.json["front"][0]["metrics"]
    number = found.json["front"][0]["candidate"]
    assert archfront("export", "fast", "--candidate", number, "--format", "python", "--to", "e1").code == 0
    cut = ["supernet", "extract", supernet, "--candidate", f"fast:{number}", "--to", "e2", "--format", "python"]
    done = archfront(*cut)
    assert done.code == 0, done.error
    assert (Path("e2") / "export" / "card.json").exists()


@pytest.mark.slow
def test_killed_training_goes_on_with_the_same_loss_curve(archfront: Any, tmp_path: Path) -> None:
    words = ["supernet", "train", "--space", SPACE, "--steps", "90", "--every", "0.5", "--json", "--to"]
    whole = archfront(*words, "whole").json
    process = subprocess.Popen([sys.executable, "-m", "archfront", *words, "killed"], stdout=subprocess.DEVNULL)
    checkpoint = Path("killed/checkpoints/supernet.training.safetensors")
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    said = archfront("supernet", "train", "--to", "killed")
    assert "goes on from step" in said.out, said.error
    resumed = archfront("supernet", "train", "--to", "killed", "--json").json
    assert resumed["loss"] == whole["loss"] and len(whole["loss"]) == 90
    assert (
        Path("whole/checkpoints/supernet.safetensors").read_bytes()
        == Path("killed/checkpoints/supernet.safetensors").read_bytes()
    )
