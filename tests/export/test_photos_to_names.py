"""What docs/export.md shows works as pasted, on made photos; the script in an environment of three packages."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from archfront.commands import run
from tests.commands.test_documents import REPOSITORY, commands
from tests.export.photos import class_folders, odd_ones
from tests.export.test_environments import environment, installed


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_commands_of_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = class_folders(tmp_path / "photos")
    (photos / "dark" / "broken.jpg").write_bytes(b"no picture")
    new = sorted(map(str, odd_ones(Path("new")).values()))
    Path("new/broken.jpg").write_bytes(b"no picture")
    search, export, predict = commands("docs/export.md")
    # As pasted but for the budget, and without latencies, which take their time.
    small = ["--evaluations", "1", "--epochs", "1", "--objective", "accuracy", "--objective", "macs"]
    at = search.index("--minutes")
    assert run([*search[:at], *search[at + 2 :], *small, "--space", "cell201"]) == 0
    capsys.readouterr()
    assert run(export) == 0
    said = capsys.readouterr().out
    for name in ("onnx", "pipeline", "pt2", "python"):
        assert f"{name}: converting …" in said and f"{name}: verified on" in said
    assert run([*predict[:-1], "new/broken.jpg", *new]) == 1
    expected = capsys.readouterr()
    assert expected.out.count("light") == len(new) and expected.err.count("broken.jpg") == 1

    text = (REPOSITORY / "docs" / "export.md").read_text()
    [line] = re.findall(r"^fresh/bin/python (.*)$", text, flags=re.M)
    [packages] = re.findall(r"fresh/bin/pip install (.*)$", text, flags=re.M)
    python = environment(tmp_path / "fresh", *packages.split())
    assert not installed(python) & {"torch", "onnx", "archfront", "torchvision"}
    script, files = shlex.split(line)
    assert files == "new/*"
    done = subprocess.run([python, "-I", script, "new/broken.jpg", *new], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == expected.out
    assert done.stderr.startswith("new/broken.jpg: can't be read as a picture") and done.stderr.count("\n") == 1
