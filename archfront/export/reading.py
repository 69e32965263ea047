"""One definition read for lifting: which names it uses from where, and how its text must change to stand alone."""

import ast
import sys
from dataclasses import dataclass, field
from typing import Any

from archfront.export.errors import ExportRefused
from archfront.export.modules import Definition, Imported, Modules, imported
from search_spaces.families import FAMILIES

PART = ("search_spaces.parts", "Part")
DECORATOR = ("search_spaces.parts", "part")
SLOT = ("search_spaces.parts", "slot")
FIELD_OF_ANY = ("search_spaces.parts", "shared")
FIELDS = {SLOT, ("search_spaces.parts", "size"), FIELD_OF_ANY}
DECLARATIONS = "search_spaces.declarations"
REPLACED = {("search_spaces.errors", "SpaceError"): "ValueError"}
ALGEBRA = {
    f"search_spaces.{name}" for name in ("canonical", "decisions", "families", "holes", "parts", "registry", "space")
}
Target = Definition | Imported | str
Span = tuple[int, int, int, int]


@dataclass(frozen=True)
class Needs:
    """What the lifted code as a whole asks of its parts: attributes it reads, parts it makes itself."""

    attributes: frozenset[str] = frozenset({"build"})
    constructed: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Reading:
    """What was found in one definition."""

    definition: Definition
    uses: list[tuple[Span, Target]] = field(default_factory=list)
    """Where a name stands, and what it means; a string replaces the name as it is."""
    edits: list[tuple[Span, str]] = field(default_factory=list)
    called: set[tuple[str, str]] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    local_imports: list[Imported] = field(default_factory=list)
    uses_part: bool = False
    part: Any = None
    """The part, when the definition is one."""


def read(definition: Definition, modules: Modules, needs: Needs) -> Reading:
    """Read `definition`; raises `ExportRefused` when it uses something that only a search has."""
    reader = _Reader(definition, modules, needs)
    reader.visit(definition.node)
    return reader.reading


def span(node: Any) -> Span:
    """Where a node stands: line, column, end line, end column (in bytes)."""
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


