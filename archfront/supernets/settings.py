"""What makes one training of a supernet: its settings, checked, kept in the supernet's folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from archfront.contracts import WrongUse
from archfront.settings import Choice, overlaid
from evaluators.inherited_weights import about_supernet
from search_spaces.errors import near

FILE = "supernet.json"
USUAL: dict[str, Any] = {"data": {"name": "digits"}, "method": {"name": "sandwich"}}
LENGTHS = ("epochs", "steps", "minutes")
"""The ways to say how long a training is, of which one counts."""


class SupernetSettings(BaseModel):
    """Everything that makes a supernet. Where no length is given, it is four times that of one network's training.

    `minutes` is turned into epochs by the estimate, once, on the host where the training starts. `start` is the folder
    of a trained supernet whose weights this one begins with; `split` the path of a decision whose options are to have
    weights of their own, or "auto" for one that suits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    space: str = ""
    data: Choice = Choice(name=USUAL["data"]["name"])
    method: Choice = Choice(name=USUAL["method"]["name"])
    recipe: dict[str, Any] = {}
    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    kernel_transformations: bool = False
    split: str | None = None
    start: str = ""
    seed: int = Field(default=0, ge=0, lt=2**31)

    @field_validator("data", "method", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("recipe")
    @classmethod
    def _without_epochs(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "epochs" in value:
            raise ValueError("say epochs, not recipe.epochs")
        return value


def settled(folder: Path, given: Mapping[str, Any]) -> SupernetSettings:
    """The settings of the training in `folder` as they are given, or as it was begun where nothing else is said.

    Raises `WrongUse` for wrong ones, and for others than those that the training in the folder was begun with.
    """
    known = _read(folder)
    if len([name for name in LENGTHS if given.get(name) is not None]) > 1:
        raise WrongUse("say one of --epochs, --steps and --minutes: how long the supernet is trained")
    if known is None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WrongUse(f"{folder} holds other things; give an empty or new folder with --to")
        return _checked(overlaid(_usual(given), given))
    before = _checked(known)
    if given.get("split") == "auto":
        given = {**given, "split": before.split}
    now = _checked(overlaid(known, given))
    for name in SupernetSettings.model_fields:
        left, right = (getattr(settings, name) for settings in (before, now))
        if left != right:
            raise WrongUse(
                f"the supernet in {folder} was begun with {name} = {_said(left)}, not {_said(right)}; go on with the "
                "same, or train another in another folder"
            )
    return before


def _usual(given: Mapping[str, Any]) -> dict[str, Any]:
    """What counts where nothing is said: of a supernet that starts from another one, its space and data."""
    if not given.get("start"):
        return USUAL
    about = about_supernet(Path(str(given["start"])))
    return {**USUAL, "space": about["space"], "data": {"name": about["data"], **about["data_settings"]}}


def keep(folder: Path, settings: SupernetSettings) -> None:
    """Leave the settings in the folder, whole or not at all."""
    draft = folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(draft, folder / FILE)
    except OSError as error:
        raise WrongUse(f"{folder} can't be written ({error.strerror}); give another folder with --to") from None


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise WrongUse(f"{path} can't be read as JSON; train in another folder") from None
    return found if isinstance(found, dict) else None


def recipe_in(folder: Path) -> dict[str, Any]:
    """The fields of its recipe that the supernet in `folder` was given; none where nothing of that is kept there."""
    return dict((_read(folder) or {}).get("recipe") or {})


def _checked(values: Mapping[str, Any]) -> SupernetSettings:
    try:
        return SupernetSettings.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise WrongUse(f"a supernet has no setting '{path}'; {near(path, SupernetSettings.model_fields)}") from None
        raise WrongUse(f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _said(value: Any) -> str:
    if isinstance(value, Choice):
        return " ".join([value.name, *(f"{key}={item}" for key, item in value.settings.items())])
    return repr(value)
