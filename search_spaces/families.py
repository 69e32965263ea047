"""Families of parts: each is declared in one place, by its package's `__init__` or by anybody's own file."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search_spaces.errors import SpaceError, near
from search_spaces.registry import Registry, installed
from search_spaces.site import Shape, Site

ROOTS = ("blocks", "topologies")
"""The packages beside this module whose sub-packages are families."""
GROUP = "archfront.families"
"""The entry points by which other packages name theirs: the family's name, and the module that declares it."""


class Family(Registry[Any]):
    """The parts of one kind, which may stand in the same slots; one design per module of `package`.

    Declaring one is all that a family takes: `NORM = Norms("norm", __name__)`. A family whose parts the conformance
    suite is to test says how a network holds one (`network`), and, where `build(site)` alone doesn't give a module
    that takes a batch, how one is tested alone (`module`, `shape_after`).
    """

    takes_inputs: bool = False
    """Whether its parts are given a network's inputs themselves, and not the maps that a stem makes of them."""
    same_shape: bool = True
    """Whether modules give what they are given, in shape, so that any member can stand in for another."""

    def __init__(self, name: str, package: str = "") -> None:
        super().__init__(name.replace("_", " "), package, one_per_file=True)
        self.name = name
        FAMILIES.declare(self)

    def site(self, shape: Shape) -> Site:
        """The site at which a part is tested on features of `shape`."""
        return Site(tuple(shape))

    def module(self, part: Any, site: Site) -> Any:
        """The module of a part as it is tested alone: a map in, `shape_after` out."""
        return part.build(site)

    def shape_after(self, part: Any, site: Site) -> Shape:
        """The shape that the module gives."""
        return tuple(part.shape_after(site))

    def network(self, part: Any, site: Site) -> Any:
        """A tree of networks of two widths that have `part` in them, where it is given features of the site's shape.

        The networks take inputs of 3 channels and the site's sides; of a stem or network, of the very shape.
        """
        raise SpaceError(f"the family '{self.name}' doesn't say how a network holds its parts; override network()")


class Families(Mapping[str, Family]):
    """Every family by name. Those of ours and of installed packages are found by their names, without an import."""

    def __init__(self) -> None:
        self._declared: dict[str, Family] = {}

    def declare(self, family: Family) -> None:
        """Add a family; two of one name are an error, except where a module is imported anew."""
        known = self._declared.get(family.name)
        if known is not None and known._package != family._package:
            raise SpaceError(f"two families of parts are named '{family.name}': rename one")
        self._declared[family.name] = family

    def __getitem__(self, name: str) -> Family:
        if name not in self._declared:
            module = self._places().get(name)
            if module is None:
                raise KeyError(name)
            importlib.import_module(module)
            if name not in self._declared:
                raise SpaceError(f"{module} declares no family '{name}'; say Family('{name}', __name__) there")
        return self._declared[name]

    def find(self, name: str, path: str = "") -> Family:
        """The family called `name`; raises `SpaceError`, at `path`, with the near names when there is none."""
        if name not in self:
            raise SpaceError(f"no family of parts is named '{name}'; {near(name, self)}", path)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._declared or name in self._places()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._declared, *self._places()}))

    def __len__(self) -> int:
        return len({*self._declared, *self._places()})

    def _places(self) -> dict[str, str]:
        """The modules that declare families, by the families' names."""
        here, package = Path(__file__).parent, __name__.rpartition(".")[0]
        found = {point.name: point.module for point in installed(GROUP)}
        for root in ROOTS:
            inner = pkgutil.iter_modules([str(here / root)])
            found |= {module.name: f"{package}.{root}.{module.name}" for module in inner if module.ispkg}
        return found


FAMILIES = Families()
"""Every family of parts."""


def class_in(package: str, name: str) -> Any:
    """The class `name` of whichever module below `package` defines it; only that module is imported.

    For the `__getattr__` of packages that hold one design per file. Raises `AttributeError` where there is none.
    """
    folder = Path(str(sys.modules[package].__file__)).parent
    for file in sorted(folder.rglob("*.py")) if name[:1].isupper() else ():
        if f"\nclass {name}(" in file.read_text(encoding="utf-8"):
            inner = file.relative_to(folder).with_suffix("").parts
            return getattr(importlib.import_module(".".join((package, *inner))), name)
    raise AttributeError(f"module '{package}' has no attribute '{name}'")
