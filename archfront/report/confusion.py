"""What a candidate takes for what: its confusion matrix, read from the study's folder and drawn."""

import json
from dataclasses import dataclass
from html import escape
from typing import Any

from archfront.study import Candidate, Study

KIND = "confusion"
"""The kind of artifact that holds matrices, as JSON: {"classes": [...], "validation": [[...]], "test": [[...]]}."""
LABELLED, CELL, LETTER, LONGEST = 40, 22, 6.4, 15
"""Up to so many classes have their names beside the cells; the side of a cell and the width of a letter, in pixels; the
letters of the longest name that is written out."""
WIDEST = 640
WORST = 12
"""So many classes are named with their recalls."""
LIGHT = {"text": "#1f2733", "right": "#2360d8", "wrong": "#c9532f", "none": "#f1f3f7"}
DARK = {"text": "#e4e9f2", "right": "#6ea0ff", "wrong": "#ef8a63", "none": "#232a35"}


@dataclass(frozen=True)
class Confusion:
    """Of each class (row), how many examples were taken for each class (column)."""

    classes: tuple[str, ...]
    split: str
    counts: tuple[tuple[int, ...], ...]

    def worst(self, most: int = 5) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: the class, what it is taken for, how often, and its share of the class."""
        pairs = [
            (count, wanted, found)
            for wanted, row in enumerate(self.counts)
            for found, count in enumerate(row)
            if count and wanted != found
        ]
        pairs.sort(key=lambda pair: -pair[0])
        return [
            (self.classes[wanted], self.classes[found], count, count / sum(self.counts[wanted]))
            for count, wanted, found in pairs[:most]
        ]


def confusions(study: Study, candidate: Candidate) -> list[Confusion]:
    """The matrices that the candidate's last test left, of validation and test data; none where the file is gone."""
    files = [artifact for artifact in candidate.artifacts if artifact.kind == KIND]
    if not files:
        return []
    path = study.folder / files[-1].path
    try:
        if not path.resolve().is_relative_to(study.folder.resolve()):
            return []
        value = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(map(str, value["classes"]))
        return [Confusion(classes, split, _square(value[split], len(classes))) for split in SPLITS if split in value]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # What others may have done to the file doesn't keep the page from being shown.


SPLITS = ("validation", "test")


def _square(rows: Any, side: int) -> tuple[tuple[int, ...], ...]:
    counts = tuple(tuple(int(count) for count in row) for row in rows)
    if len(counts) != side or any(len(row) != side for row in counts):
        raise ValueError("no square matrix")
    return counts


def svg(confusion: Confusion, dark: bool = False) -> str:
    """The matrix as a picture: rows are what examples are, columns what they were taken for, as shares of the row.

    With `dark` it is in the colours that the reader's scheme asks for, else for white.
    """
    side = len(confusion.classes)
    named = side <= LABELLED
    cell = CELL if named else max(2.0, WIDEST / side)
    left = LETTER * min(LONGEST, max(map(len, confusion.classes))) + 12 if named else 0
    extent = left + cell * side
    night = f"@media (prefers-color-scheme: dark){{{_colours(DARK)}}}" if dark else ""
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {extent:g} {extent:g}" width="{extent:g}" '
        f'class="confusion" role="img" font-family="system-ui, sans-serif" font-size="11">'
        f"<style>{_colours(LIGHT)}{night}</style>"
    ]
    for row, counts in enumerate(confusion.counts):
        total = max(1, sum(counts))
        for column, count in enumerate(counts):
            kind = "none" if not count else "right" if row == column else "wrong"
            strength = 1.0 if not count else 0.25 + 0.75 * count / total
            told = f"{confusion.classes[row]} taken for {confusion.classes[column]}: {count:,} ({count / total:.1%})"
            pieces.append(
                f'<rect class="{kind}" x="{left + column * cell:g}" y="{left + row * cell:g}" width="{cell - 1:g}" '
                f'height="{cell - 1:g}" fill-opacity="{strength:.2f}"><title>{escape(told)}</title></rect>'
            )
    for place, name in enumerate(confusion.classes) if named else ():
        middle = left + (place + 0.5) * cell
        pieces.append(_name(name, left - 6, middle + 4))
        turned = f"translate({middle + 4:g} {left - 6:g}) rotate(-90)"
        pieces.append(f'<g transform="{turned}">{_name(name, 0, 0, "start")}</g>')
    return "".join(pieces) + "</svg>"


def _colours(colours: dict[str, str]) -> str:
    return "".join(f".confusion .{kind}{{fill:{colour}}}" for kind, colour in colours.items())


def _name(name: str, x: float, y: float, anchor: str = "end") -> str:
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return f'<text class="text" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(short)}</text>'


def said(confusion: Confusion) -> str:
    """The most frequent mistakes in a line; empty where there are none."""
    words = [f"{wanted} for {found} {count:,}× ({share:.0%})" for wanted, found, count, share in confusion.worst()]
    return f"{confusion.split} data, most frequent mistakes: {', '.join(words)}" if words else ""


def recalls(confusion: Confusion) -> str:
    """What share of each class was found, the least first, in a line; of many classes the worst."""
    found = [
        (row[place] / sum(row), row[place], sum(row), name)
        for place, (name, row) in enumerate(zip(confusion.classes, confusion.counts, strict=True))
        if sum(row)
    ]
    if not found:
        return ""
    mean = sum(share for share, *_ in found) / len(found)
    words = [f"{name} {share:.0%} ({right:,} of {total:,})" for share, right, total, name in sorted(found)[:WORST]]
    more = f" and {len(found) - WORST} better ones" if len(found) > WORST else ""
    return f"{confusion.split} data, balanced accuracy {mean:.4g}, recall by class: {', '.join(words)}{more}"
