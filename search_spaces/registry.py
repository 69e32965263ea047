"""Named things: a registry per kind, filled by decorators, user files (`file.py:name`) and installed packages."""

import fnmatch
import functools
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

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

    A name is looked for in the module of `package` that is called so (with `_` for `-`), which is all that is imported
    then. With `one_per_file` every module of the package holds the thing of its own name, so that names are listed
    without importing any; otherwise a name that isn't found so imports the whole package (or module). Installed
    packages add theirs through entry points of the group `archfront.<kind>s`; a name of the form `path/to/file.py:name`
    is taken from that file. What can't be imported is said when it is asked for, and in every complaint about an
    unknown name; it takes nothing else away.
    """

    def __init__(self, kind: str, package: str = "", one_per_file: bool = False) -> None:
        self.kind = kind
        self._package = package
        self._one_per_file = one_per_file
        self._entries: dict[str, Entry[T]] = {}
        self._broken: dict[str, tuple[str, Exception]] = {}
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
        own = f"{self._package}.{name}"
        if self._one_per_file and getattr(value, "__module__", "") != own and name in self._modules():
            # The name is taken, whether or not its module was imported yet.
            raise SpaceError(f"two {self.kind}s are named '{name}': {own} and {_origin(value)}; rename one")
        line = about or (getattr(value, "__doc__", None) or "").strip().split("\n")[0]
        self._entries[name] = Entry(name, value, source, line)

    def entry(self, name: str) -> Entry[T]:
        """The entry called `name`; raises `SpaceError` with the near names when there is none, or it is broken."""
        if ".py:" in name:
            return self._from_file(name)
        if name not in self._entries:
            self._seek(name)
        if name not in self._entries and not self._one_per_file:
            self._load()
        if name in self._entries:
            return self._entries[name]
        if name in self._broken:
            origin, error = self._broken[name]
            raise SpaceError(f"the {self.kind} '{name}' can't be imported from {origin}: {_line(error)}") from error
        raise SpaceError(f"no {self.kind} is named '{name}'; {near(name, self.names())}{self._complaint()}")

    def get(self, name: str) -> T:
        """The value registered as `name`, or the object a `path/to/file.py:name` points to."""
        return self.entry(name).value

    def names(self, pattern: str = "*") -> list[str]:
        """All names that match a glob pattern, sorted; those of broken things are left out."""
        if not self._one_per_file:
            self._load()
        files = self._modules() if self._one_per_file else {}
        points = {point.name for point in self._points()}
        known = {*self._entries, *files, *points} - self._broken.keys()
        return sorted(fnmatch.filter(known, pattern))

    def __iter__(self) -> Iterator[Entry[T]]:
        self._load()
        return iter([self._entries[name] for name in sorted(self._entries)])

    def __contains__(self, name: str) -> bool:
        return name in self._entries or name in self.names()

    @property
    def broken(self) -> dict[str, str]:
        """Of the things that couldn't be imported so far, where they come from and why, by name."""
        return {name: f"{origin}: {_line(error)}" for name, (origin, error) in self._broken.items()}

    def _seek(self, name: str) -> None:
        """Import the one module, or load the one entry point, that has the name."""
        module = self._modules().get(name.replace("-", "_"))
        if module is not None:
            self._try(name, module, functools.partial(importlib.import_module, module))
        for point in self._points():
            if point.name == name:
                self._try_point(point)

    def _load(self) -> None:
        """Import everything that there is, once."""
        if self._loaded:
            return
        if self._package:
            package = importlib.import_module(self._package)
            for found in pkgutil.walk_packages(getattr(package, "__path__", []), self._package + "."):
                name = found.name.removeprefix(self._package + ".")
                # A conformance suite registers nothing.
                if not name.endswith("testing"):
                    self._try(name, found.name, functools.partial(importlib.import_module, found.name))
        for point in self._points():
            self._try_point(point)
        self._loaded = True

    def _try_point(self, point: EntryPoint) -> None:
        if point.name not in self._entries:
            origin = f"{point.value} of {point.dist.name if point.dist else 'an installed package'}"
            self._try(point.name, origin, lambda: self.add(point.name, point.load()))

    def _try(self, name: str, origin: str, load: Callable[[], Any]) -> None:
        """Load what may be somebody else's; what fails is kept, and said when it is asked for."""
        try:
            load()
        except Exception as error:
            self._broken[name] = origin, error
        else:
            self._broken.pop(name, None)

    def _complaint(self) -> str:
        return "".join(f" ('{name}' can't be imported from {text})" for name, text in self.broken.items())

    def _modules(self) -> dict[str, str]:
        """The modules right inside the package, by the name of the thing that they would hold."""
        if not self._package:
            return {}
        package = importlib.import_module(self._package)
        found = pkgutil.iter_modules(getattr(package, "__path__", []))
        # One file per design: a package within is a family of its own.
        one = [m.name for m in found if not m.name.startswith("_") and not (m.ispkg and self._one_per_file)]
        return {name: f"{self._package}.{name}" for name in one}

    def _points(self) -> list[EntryPoint]:
        return installed(f"archfront.{self.kind.replace(' ', '_')}s")

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


@functools.cache
def installed(group: str) -> list[EntryPoint]:
    """The entry points of a group; looked up once per process, since that reads every installed package's."""
    return list(entry_points(group=group))


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
        raise SpaceError(f"{path} cannot be imported: {_line(error)}") from error
    return module


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _origin(value: object) -> str:
    return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', repr(value))}"
