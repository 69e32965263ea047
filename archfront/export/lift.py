"""Lifting: the text of everything that one architecture's network is built from, as it would stand in one file.

Classes, functions and constants keep their own text, with docstrings and comments; only names that clash and things
that only a search needs are changed. What isn't ours is imported as the original did.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from archfront.export.modules import Definition, Imported, Module, Modules
from archfront.export.reading import Needs, Reading, Span, read
from search_spaces.parts import Part, fields_of
from search_spaces.site import Site

RESERVED = (
    "ARCHITECTURE",
    "CLASSES",
    "INPUTS",
    "OUTPUTS",
    "PREPROCESSING",
    "Part",
    "Path",
    "build",
    "dataclass",
    "load",
    "load_model",
    "nn",
    "prepare",
    "torch",
)
"""Names that the exported file has for itself."""


@dataclass
class Lifted:
    """The pieces of a stand-alone file."""

    imports: list[Imported]
    """Imports at the top of the file."""
    packages: set[str]
    """The top-level packages that are imported, at the top or inside functions."""
    sections: list[tuple[str, list[str]]]
    """Per original module, in an order in which they can run: its title and its definitions."""
    class_names: dict[type, str] = field(default_factory=dict)
    """What each part's class is called in the file."""
    site: str = "Site"
    """What the class of sites is called in the file."""


def parts_in(value: Any) -> list[Part]:
    """Every part of an architecture, depth first, each distinct one once."""
    found: dict[Part, None] = {}

    def walk(item: Any) -> None:
        if isinstance(item, Part):
            found[item] = None
            for name in fields_of(item):
                walk(getattr(item, name))
        elif isinstance(item, tuple):
            for inner in item:
                walk(inner)

    walk(value)
    return list(found)


def lift(architecture: Part) -> Lifted:
    """All definitions that the classes in `architecture` need, ready to be written to one file.

    Raises `ExportRefused` when one of them uses something while it builds that only a search has.
    """
    classes = list(dict.fromkeys(type(part) for part in parts_in(architecture)))
    modules = Modules({"search_spaces"} | {cls.__module__.partition(".")[0] for cls in classes})
    every: list[type] = [Site, *classes]
    roots = [_definition(modules, cls) for cls in every]
    readings = _closure(roots, modules)
    order = _module_order(readings, modules)
    names = _names(readings, order)
    imports = _imports(readings, names)
    sections = []
    for module in order:
        mine = sorted((r for r in readings if r.definition.module == module), key=lambda r: r.definition.first)
        sections.append((modules.get(module).title, [_text(r, modules.get(module), names) for r in mine]))
    used = {i.module.partition(".")[0] for i in [*imports, *[i for r in readings for i in r.local_imports]]}
    named = {cls: names[(cls.__module__, cls.__name__)] for cls in every}
    return Lifted(imports, used, sections, named, named[Site])


def _definition(modules: Modules, cls: type) -> Definition:
    found = modules.find(cls.__module__, cls.__name__)
    if not isinstance(found, Definition):
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} isn't defined at the top level of its module")
    return found


def _closure(roots: Iterable[Definition], modules: Modules) -> list[Reading]:
    """Everything reached from `roots`, read until it is known what the whole asks of its parts."""
    roots, needs = list(roots), Needs()
    while True:
        readings: dict[tuple[str, int], Reading] = {}
        todo = list(roots)
        while todo:
            definition = todo.pop()
            key = (definition.module, definition.first)
            if key not in readings:
                readings[key] = read(definition, modules, needs)
                todo += [target for _, target in readings[key].uses if isinstance(target, Definition)]
        found = list(readings.values())
        parts = {(r.definition.module, r.definition.name) for r in found if r.part is not None}
        wider = Needs(
            needs.attributes.union(*(r.attributes for r in found)),
            needs.constructed.union(*(r.called & parts for r in found)),
        )
        if wider == needs:
            return found
        needs = wider


def _module_order(readings: list[Reading], modules: Modules) -> list[str]:
    """The modules, each behind those that it uses, which is an order in which Python can run them."""
    uses: dict[str, set[str]] = {}
    for reading in readings:
        needed = uses.setdefault(reading.definition.module, set())
        needed |= {target.module for _, target in reading.uses if isinstance(target, Definition)}
    order: list[str] = []

    def place(module: str, above: tuple[str, ...]) -> None:
        if module not in order and module not in above:
            for needed in sorted(uses[module]):
                place(needed, (*above, module))
            order.append(module)

    # Topologies come last, the way one reads a network: from its pieces up.
    for module in sorted(uses, key=lambda name: (".blocks." not in name, name)):
        place(module, ())
    return order


def _names(readings: list[Reading], order: list[str]) -> dict[tuple[str, str], str]:
    """A name in the file for each definition and import, its own where no other has it."""
    names: dict[tuple[str, str], str] = {}
    taken = set(RESERVED)

    def claim(key: tuple[str, str], wanted: str, module: str) -> None:
        if key in names:
            return
        name, count = wanted, 2
        if name in taken:
            name = f"{wanted}_{module.rpartition('.')[2]}"
        while name in taken:
            name, count = f"{wanted}_{count}", count + 1
        names[key] = name
        taken.add(name)

    # torch and nn are imported by every exported file under these names.
    names[("torch", "")], names[("torch", "nn")], names[("pathlib", "Path")] = "torch", "nn", "Path"
    names[("dataclasses", "dataclass")] = "dataclass"
    by_module = sorted(readings, key=lambda r: (order.index(r.definition.module), r.definition.first))
    for reading in by_module:
        for _, target in reading.uses:
            if isinstance(target, Imported):
                claim((target.module, target.name), target.alias, "import")
    for reading in by_module:
        definition = reading.definition
        claim((definition.module, definition.name), definition.name, definition.module)
    for reading in by_module:
        for _, target in reading.uses:
            if isinstance(target, Definition):
                claim((target.module, target.name), target.name, target.module)
    return names


def _imports(readings: list[Reading], names: dict[tuple[str, str], str]) -> list[Imported]:
    found = {Imported("dataclasses", "dataclass", "dataclass")}
    for reading in readings:
        for _, target in reading.uses:
            if isinstance(target, Imported):
                found.add(Imported(target.module, target.name, names[(target.module, target.name)]))
    return sorted(found, key=lambda item: (item.module, item.name))


def _text(reading: Reading, module: Module, names: dict[tuple[str, str], str]) -> str:
    """The definition's own text, with its edits made."""
    definition = reading.definition
    edits = list(reading.edits)
    for place, target in reading.uses:
        new = target if isinstance(target, str) else names[(target.module, target.name)]
        if place[:2] == place[2:] or module.text_at(place) != new:
            edits.append((place, new))
    text = _edited(module, definition, edits)
    name = names[(definition.module, definition.name)]
    if name != definition.name:
        text = re.sub(rf"^((?:async )?def|class) {definition.name}\b", rf"\1 {name}", text, count=1, flags=re.M)
    if reading.part is None:
        return text
    return f"# {reading.part.family}/{reading.part.name}: {reading.part.source}\n{text}"


def _edited(module: Module, definition: Definition, edits: list[tuple[Span, str]]) -> str:
    lines = module.lines[definition.first - 1 : definition.last]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    data = b"\n".join(lines)
    places = [
        (starts[a - definition.first] + b, starts[c - definition.first] + d, text.encode())
        for (a, b, c, d), text in edits
    ]
    for start, end, text in sorted(places, key=lambda place: (place[0], place[1]), reverse=True):
        data = data[:start] + text + data[end:]
    return data.decode()
