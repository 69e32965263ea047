"""`archfront blocks`: the parts that architectures are made of, by family; one of them with all that is known of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archfront.commands.printing import AsJson, print_json, print_table, table_of

if TYPE_CHECKING:
    from search_spaces.families import Family
    from search_spaces.registry import Entry


def blocks(
    pattern: Annotated[str, typer.Argument(help="A part's name, or names with * and ?.")] = "*",
    family: Annotated[str | None, typer.Option(help="List one family of parts only.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the parts that architectures are made of, by family; a name alone tells all of that part.

    In a supernet, configurations of a sliced part share weights, and those of a branched one have their own.
    """
    from search_spaces.errors import SpaceError, near
    from search_spaces.families import FAMILIES

    if ".py:" in pattern:
        family, pattern = _in_a_file(pattern)
    chosen = [FAMILIES.find(family)] if family else [FAMILIES[name] for name in FAMILIES]
    found = [(one, name) for one in chosen for name in one.names(pattern)]
    if not found and not set(pattern) & set("*?["):
        known = {name for one in chosen for name in one.names()}
        what = f"{family.replace('_', ' ')}" if family else "part"
        raise SpaceError(f"no {what} is named '{pattern}'; {near(pattern, known)}")
    rows = [_row(one, one.entry(name)) for one, name in found]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(f"no part's name matches '{pattern}'")
    elif not set(pattern) & set("*?["):
        for row in rows:
            _print_part(row)
    else:
        _print_families(chosen, rows)


def _in_a_file(path: str) -> tuple[str, str]:
    """The family and name of a part in a user's own file, which is registered by importing it."""
    from search_spaces.errors import SpaceError
    from search_spaces.parts import Part
    from search_spaces.registry import Registry

    found: Any = Registry[Any]("part").get(path)
    if not (isinstance(found, type) and issubclass(found, Part) and found.name):
        raise SpaceError(f"{path} is no part; give a class that is decorated with @part")
    return found.family, found.name


def _row(family: "Family", entry: "Entry[Any]") -> dict[str, Any]:
    from search_spaces.weight_sharing.sharing import weights_of

    sides = entry.value.sides
    return {
        "family": family.name,
        "name": entry.name,
        "fields": [_field(entry.value, name) for name in _names(entry.value)],
        "supernet": weights_of(entry.value),
        "sides": "any" if sides is None else " or ".join(map(str, sides)),
        "source": entry.source or "-",
        "about": entry.about,
        "module": entry.value.__module__,
        "text": (entry.value.__doc__ or "").strip(),
    }


def _names(cls: Any) -> Sequence[str]:
    from search_spaces.parts import fields_of

    return fields_of(cls)


def _field(cls: Any, name: str) -> dict[str, Any]:
    from search_spaces.canonical import default_texts
    from search_spaces.parts import told

    said = told(cls, name)
    kind = said.get("family") or said.get("size") or "setting"
    return {"name": name, "kind": kind, "default": default_texts(cls).get(name), "grows": bool(said.get("grows"))}


def _print_families(families: Sequence["Family"], rows: Sequence[dict[str, Any]]) -> None:
    """Family by family, a line each: at hundreds of parts, what one looks for is found by its family."""
    for family in families:
        mine = [row for row in rows if row["family"] == family.name]
        if mine:
            typer.echo(f"\n{family.name} ({len(mine)})")
            lines = [[f"  {row['name']}", row["supernet"], row["about"]] for row in mine]
            print_table(table_of(["  name", "supernet", "about"], lines))
    typer.echo(f"\n{len(rows)} parts; archfront blocks NAME tells all of one")


def _print_part(row: dict[str, Any]) -> None:
    typer.echo(f"{row['family']} {row['name']}: {row['text']}\n")
    typer.echo(
        f"source    {row['source']}\nmodule    {row['module']}\nsupernet  {row['supernet']}\nsides     {row['sides']}"
    )
    if row["fields"]:
        typer.echo("")
        heads = ["field", "kind", "default"]
        rows = [[f["name"], f["kind"], _shown(f["default"])] for f in row["fields"]]
        print_table(table_of(heads, rows))


def _shown(default: str | None) -> str:
    """A default's text as a person would write it."""
    import json
    import re

    if default is None:
        return "(needed)"
    text = re.sub(r'\{"part":"\w+/(\w+)"\}', r'"\1"', default)
    value = json.loads(text) if text[:1] not in "{[" else text
    return "-" if value is None else str(value)
