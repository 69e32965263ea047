"""The best few of a study, trained from scratch or fine-tuned on several seeds, as a study of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archfront.contracts import WrongUse
from archfront.settings import Settings, overlaid, settings_from, settings_of
from archfront.study import Point, Study
from archfront.supernets.judging import judged
from archfront.supernets.settings import recipe_in
from evaluators.recipes.training import FIELDS
from search_spaces import canonical
from search_spaces.registry import load_file


@dataclass(frozen=True)
class Final:
    """How finalists are trained: how many of the front, with how many seeds, how long, from what weights, by whom."""

    top: int = 5
    seeds: int = 3
    epochs: int | None = None
    fine_tune: bool = False
    workers: int = 1


def settings_for(study: Study, final: Final, name: str, url: str, begun: Study | None = None) -> Settings:
    """The settings of the study `name`, whose candidates are the finalists of `study`; a `begun` one goes on.

    Space, data and their split, objectives, constraints, device and recipe are those of `study`, or of its supernet.
    The seeds are the next ones after those that it trained with: the same trainings again would tell nothing. Raises
    `WrongUse` when there is no front, or nothing to fine-tune from.
    """
    kept = _recipe(begun or study)
    evaluator: dict[str, Any] = {**kept, "name": "training", "seeds": final.seeds}
    if final.epochs is not None:
        evaluator["epochs"] = final.epochs
    if final.fine_tune:
        evaluator["inherit"] = supernet_of(study)
    base = settings_of(begun or study)
    base.pop("workers", None)
    base.pop("launcher", None)
    base.pop("warm_start", None)
    texts = _given(begun) if begun is not None else [_text(study, point) for point in best(study, final.top)]
    over: dict[str, Any] = {
        "name": name,
        "db": url,
        "workers": final.workers,
        "controller": {"name": "given", "architectures": texts},
        "budget": {"evaluations": len(texts)},
    }
    if begun is None:
        trained = (study.settings.get("evaluator_settings") or {}).get("seeds", 1)
        over |= {"seed": study.seed + trained, "data": {"seed": study.seed, **base["data"]}}
    return settings_from({**overlaid(base, over), "evaluator": evaluator}, f"finalists of '{study.name}'")


def _recipe(study: Study) -> dict[str, Any]:
    """The fields of the recipe that the study's trainings were given, or those of its supernet."""
    folder, settings = judged(study)
    if folder:
        return recipe_in(Path(folder))
    return {key: value for key, value in settings.items() if key in FIELDS}


def best(study: Study, top: int) -> list[Point]:
    """Up to `top` candidates of the front, spread along it; the best in the first objective is always among them."""
    front = study.front()
    if not front:
        raise WrongUse(f"the study '{study.name}' has no front yet, so it has no finalists; search on")
    if top < 1:
        raise WrongUse(f"--top {top} must be 1 or more")
    return spread(front, top)


def spread(front: Sequence[Point], top: int) -> list[Point]:
    """Of a front's points the `top` that lie farthest apart, beginning with the best in the first objective.

    Distances are between losses, each objective over its range along the front, so that no unit counts more.
    """
    columns = list(zip(*(point.losses for point in front), strict=True))
    ranges = [max(column) - min(column) or 1.0 for column in columns]
    scaled = [[loss / size for loss, size in zip(point.losses, ranges, strict=True)] for point in front]

    def distance(a: int, b: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(scaled[a], scaled[b], strict=True))

    chosen = [min(range(len(front)), key=lambda i: front[i].losses)]
    while len(chosen) < min(top, len(front)):
        rest = [i for i in range(len(front)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: min(distance(i, j) for j in chosen)))
    return [front[i] for i in sorted(chosen, key=lambda i: front[i].losses)]


def supernet_of(study: Study) -> str:
    """The folder of the supernet that a study's candidates were evaluated in."""
    folder, _ = judged(study)
    if not folder:
        raise WrongUse(f"the study '{study.name}' was not evaluated in a supernet, so there is nothing to fine-tune")
    return folder


def _text(study: Study, point: Point) -> str:
    if ".py:" in study.space:
        load_file(study.space.rpartition(":")[0], "space")
    return canonical.text(canonical.from_json(study.candidate(point.digest).architecture))


def _given(study: Study) -> list[str]:
    """The architectures that a study of finalists was begun with: its front may have changed since."""
    found = (study.settings.get("controller_settings") or {}).get("architectures")
    if study.settings.get("controller") != "given" or not found:
        raise WrongUse(f"the study '{study.name}' holds other things than finalists; name another with --to-study")
    return list(found)


__all__ = ["Final", "best", "settings_for", "spread", "supernet_of"]