class _Reader(ast.NodeVisitor):
    def __init__(self, definition: Definition, modules: Modules, needs: Needs) -> None:
        self.reading = Reading(definition)
        self._modules = modules
        self._needs = needs
        self._lines = modules.get(definition.module).lines
        # Defaults that were replaced, so that what they name is not looked up.
        self._settled: set[ast.expr] = set()
        # Whether the class that is read is a part, or a base of parts.
        self._of_parts = False
        # Innermost scope last: what kind it is, and what its names mean (None: a variable).
        self._scopes: list[tuple[str, dict[str, Target | None]]] = []

    # Scopes and names

    def _lookup(self, name: str) -> Target | None:
        for depth, (kind, names) in enumerate(reversed(self._scopes)):
            if name in names and (kind != "class" or depth == 0):
                return names[name]
        return self._modules.find(self.reading.definition.module, name)

    def _key(self, node: ast.expr) -> tuple[str, str] | None:
        found = self._lookup(node.id) if isinstance(node, ast.Name) else None
        return (found.module, found.name) if isinstance(found, Definition | Imported) else None

    def visit_Name(self, node: ast.Name) -> None:
        self._use(node, self._lookup(node.id))

    def _use(self, node: ast.expr, target: Target | None) -> None:
        if target is None:
            return
        if isinstance(target, Definition | Imported):
            key = (target.module, target.name)
            if key in REPLACED:
                self.reading.edits.append((span(node), REPLACED[key]))
                return
            if key == PART:
                self.reading.uses_part = True
                return
            self._check(target)
        self.reading.uses.append((span(node), target))

    def _check(self, target: Definition | Imported) -> None:
        whole_module = isinstance(target, Imported) and not target.name and self._modules.followed(target.module)
        if target.module in ALGEBRA or whole_module:
            definition = self.reading.definition
            what = f"{target.module}.{target.name}".rstrip(".")
            raise ExportRefused(
                f"{definition.module}.{definition.name} uses {what} while it builds, which a stand-alone file can't "
                "carry; use only torch, timm and the fields of the part there"
            )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.reading.attributes.add(node.attr)
        found = self._lookup(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(found, Imported) and not found.name and self._modules.followed(found.module):
            self._use(node, self._modules.find(found.module, node.attr))
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        key = self._key(node.func)
        if key is not None:
            self.reading.called.add(key)
        self.generic_visit(node)

    # Definitions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            key = self._key(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if isinstance(decorator, ast.Call) and key == DECORATOR:
                self._part(node, decorator)
            elif key is not None and key[0] == DECLARATIONS:
                # What only the mechanisms of a search ask of a module.
                last = (decorator.end_lineno or decorator.lineno) + 1
                self.reading.edits.append(((decorator.lineno, 0, last, 0), ""))
            else:
                self.visit(decorator)
        self._of_parts = self.reading.part is not None or any(self._key(base) == PART for base in node.bases)
        for base in [*node.bases, *[keyword.value for keyword in node.keywords]]:
            self.visit(base)
        names = [n.id for item in node.body for n in ast.walk(item) if isinstance(n, ast.Name) and _stored(n)]
        self._scopes.append(("class", dict.fromkeys(names)))
        for item in node.body:
            self._member(node, item)
        self._scopes.pop()

    def _part(self, node: ast.ClassDef, decorator: ast.Call) -> None:
        """`@part(...)` becomes `@dataclass(frozen=True)`; keyword-only where defaults that name parts are dropped."""
        module = self.reading.definition.module
        self.reading.part = getattr(sys.modules[module], node.name)
        constructed = (module, node.name) in self._needs.constructed
        dropped = False
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and item.value is not None:
                dropped = self._default(item, item.value, constructed) or dropped
        options = "frozen=True, kw_only=True" if dropped else "frozen=True"
        self.reading.edits.append((span(decorator), f"dataclass({options})"))

    def _default(self, item: ast.AnnAssign, value: ast.expr, constructed: bool) -> bool:
        """Replace a default that only a search understands; True when the field has none any more."""
        text: str | None = None
        if isinstance(value, ast.Call) and self._key(value.func) in FIELDS:
            first = 0 if self._key(value.func) == FIELD_OF_ANY else 1
            given = [*value.args[first:], *[k.value for k in value.keywords if k.arg == "default"]]
            default = given[0] if given else None
            if default is not None and _plain(default):
                text = f" = {ast.unparse(default)}"
            elif constructed and isinstance(default, ast.Constant) and isinstance(default.value, str):
                family = ast.literal_eval(value.args[0])
                named = FAMILIES[family].get(default.value)
                self._modules.get(named.__module__)
                found = self._modules.find(named.__module__, named.__name__)
                if found is not None:
                    place = (*span(value)[:2], *span(value)[:2])
                    self.reading.uses.append((place, found))
                    self.reading.edits.append((span(value), "()"))
                    self._settled.add(value)
                    return False
        elif not any(self._searched(node) for node in ast.walk(value)):
            return False
        start = span(item.annotation)[2:]
        self.reading.edits.append(((*start, *span(value)[2:]), text or ""))
        self._settled.add(value)
        return text is None

    def _searched(self, node: ast.AST) -> bool:
        key = self._key(node) if isinstance(node, ast.Name) else None
        return key is not None and key[0] in ALGEBRA and key != PART

    def _member(self, owner: ast.ClassDef, item: ast.stmt) -> None:
        """Methods that nothing lifted calls serve the search alone (`validate`, `accepts` …): they are left out."""
        idle = (
            self._of_parts
            and isinstance(item, ast.FunctionDef)
            and item.name not in self._needs.attributes
            and not item.name.startswith("__")
        )
        if idle:
            self._remove(owner.body, item)
        else:
            self.visit(item)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        self.visit(node.annotation)
        if node.value is not None and node.value not in self._settled:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = node.args
        outside = [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults, node.returns]
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        outside += [argument.annotation for argument in every if argument is not None]
        for expression in outside:
            if expression is not None:
                self.visit(expression)
        shared = {name for n in ast.walk(node) if isinstance(n, ast.Global) for name in n.names}
        names = [argument.arg for argument in every if argument is not None]
        names += [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _stored(n) and n.id not in shared]
        self._scopes.append(("function", dict.fromkeys(names)))
        for n in ast.walk(node):
            if isinstance(n, ast.Import | ast.ImportFrom):
                self._local_import(n)
        for item in node.body:
            if isinstance(item, ast.Import | ast.ImportFrom) and self._ours(item):
                self._remove(node.body, item)
            else:
                self.visit(item)
        self._scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self._scopes.append(("function", {argument.arg: None for argument in node.args.args}))
        self.visit(node.body)
        self._scopes.pop()

    def _ours(self, node: ast.Import | ast.ImportFrom) -> bool:
        return any(self._modules.followed(i.module) for i in imported(node, self.reading.definition.module))

    def _local_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for item in imported(node, self.reading.definition.module):
            if self._modules.followed(item.module):
                self._scopes[-1][1][item.alias] = self._modules.follow(item)
            else:
                self._scopes[-1][1][item.alias] = None
                self.reading.local_imports.append(item)

    def _remove(self, body: list[ast.stmt], item: ast.stmt) -> None:
        place = body.index(item)
        if len(body) == 1:
            self.reading.edits.append((span(item), "pass"))
            return
        first = min([item.lineno, *[d.lineno for d in getattr(item, "decorator_list", [])]])
        before = (body[place - 1].end_lineno or first - 1) if place else first - 1
        self.reading.edits.append(
            ((before, len(self._lines[before - 1]), item.end_lineno or first, item.end_col_offset or 0), "")
        )


def _plain(node: ast.expr) -> bool:
    """Whether an expression is made of constants alone, none of which names a part."""
    return not any(isinstance(inner, ast.Name | ast.Attribute | ast.Call) for inner in ast.walk(node)) and not any(
        isinstance(inner, ast.Constant) and isinstance(inner.value, str) for inner in ast.walk(node)
    )


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
