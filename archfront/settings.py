"""A study's settings: what a study file (TOML) may say, checked, with the command line's options laid over it."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from archfront.contracts import WrongUse
from archfront.plan import Plan
from archfront.run import Order
from archfront.search import Budget as SearchBudget
from archfront.study import DEFAULT_URL, Study
from evaluators.base import find, parse
from search_spaces.errors import near


class Choice(BaseModel):
    """Something registered, by name, its own settings beside: `{name = "training", epochs = 12}`, or just a name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that go to what is named."""
        return dict(self.model_extra or {})


class Budget(BaseModel):
    """When a search ends: after so many evaluations of the study, so many minutes of this run, or the first of both."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    evaluations: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)


class Settings(BaseModel):
    """Everything that makes a study. A key that isn't listed here is an error that names the near ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    space: str = ""
    decisions: list[str] = []
    where: str | None = None
    data: Choice = Choice()
    controller: Choice = Choice()
    evaluator: Choice = Choice()
    search_recipe: dict[str, str] = {}
    objectives: list[str] = []
    constraints: list[str] = []
    device: str = "host"
    budget: Budget = Budget()
    workers: int = Field(default=1, ge=1, le=10_000)
    threads: int = Field(default=1, ge=1, le=1_000)
    timeout_s: float | None = Field(default=None, gt=0)
    launcher: Choice = Choice()
    ray_address: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    warm_start: str = ""
    plan: dict[str, Any] = {}
    start: str = ""
    db: str = DEFAULT_URL

    @field_validator("data", "controller", "evaluator", "launcher", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("decisions", "objectives", "constraints", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value

    @field_validator("search_recipe", mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        """A list of options, and a number, as they are written on the command line."""
        if not isinstance(value, Mapping):
            return value
        return {
            key: ",".join(map(str, item)) if isinstance(item, list) else str(item) if _number(item) else item
            for key, item in value.items()
        }

    def order(self) -> Order:
        """What to search, with the defaults filled in: by training, on digits.

        Data and a space that aren't named are the evaluator's own, where it brings some; objectives that aren't
        named depend on the data, and are filled in when they are loaded.
        """
        evaluator = self.evaluator.name or "training"
        name, argument = parse(evaluator)
        kind = find(name)
        brought = kind.brings({**argument, **self.evaluator.settings})
        if self.data.name:
            brought = {key: value for key, value in brought.items() if key == "space"}
        return Order(
            plan=Plan(
                space=self.space or brought.get("space", ""),
                decisions=tuple(self.decisions),
                where=self.where,
                data=self.data.name or brought.get("data"),
                data_settings={**brought.get("data_settings", {}), **self.data.settings},
                evaluator=evaluator,
                evaluator_settings=self.evaluator.settings,
                device=self.device,
                objectives=tuple(self.objectives),
                constraints=tuple(self.constraints),
                seed=self.seed,
                threads=self.threads,
                timeout_s=self.timeout_s,
                search_recipe=self.search_recipe,
            ),
            study=self.study_name,
            url=self.db,
            controller=self.controller.name,
            controller_settings=self.controller.settings,
            budget=SearchBudget(self.budget.evaluations, self.budget.minutes),
            workers=self.workers,
            launcher=self.launcher.name,
            launcher_settings=self.launcher.settings,
            ray_address=self.ray_address,
            warm_start=self.warm_start,
            choices=self.plan,
            start=self.start,
        )

    @property
    def study_name(self) -> str:
        """The name given, or else that of the data set, table or space."""
        what = self.name or self.data.name or self.evaluator.name.partition(":")[2] or self.space or "digits"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(what.partition(":")[2] or what).stem).strip("._-") or "study"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def settings_of(study: Study) -> dict[str, Any]:
    """What a study was started with, in the form of a study file."""
    kept = study.settings
    plain = (
        *("decisions", "where", "objectives", "constraints", "device", "threads", "timeout_s", "workers"),
        "warm_start",
    )
    return {
        **{key: kept[key] for key in plain if kept.get(key)},
        "space": study.space,
        "data": {"name": kept.get("data") or "", **(kept.get("data_settings") or {})},
        "controller": {"name": kept.get("controller") or "", **(kept.get("controller_settings") or {})},
        "evaluator": {"name": kept.get("evaluator") or "", **(kept.get("evaluator_settings") or {})},
        "launcher": {"name": kept.get("launcher") or "", **(kept.get("launcher_settings") or {})},
        "search_recipe": kept.get("search_recipe") or {},
        "seed": study.seed,
    }


def read_study_file(path: Path) -> dict[str, Any]:
    """The content of a study file; raises `WrongUse` when it is missing or no TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise WrongUse(f"no study file {path}; 'archfront init {path}' writes one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise WrongUse(f"{path} can't be read as TOML: {error}") from None


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, table by table; a value of None in `over` leaves what is there.

    A new name for the data, controller, evaluator or launcher drops the settings of the one that was named before.
    """
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        if isinstance(known, str) and key in ("data", "controller", "evaluator", "launcher"):
            known = {"name": known}
        if isinstance(value, str) and isinstance(known, Mapping):
            value = {"name": value}
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            fresh = value.get("name") not in (None, known.get("name"))
            merged[key] = dict(value) if fresh else overlaid(known, value)
        elif value is not None:
            merged[key] = value
    return merged


def settings_from(values: Mapping[str, Any], origin: str) -> Settings:
    """The settings that `values` say; `origin` names in errors where they came from."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise WrongUse(f"{origin}: {_line(error)}") from None


def assignment(text: str) -> dict[str, Any]:
    """`evaluator.epochs=12` as `{"evaluator": {"epochs": 12}}`; what isn't a TOML value is taken as a string."""
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise WrongUse(f"--set '{text}': say KEY=VALUE, as in --set evaluator.epochs=12")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for key in reversed(keys):
        parsed = {key: parsed}
    return parsed


def _line(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(item) for item in first["loc"]]
    if first["type"] == "model_type":
        return f"{'.'.join(path)}: say a name, or a table of settings"
    if first["type"] != "extra_forbidden":
        return f"{'.'.join(path)}: {first['msg'][0].lower()}{first['msg'][1:]}"
    model = Budget if path[0] == "budget" else Settings
    return f"no setting is named '{'.'.join(path)}'; {near(path[-1], model.model_fields)}"


STUDY_FILE = """\
# A study of Archfront. Start it, or go on with it: archfront search {file}
# Options of the command line go before what stands here; whatever is left out takes the default in brackets.

name = "{name}"

# What is searched: a name that 'archfront spaces' lists, path/to/file.py:name, or table:FILE.
# [the space that fits the data set]
# space = "hybrid"

# What is trained on: digits, npz:PATH, folder:PATH (one sub-folder per class), torchvision:NAME, path/to/file.py:name.
data = "digits"

# What is to be best at once; ends in :max or :min where it isn't a metric that Archfront knows.
objectives = ["accuracy", "latency_ms"]

# What every candidate must keep: METRIC<=NUMBER or METRIC>=NUMBER; k, M and G count.
constraints = ["params<=200k"]

# Where latency is measured: a name that 'archfront devices' lists.
device = "host"

seed = 0
workers = 1

# Where results are kept. ["{db}" in the working folder]
# db = "{db}"

# inline evaluates in this process, ray in a pool of worker processes, ray-tune lets Ray Tune stop trainings early.
# [inline for one worker, ray for more]
# launcher = "ray"

# What to try next: a name that 'archfront controllers' lists, its settings beside it.
# [auto, which picks by space, objectives and budget]
# [controller]
# name = "pareto-evolution"

# What the search begins with: a JSON file of architectures, the best of another study (study:NAME), or of random
# candidates by a cheap score (proxy:METRIC:COUNT/DRAWN).
# warm_start = "proxy:naswot:10/200"

# What a candidate is worth: a name that 'archfront evaluators' lists, its settings beside it.
# [evaluator]
# name = "training"
# epochs = 12

# Fields of the training recipe that are searched with the network: uniform(LOW,HIGH), log_uniform(LOW,HIGH),
# integers(LOW,HIGH), or values with commas between.
# [search_recipe]
# lr = "log_uniform(1e-4,1e-2)"
# optimizer = "adamw,sgd"

# The first that is reached ends the search; the same command goes on with it.
[budget]
evaluations = 40
minutes = 10
"""
