"""Device profiles: TOML files that say on what, and with which settings, networks are timed."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from search_spaces.errors import near

FOLDER = Path(__file__).parent / "profiles"
REACHED = ("host",)
"""The ways to reach a device that there are: this host itself."""
TYPES: dict[str, type] = {
    "description": str,
    "reached": str,
    "runtime": str,
    "precision": str,
    "threads": int,
    "batch": int,
    "cores": list,
    "options": dict,
    "cap_s": float,
    "patience_s": float,
    "pauses_s": list,
}


@dataclass(frozen=True)
class Profile:
    """A device and the settings that networks are timed with on it.

    `cores` are the ones the timing process is pinned to; empty: as many as `threads`, the last that it may use.
    `options` go to the runtime. Networks are timed in short slices (`session`): a network of a search in `patience_s`
    in all, and no more than 3 s; where the host was quiet, in `cap_s`. The pauses between the slices are `pauses_s` in
    all, and at most 8 s. The networks of a search's finals have `patience_s` as often again as `pauses_s` has pauses.
    """

    name: str
    description: str = ""
    reached: str = "host"
    runtime: str = "onnxruntime"
    precision: str = "float32"
    threads: int = 1
    batch: int = 1
    cores: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    cap_s: float = 2.0
    patience_s: float = 4.0
    pauses_s: tuple[float, ...] = (2.0, 5.0, 10.0)

    def __post_init__(self) -> None:
        where = f"device profile '{self.name}'"
        if self.reached not in REACHED:
            raise WrongUse(f"{where}: reached = '{self.reached}' is unknown; {near(self.reached, REACHED)}")
        for key in ("threads", "batch", "cap_s", "patience_s"):
            if getattr(self, key) <= 0:
                raise WrongUse(f"{where}: {key} = {getattr(self, key)} must be greater than 0")
        if self.cores and len(self.cores) < self.threads:
            raise WrongUse(f"{where}: {self.threads} threads need as many cores, but cores = {list(self.cores)}")

    def pinned_to(self) -> tuple[int, ...]:
        """The cores that the timing process runs on; raises `WrongUse` when this process may not use them."""
        allowed = sorted(os.sched_getaffinity(0))
        cores = self.cores or tuple(allowed[-self.threads :])
        missing = [core for core in cores if core not in allowed]
        if missing or len(cores) < self.threads:
            raise WrongUse(
                f"device profile '{self.name}' needs {self.threads} cores ({list(cores)}), but this process may use "
                f"{allowed}; change threads or cores"
            )
        return cores


def names() -> list[str]:
    """The names of the profiles that come along, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def profile(name: str | Path) -> Profile:
    """The ready profile called `name`, or the one in the TOML file that `name` is the path of; raises `WrongUse`."""
    text = str(name)
    if text.endswith(".toml") or os.sep in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise WrongUse(f"no device profile file {text}; ready profiles: {', '.join(names())}")
        return _read(path)
    if text not in names():
        raise WrongUse(f"no device is named '{text}'; {near(text, names())} (or give the path of a TOML file)")
    return _read(FOLDER / f"{text}.toml")


def _read(path: Path) -> Profile:
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongUse(f"device profile {path.name}: {error}") from None
    values.setdefault("name", path.stem)
    known = [field.name for field in dataclasses.fields(Profile)]
    for key, value in values.items():
        if key not in known:
            raise WrongUse(f"device profile {path.name}: unknown key '{key}'; {near(key, known)}")
        values[key] = _typed(path.name, key, value)
    return Profile(**values)


def _typed(file: str, key: str, value: Any) -> Any:
    kind: Any = TYPES.get(key, str)
    if kind is float and type(value) is int:
        value = float(value)
    allowed = (int,) if key == "cores" else (int, float)
    if type(value) is not kind or (kind is list and any(type(item) not in allowed for item in value)):
        lists = "a list of integers" if key == "cores" else "a list of numbers"
        what = {str: "a text", int: "an integer", float: "a number", list: lists, dict: "a table"}[kind]
        raise WrongUse(f"device profile {file}: {key} = {value!r} must be {what}")
    return tuple(value) if kind is list else value
