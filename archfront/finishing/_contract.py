"""What a finisher is given, and what it gives."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from archfront.contracts import WrongUse
from search_spaces.errors import SpaceError, near
from search_spaces.families import FAMILIES
from search_spaces.parts import Part, has_holes
from search_spaces.specs import parse_spec, split_specs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from evaluators.datasets import DataSet
    from evaluators.recipes.training import Recipe

State = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Given:
    """A trained network, and what a finisher may use to make another of it.

    `architecture` is the network alone, `state` its weights on the CPU, `recipe` what it was trained by. `heal` trains
    a network on from weights for some epochs of a lower learning rate and gives the weights: `heal(architecture,
    state, epochs)`. Random draws come from `seed`. `folder` is a temporary one, for files.
    """

    architecture: Part
    state: State
    data: "DataSet"
    recipe: "Recipe"
    seed: int
    device: str
    folder: Path
    heal: "Callable[[Part, State, int], State]"

    def network(self, architecture: Part | None = None, state: State | None = None) -> "nn.Module":
        """The network (or another one) with its weights, in evaluation mode on the CPU.

        Raises `SpaceError` where the weights aren't those of the architecture.
        """
        from search_spaces.building import build

        made = build(architecture or self.architecture, self.data.inputs, self.data.outputs, seed=0)
        try:
            made.load_state_dict(dict(self.state if state is None else state))
        except RuntimeError as error:
            raise SpaceError(f"the weights don't fit the network: {' '.join(str(error).split())[:200]}") from None
        return made.eval()

    def epochs(self, wanted: int | None) -> int:
        """How many epochs to heal for: as many as `wanted`, else a third of a training's."""
        return wanted if wanted is not None else max(1, self.recipe.epochs // 3)


@dataclass(frozen=True)
class Product:
    """What a finisher made: a network alone and its weights, and in a few words what was done.

    `file` is an ONNX file in `Given.folder` that is the network from now on, where it has no form in torch; `precision`
    is what its arithmetic is then called. The weights are those that it was made of.
    """

    architecture: Part
    state: State
    note: str
    file: Path | None = None
    precision: str = "float32"


class Finisher(Part):
    """Base of the finishers: parts of the family "finisher", whose fields may be searched like any.

    `finish` gives what it made, healed by training (`given.heal`) where it has to be; it raises `SpaceError`, one
    line, where it can't work on the network. One that leaves a file says `final`: nothing can come after it. A field
    `epochs` is how long it heals, None for what suits the recipe; `--epochs` sets it.
    """

    final: ClassVar[bool] = False

    def finish(self, given: Given) -> Product:
        """The network that this finisher makes of another."""
        raise NotImplementedError(f"{type(self).__name__} must say what it makes of a network: override finish()")


def finishers(specs: Iterable[str], epochs: int | None = None) -> tuple[Finisher, ...]:
    """The finishers that are named, in order: `block_drop`, `width_prune(share=0.25)`, `path/to/file.py:Class`.

    Each text names one or several, with commas between. `epochs` is how long all of them heal that do. Raises
    `WrongUse`, one line, for what can't be.
    """
    found = [_made(spec) for text in specs for spec in split_specs(text)]
    if not found:
        raise WrongUse(f"say what to finish with: --with {' or '.join(FAMILIES['finisher'].names())}")
    for one in found[:-1]:
        if one.final:
            raise WrongUse(f"'{one.name}' leaves a file that nothing can be made of; let it come last")
    if epochs is None:
        return tuple(found)
    if epochs < 0 or not any("epochs" in _names(one) for one in found):
        cure = "say 0 or more" if epochs < 0 else "leave it out"
        raise WrongUse(f"--epochs {epochs}: none of {', '.join(one.name for one in found)} trains so long; {cure}")
    changes: Any = {"epochs": epochs}
    return tuple(replace(one, **changes) if "epochs" in _names(one) else one for one in found)  # type: ignore[type-var]


def _made(spec: str) -> Finisher:
    try:
        name, settings = parse_spec(spec)
        cls: Any = FAMILIES["finisher"].get(name)
        if not (isinstance(cls, type) and issubclass(cls, Finisher) and cls.family == "finisher"):
            raise WrongUse(f"'{name}' is no finisher; give a Finisher that is decorated with @part('finisher', …)")
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for key in settings:
            if key not in known:
                raise WrongUse(f"the finisher '{name}' has no setting '{key}'; {near(key, known)}")
        made = cls(**settings)
    except (SpaceError, TypeError) as error:
        raise WrongUse(f"--with {spec}: {error}") from None
    if has_holes(made):
        raise WrongUse(f"--with {spec}: has holes left; fill them")
    return made


def _names(one: Any) -> list[str]:
    return [field.name for field in fields(one)]


def check_count(value: Any, field: str, least: int, optional: bool = False) -> None:
    """Raise `SpaceError` where a finisher's field isn't an integer of `least` or more (or None, if `optional`)."""
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpaceError(f"must be an integer of {least} or more, not {value!r}", field)
