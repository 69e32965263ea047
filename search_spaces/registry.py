"""Named things: a registry per kind, filled by decorators, user files (`file.py:name`) and installed packages."""

import fnmatch
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from search_spaces.errors import SpaceError, near

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing: its name, the value, the published source it implements and a line about it."""

    name: str
    value: T
    source: str
    about: str


class Registry(Generic[T]):
    """The things of one kind, by name.

    `package` is imported, with all its modules (it may be a module itself), when a name is first needed, so that
    listing a registry costs nothing before. Installed packages add theirs through entry points of the group
    `archfront.<kind>`; a name of the form `path/to/file.py:name` is taken from that file.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, Entry[T]] = {}
        self._loaded = False

    def register(self, name: str, *, source: str = "") -> Callable[[V], V]:
        """Register the decorated class or function under `name`; the same name twice is an error."""

        def decorate(value: V) -> V:
            self.add(name, value, source=source)  # type: ignore[arg-type]
            return value

        return decorate

    def add(self, name: str, value: T, *, source: str = "", about: str = "") -> None:
        """Register `value` under `name`."""
        known = self._entries.get(name)
        if known is not None and _origin(known.value) != _origin(value):
            raise SpaceError(f"two {self.kind}s are named '{name}': {_origin(known.value)} and {_origin(value)}")
        line = about or (getattr(value, "__doc__", None) or "").strip().split("\n")[0]
        self._entries[name] = Entry(name, value, source, line)

    def entry(self, name: str) -> Entry[T]:
        """The entry called `name`; raises `SpaceError` with the near names when there is none."""
        if ".py:" in name:
            return self._from_file(name)
        self._load()
        if name not in self._entries:
            raise SpaceError(f"no {self.kind} is named '{name}'; {near(name, self._entries)}")
        return self._entries[name]

    def get(self, name: str) -> T:
        """The value registered as `name`, or the object a `path/to/file.py:name` points to."""
        return self.entry(name).value

    def names(self, pattern: str = "*") -> list[str]:
        """All names that match a glob pattern, sorted."""
        self._load()
        return sorted(fnmatch.filter(self._entries, pattern))

    def __iter__(self) -> Iterator[Entry[T]]:
        self._load()
        return iter([self._entries[name] for name in sorted(self._entries)])

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.walk_packages(getattr(package, "__path__", []), self._package + "."):
            if not module.name.endswith(".testing"):  # a conformance suite, which registers nothing
                importlib.import_module(module.name)
        for point in entry_points(group=f"archfront.{self.kind.replace(' ', '_')}s"):
            self.add(point.name, point.load())

    def _from_file(self, name: str) -> Entry[T]:
        path, _, attribute = name.rpartition(":")
        module = load_file(path, self.kind)
        if attribute in self._entries and _origin(self._entries[attribute].value).startswith(module.__name__):
            return self._entries[attribute]
        if not hasattr(module, attribute):
            known = [key for key in vars(module) if not key.startswith("_")]
            raise SpaceError(f"{path} has no '{attribute}'; {near(attribute, known)}")
        value = getattr(module, attribute)
        return Entry(name, value, "", (getattr(value, "__doc__", None) or "").strip().split("\n")[0])


def load_file(path: str, kind: str) -> ModuleType:
    """Import the Python file that a user named on the command line, once per process."""
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise SpaceError(f"no file {path} (a {kind} may be given as path/to/file.py:name)")
    module_name = f"archfront_user_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise SpaceError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise SpaceError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _origin(value: object) -> str:
    return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', repr(value))}"
