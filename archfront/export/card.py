"""The card of an export: what the network is, what was measured and how, and how to use each file."""

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archfront
from archfront.contracts import Metric
from archfront.export.formats import FORMATS, Format
from archfront.export.lift import parts_in
from archfront.export.preprocessing import described
from archfront.export.script import SCRIPT
from archfront.export.subject import Subject, figure
from archfront.export.verify import Check
from search_spaces.canonical import to_json, tree

if TYPE_CHECKING:
    from archfront.export.earlier import Earlier

MANIFEST = "manifest.sha256"
CARD = "card.json"
PAGE = "card.md"


@dataclass(frozen=True)
class Written:
    """What an export wrote: its formats, the names of their files, how near they came, and what was noticed."""

    formats: tuple[Format, ...]
    files: dict[str, list[str]]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]


def write_card(subject: Subject, written: Written, before: "Earlier", folder: Path) -> dict[str, Any]:
    """Write `card.json` and `card.md` about the files in `folder`, those from `before`, too; gives the content."""
    card = content(subject, written, before, folder)
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(subject, card), encoding="utf-8")
    return card


def write_manifest(folder: Path) -> None:
    """Write `manifest.sha256` over all files in `folder`, in the form that `sha256sum -c` reads."""
    files = sorted(file for file in folder.iterdir() if file.name != MANIFEST)
    lines = [f"{digest_of(file)}  {file.name}\n" for file in files]
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")


def digest_of(file: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        found = sha256()
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def content(subject: Subject, written: Written, before: "Earlier", folder: Path) -> dict[str, Any]:
    """The card as JSON values."""
    usage = {**before.usage, **{format.name: format.usage(subject) for format in written.formats}}
    known = [*written.formats, *(FORMATS.get(name)() for name in before.usage if name in FORMATS)]
    packages = dict.fromkeys(name for format in known for name in format.packages)
    rewritten = (*(f"{name}:" for name in written.files), *(f for names in written.files.values() for f in names))
    notes = [note for note in before.notes if not note.startswith(rewritten)]
    kinds = dict.fromkeys(type(part) for part in parts_in(subject.architecture))
    return {
        "archfront_export": 1,
        "title": subject.title,
        "study": subject.study,
        "candidate": subject.number,
        "digest": subject.digest,
        "weights_sha256": subject.weights_sha256,
        "space": subject.space,
        "inputs": list(subject.inputs),
        "outputs": subject.outputs,
        "classes": list(subject.classes),
        "preprocessing": described(subject.data_set) if subject.data_set is not None else {},
        "metrics": [_plain(metric) for metric in subject.metrics],
        "training": subject.training,
        "data": subject.data,
        "checks": [asdict(check) for check in (*before.checks, *written.checks)],
        "notes": list(dict.fromkeys([*notes, *written.notes])),
        "formats": {**before.files, **written.files},
        "usage": dict(sorted(usage.items())),
        "versions": {"archfront": archfront.__version__, "python": platform.python_version(), **_versions(packages)},
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": digest_of(file)} for file in sorted(folder.iterdir())
        },
        "sources": [{"part": f"{c.family}/{c.name}", "source": c.source} for c in kinds],
        "architecture": to_json(subject.architecture),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def page(subject: Subject, card: dict[str, Any]) -> str:
    """The card for people, as Markdown."""
    lines = [
        f"# {card['title'][0].upper()}{card['title'][1:]}",
        "",
        f"Takes {subject.takes}, gives {subject.gives}{_what(subject)}.",
    ]
    if subject.data.get("preprocessing"):
        lines += ["", f"Inputs must be prepared as in training: {subject.data['preprocessing']}."]
    if "size" in card["preprocessing"]:
        lines += ["", _pictures(card["preprocessing"]), *_script(card)]
    if subject.classes:
        lines += ["", f"Classes, in order: {', '.join(subject.classes)}."]
    if subject.metrics:
        lines += [
            "",
            "## Metrics",
            "",
            "| metric | value | 95 % interval | kind | how it was got |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(metric) for metric in subject.metrics]
    lines += ["", "## Files", "", "| file | bytes | sha256 |", "|---|---|---|"]
    lines += [f"| {name} | {file['bytes']:,} | `{file['sha256']}` |" for name, file in card["files"].items()]
    lines += ["", f"`sha256sum -c {MANIFEST}` checks them all.", "", "## Use"]
    for name, text in card["usage"].items():
        lines += ["", f"{name}:", "", "```python", text, "```"]
    lines += ["", "## Checks against the searched network", ""]
    lines += [
        f"- {c['format']}: {c['inputs']} {c['kind']}, largest difference {c['max_difference']:.2e} "
        f"(allowed {c['tolerance']:.2e}), same top-1" + (f", {c['ties']} ties" if c["ties"] else "")
        for c in card["checks"]
    ]
    lines += [f"- {note}" for note in card["notes"]]
    for title, values in (("Training", card["training"]), ("Data", card["data"]), ("Versions", card["versions"])):
        if values:
            lines += ["", f"## {title}", ""]
            lines += [f"- {key}: {_value(value)}" for key, value in values.items()]
    lines += ["", "## Architecture", "", f"Digest `{card['digest']}`, space `{card['space'] or '-'}`.", "", "```"]
    lines += [*tree(card["architecture"]), "```", "", "## Sources", ""]
    lines += [f"- {item['part']}: {item['source']}" for item in card["sources"]]
    return "\n".join(lines) + "\n"


def _pictures(said: dict[str, Any]) -> str:
    """How pictures become what the network takes."""
    height, width = said["size"]
    return (
        f"Pictures, 8 bits a channel, are turned {said['orientation']}, made {said['channel_order']}, scaled "
        f"({said['resize']}) to {height}×{width} (height × width), cropped in the {said['crop']}, then prepared "
        f"as above and laid out {said['layout']}. `pipeline` does all of it but the turning."
    )


def _script(card: dict[str, Any]) -> list[str]:
    """How to get the classes of files from a shell, where the script is there."""
    if SCRIPT not in card["files"]:
        return []
    return [
        "",
        f"`python {SCRIPT} PHOTO...` says what is seen in files, and needs onnxruntime, numpy and pillow only; so says "
        "`archfront predict FOLDER PHOTO...`.",
    ]


def _what(subject: Subject) -> str:
    """What the outputs are, where the task says it."""
    if subject.data_set is None:
        return ""
    task = subject.data_set.task
    return f": {task.describe()}; `pipeline` turns them into {task.readable}"


def _plain(metric: Metric) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(metric).items() if value is not None}
    kept["provenance"] = {key: value for key, value in kept["provenance"].items() if value not in ("", None, ())}
    return kept


def _row(metric: Metric) -> str:
    interval = "" if metric.low is None or metric.high is None else f"{figure(metric.low)} – {figure(metric.high)}"
    how = "; ".join(f"{key} {_value(value)}" for key, value in _plain(metric)["provenance"].items())
    return f"| {metric.name} | {figure(metric.value)} {metric.unit} | {interval} | {metric.kind} | {how} |"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_value(item)}" for key, item in value.items())
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _versions(packages: dict[str, None]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
