"""Profiles: the ready ones, a user's own, and one clear line for each mistake."""

import os
from pathlib import Path

import pytest

from archfront.contracts import WrongUse
from hardware_profiles import fingerprint, names, profile
from hardware_profiles.device_profile import Profile
from hardware_profiles.measuring import runtime_of


def test_ready_profiles_are_complete() -> None:
    assert {"host", "host-torch"} <= set(names())
    for name in names():
        found = profile(name)
        assert found.name == name
        assert found.description
        assert runtime_of(found).version()
        assert set(found.pinned_to()) <= os.sched_getaffinity(0)


def test_a_users_own_profile(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('runtime = "torch"\nthreads = 1\nbatch = 8\ncap_s = 1\ncores = [0]\n')
    found = profile(path)
    assert found == Profile(name="mine", runtime="torch", batch=8, cap_s=1.0, cores=(0,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("thread = 1", "unknown key 'thread'; did you mean 'threads'"),
        ('threads = "two"', "threads = 'two' must be an integer"),
        ("threads = true", "threads = True must be an integer"),
        ("threads = 0", "threads = 0 must be greater than 0"),
        ("threads = 2\ncores = [0]", "2 threads need as many cores"),
        ('reached = "agnet"', "reached = 'agnet' is unknown"),
        ("cores = [0.5]", "cores = [0.5] must be a list of integers"),
        ("threads = ", "Invalid value"),
    ],
)
def test_mistakes_in_a_profile_are_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(WrongUse) as error:
        profile(path)
    assert says in str(error.value)
    assert "mine" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names() -> None:
    with pytest.raises(WrongUse, match="did you mean 'host'"):
        profile("hots")
    with pytest.raises(WrongUse, match=r"no device profile file gone\.toml"):
        profile("gone.toml")
    with pytest.raises(WrongUse, match="no runtime is named 'onnx'; did you mean 'onnxruntime'"):
        runtime_of(Profile("x", runtime="onnx"))
    with pytest.raises(WrongUse, match="no precision 'int8'"):
        runtime_of(Profile("x", precision="int8"))
    with pytest.raises(WrongUse, match="no option 'graph_optimisation'; did you mean 'graph_optimization'"):
        runtime_of(Profile("x", options={"graph_optimisation": True}))
    with pytest.raises(WrongUse, match="may use"):
        Profile("x", cores=(4095,)).pinned_to()


def test_fingerprint_tells_what_matters() -> None:
    assert set(fingerprint.host()) == {"cpu", "cores", "flags", "memory_gib", "system", "machine"}
    assert fingerprint.host()["cores"] == os.cpu_count()
    assert len(fingerprint.digest()) == 12
