"""A database with studies, and a dashboard that serves it from a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard.example_study import write_study

HOSTILE = "<script>document.title='taken over'</script>"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with a finished study, an almost empty one, and one with a hostile name."""
    url = f"sqlite:///{tmp_path_factory.mktemp('studies') / 'studies.db'}"
    write_study(url, 60, "digits")
    write_study(url, 0, "fresh")
    write_study(url, 8, HOSTILE, settings={"note": "<img src=x onerror=\"document.title='taken over'\">"})
    return url


@pytest.fixture(scope="session")
def served(url: str) -> Iterator[str]:
    """The address of a dashboard over that database."""
    program = "import sys, dashboard; dashboard.serve(sys.argv[1], port=0)"
    with subprocess.Popen(
        [sys.executable, "-c", program, url], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        yield line.split("dashboard: ")[1].split(" ")[0]
        server.terminate()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's chromium; skips the test where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium is installed (Debian's package chromium)")
    return found
