"""What all tests share: one thread per library, and the shared real data where it is there."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

import pytest

os.environ.pop("COLUMNS", None)  # Tables are as wide as they need to be, whatever the terminal is.
REPOSITORY = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Where the shared data sets and tables would be: `ARCHFRONT_DATA`, or `shared/data` beside the repository."""
    named = os.environ.get("ARCHFRONT_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _as_wide_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the width that a library may have left in the environment."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with `images/*.npz` and `tables/*.parquet`; skips the test where it is absent."""
    folder = data_folder()
    if not (folder / "images").is_dir():
        pytest.skip(f"the shared data isn't there; set ARCHFRONT_DATA to its folder (looked in {folder.name}/)")
    return folder
