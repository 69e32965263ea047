"""Python modules as data: what each top-level statement binds, and what a name in a module stands for."""

import ast
import importlib
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Definition:
    """A top-level statement that binds names: a class, a function, or a constant, with the comments above it."""

    module: str
    name: str
    node: ast.stmt
    first: int
    """The first line of its text, counted from 1; comments and decorators are part of it."""
    last: int


@dataclass(frozen=True)
class Imported:
    """What an import binds: a module (`name` is empty) or a name in one."""

    module: str
    name: str
    alias: str

    def __str__(self) -> str:
        """The statement that binds it."""
        if self.name:
            renamed = f" as {self.alias}" if self.alias != self.name else ""
            return f"from {self.module} import {self.name}{renamed}"
        renamed = f" as {self.alias}" if self.alias != self.module.partition(".")[0] else ""
        return f"import {self.module}{renamed}"


@dataclass
class Module:
    """One parsed module."""

    name: str
    lines: list[bytes]
    tree: ast.Module
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, Imported] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The first line of its docstring."""
        return (ast.get_docstring(self.tree) or self.name).split("\n")[0]

    def text_at(self, place: tuple[int, int, int, int]) -> str:
        """The text at a place: line, column, end line, end column."""
        first, start, last, end = place
        if first == last:
            return self.lines[first - 1][start:end].decode()
        middle = self.lines[first : last - 1]
        return b"\n".join([self.lines[first - 1][start:], *middle, self.lines[last - 1][:end]]).decode()


class Modules:
    """Modules by name, parsed once each. `ours` are the packages whose code is followed; all others are imported."""

    def __init__(self, ours: set[str]) -> None:
        self._ours = ours
        self._parsed: dict[str, Module] = {}

    def followed(self, module: str) -> bool:
        """Whether definitions in `module` are lifted, as opposed to imported by the exported file."""
        return module.partition(".")[0] in self._ours

    def get(self, name: str) -> Module:
        """The parsed module called `name`."""
        if name not in self._parsed:
            self._parsed[name] = _parse(name)
        return self._parsed[name]

    def find(self, module: str, name: str) -> Definition | Imported | None:
        """What `name` means at the top level of `module`; None for built-in and unknown names."""
        parsed = self.get(module)
        if name in parsed.definitions:
            return parsed.definitions[name]
        found = parsed.imports.get(name)
        return None if found is None else self.follow(found)

    def follow(self, found: Imported) -> Definition | Imported | None:
        """An import of ours taken to the definition it leads to; others stay as they are."""
        if not self.followed(found.module) or not found.name:
            return found
        if found.name not in self.get(found.module).definitions and _is_module(f"{found.module}.{found.name}"):
            return Imported(f"{found.module}.{found.name}", "", found.alias)
        return self.find(found.module, found.name)


def imported(node: ast.Import | ast.ImportFrom, module: str) -> list[Imported]:
    """What an import statement in `module` binds."""
    if isinstance(node, ast.Import):
        return [Imported(item.name, "", item.asname or item.name.partition(".")[0]) for item in node.names]
    base = node.module or ""
    if node.level:
        package = module if _is_package(module) else module.rpartition(".")[0]
        base = importlib.util.resolve_name("." * node.level + base, package)
    return [Imported(base, item.name, item.asname or item.name) for item in node.names]


def _parse(name: str) -> Module:
    loaded = sys.modules.get(name) or importlib.import_module(name)
    data = Path(str(loaded.__file__)).read_bytes().replace(b"\r\n", b"\n")
    module = Module(name, data.split(b"\n"), ast.parse(data))
    end = 0
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            _bind(module, node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in node.body:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    _bind(module, inner)
        else:
            _define(module, node, end)
        end = node.end_lineno or end
    return module


def _bind(module: Module, node: ast.Import | ast.ImportFrom) -> None:
    for found in imported(node, module.name):
        module.imports[found.alias] = found


def _define(module: Module, node: ast.stmt, previous_end: int) -> None:
    names = bound(node)
    if not names:
        return
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno] + [decorator.lineno for decorator in decorators])
    while first - 1 > previous_end and module.lines[first - 2].startswith(b"#"):
        first -= 1
    last = node.end_lineno or node.lineno
    following = module.tree.body[module.tree.body.index(node) + 1 :]
    if not hasattr(node, "body") and following and _is_text(following[0]):
        last = following[0].end_lineno or last  # the string that documents a constant
    definition = Definition(module.name, names[0], node, first, last)
    for name in names:
        module.definitions[name] = definition


def bound(node: ast.stmt) -> list[str]:
    """The names that a statement binds at its own level."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    if isinstance(node, ast.If | ast.Try):
        return [name for inner in node.body for name in bound(inner)]
    return []


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_module(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _is_package(name: str) -> bool:
    return hasattr(sys.modules.get(name), "__path__")
