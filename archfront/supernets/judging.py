"""Which supernet a study's candidates are judged with."""

from typing import Any

from archfront.study import Study
from evaluators.base import find, parse


def judged(study: Study) -> tuple[str, dict[str, Any]]:
    """The folder of the supernet that a study's evaluator judges with, if it does, and the evaluator's settings."""
    name, argument = parse(str(study.settings.get("evaluator") or ""))
    settings = {**argument, **(study.settings.get("evaluator_settings") or {})}
    return find(name).supernet_folder(settings) if name else "", settings


__all__ = ["judged"]
