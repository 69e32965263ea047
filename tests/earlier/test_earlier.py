"""Studies and supernets that were written before defaults were left out of texts, digests and keys go on."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch

from archfront.commands import run
from archfront.study import Database, Study
from archfront.supernets.settings import SupernetSettings
from archfront.supernets.training import plan
from evaluators.supernet_training import load_supernet
from search_spaces import SpaceError
from search_spaces.canonical import IDENTITY, digest, from_json
from search_spaces.weight_sharing.earlier_keys import respelled

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with all that was there then."""
    shutil.copy(HERE / "studies.sqlite", tmp_path / "studies.db")
    shutil.copy(HERE / "tiny_space.py", tmp_path)
    shutil.copytree(HERE / "supernet", tmp_path / "supernet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(file: Path, study: str) -> list[tuple[Any, ...]]:
    """What the database itself holds of a study's results."""
    with sqlite3.connect(file) as connection:
        return connection.execute(
            "SELECT e.number, e.origin, m.name, m.value FROM evaluations e "
            "JOIN measurements m ON m.evaluation_id = e.id JOIN studies s ON s.id = e.study_id "
            "WHERE s.name = ? AND e.number < 5 ORDER BY 1, 3",
            (study,),
        ).fetchall()


@pytest.mark.parametrize("study", ["own", "recipes", "hybrid"])
def test_a_study_goes_on(folder: Path, study: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that was recorded changes, and each candidate is known under the digest that it has today."""
    file = folder / "studies.db"
    before = told(file, study)
    # Whoever only reads it doesn't need its parts, and leaves its texts as they are.
    assert run(["front", study, "--db", "sqlite:///studies.db", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) and Study(Database("sqlite:///studies.db"), study).identity == 1
    assert run(["search", "--study", study, "--db", "sqlite:///studies.db", "--evaluations", "9"]) == 0
    assert told(file, study) == before and before
    after = Study(Database("sqlite:///studies.db"), study)
    assert after.identity == IDENTITY
    rows = after.rows()
    assert len(rows) == 9 and all(row.status in ("ok", "infeasible") for row in rows)
    known = {row.digest for row in rows}
    for row in rows:
        assert digest(from_json(after.candidate(row.digest).architecture)) == row.digest
        assert set(row.parents) <= known
    assert any(row.parents for row in rows) or study == "recipes"


def test_a_candidate_that_was_known_then_is_known_now(folder: Path) -> None:
    """The first architecture of the earlier study, proposed anew, is the same candidate."""
    assert run(["search", "--study", "own", "--db", "sqlite:///studies.db", "--evaluations", "9"]) == 0
    study = Study(Database("sqlite:///studies.db"), "own")
    with sqlite3.connect(HERE / "studies.sqlite") as connection:
        texts = [text for (text,) in connection.execute("SELECT architecture FROM candidates WHERE study_id = 1")]
    assert all(study.candidate(digest(from_json(json.loads(text)))) for text in texts) and len(texts) == 8


def test_a_supernets_training_goes_on_as_if_it_had_never_stopped(folder: Path) -> None:
    """Six of twelve steps were made then: the losses of the other six are those that it came to then."""
    settings = SupernetSettings(space="tiny_space.py:tiny", data="digits", steps=12, seed=1)
    training = plan(settings, folder / "supernet").training
    assert training.done == 6
    training.run(folder / "supernet")
    then = json.loads((HERE / "history.json").read_text())
    assert torch.allclose(torch.tensor(training.history), torch.tensor(then), rtol=1e-4) and len(then) == 12


def test_a_supernet_is_opened(folder: Path) -> None:
    supernet, about = load_supernet(folder / "supernet")
    assert about["done"] == 6 and "identity" not in about
    found = supernet.store.tensor("[network]>stem[patchify,patch=2]:0/weight")
    assert found is not None and found.shape == (8, 1, 2, 2)
    assert not any("kernel=3" in key for key in supernet.store.views if "[conv" in key)


def test_keys_lose_the_settings_that_were_at_their_defaults_alone() -> None:
    keys = {
        "[network]>stem[patchify,patch=4]:0/weight": "[network]>stem[patchify]:0/weight",
        "[network]>stem[patchify,patch=40]:0/weight": "[network]>stem[patchify,patch=40]:0/weight",
        "[x]>downsample[conv,kernel=3]>norm[batch]:weight": "[x]>downsample[conv]>norm[batch]:weight",
        "[x]>token_mixer[paths,allocation=replicate,children]:w": "[x]>token_mixer[paths,children]:w",
    }
    assert respelled(dict.fromkeys(keys, 0), 1).keys() == set(keys.values())
    assert respelled(dict.fromkeys(keys, 0), IDENTITY).keys() == keys.keys()


def test_what_is_read_names_no_file_to_run() -> None:
    with pytest.raises(SpaceError, match="only registered parts are read"):
        from_json({"part": "token_mixer/somewhere.py:Evil"})
