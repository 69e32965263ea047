"""A runtime folder of the tests' own: their locks must not wait for, or hold up, what else runs on this machine."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware_profiles import quiet


@pytest.fixture(scope="module", autouse=True)
def own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("runtime")
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(folder))
    patch.setattr(tempfile, "tempdir", str(folder))
    quiet._THREAD.locks = None  # tests before these may have opened the locks of the folder that everybody uses
    yield folder
    quiet._THREAD.locks = None
    patch.undo()
