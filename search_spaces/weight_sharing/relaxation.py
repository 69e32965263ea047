"""Continuous relaxation: how a gradient reaches the choices of a supernet.

A network of the supernet runs as it is; hooks on the modules that a decision made let the decision's option weights
into the graph. A *gate* multiplies the output of those modules by `1 + w - w.detach()`, which is 1: the loss's
gradient in w is <d loss / d output, output>. A *mixture* runs the modules of other options, too, on the same input
and adds the outputs up, each by its weight. Mixtures are for parts that keep their input's shape; what sets the shape
of others (a stage's width or depth, a stem, a downsample) has gates only.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces import canonical
from search_spaces.building import build
from search_spaces.decisions import INACTIVE, Decision, Pick
from search_spaces.errors import SpaceError
from search_spaces.families import FAMILIES
from search_spaces.parts import Part
from search_spaces.space import Genes, Space
from search_spaces.weight_sharing.recording import Recording
from search_spaces.weight_sharing.supernet import Supernet

KEPT = 512
"""Architectures whose places are kept."""


@dataclass(frozen=True)
class Place:
    """Where a decision takes effect: the names of the modules that the part holding it built, in their order."""

    names: tuple[str, ...]
    mixable: bool
    """Whether modules of other options can run in their stead."""

    def overlaps(self, other: "Place") -> bool:
        """Whether some module of one is, or is inside of, one of the other."""
        return any(_within(a, b) or _within(b, a) for a in self.names for b in other.names)


def _within(inner: str, outer: str) -> bool:
    return not outer or inner == outer or inner.startswith(f"{outer}.")


class _Builders(Recording):
    """Notes which module the part at each path built."""

    def __init__(self) -> None:
        super().__init__()
        self.built: list[tuple[str, Any, nn.Module]] = []

    def _recorded(self, part: Any, path: str) -> Callable[..., nn.Module]:
        recorded = super()._recorded(part, path)

        def noted(*arguments: Any, **named: Any) -> nn.Module:
            module = recorded(*arguments, **named)
            self.built.append((path, part, module))
            return module

        return noted


class Places:
    """The places of the decisions in force, of one architecture after another."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[int, Place]] = OrderedDict()

    def of(self, supernet: Supernet, architecture: Any) -> dict[int, Place]:
        """The place of each decision that is in force in `architecture`, by the decision's index.

        Decisions that no module of their own stands for, as an empty stage's, have no place.
        """
        text = canonical.text(architecture)
        if text not in self._known:
            self._known[text] = self._found(supernet, architecture)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[text]

    def _found(self, supernet: Supernet, architecture: Any) -> dict[int, Place]:
        built = _modules_of(architecture, supernet.inputs, supernet.outputs)
        genes = supernet.space.genes(architecture)
        found = {}
        for index, (decision, gene) in enumerate(zip(supernet.space.decisions, genes, strict=True)):
            place = None if gene == INACTIVE else _place(decision, built)
            if place is not None:
                found[index] = place
        return found


Built = dict[str, tuple[Any, list[str]]]
"""By the path of a part: the part, and the names of the modules that it built."""


def _modules_of(architecture: Any, inputs: tuple[int, ...], outputs: int) -> Built:
    builders = _Builders()
    marked = builders.marked(architecture)
    try:
        with torch.device("meta"):
            network = build(marked, inputs, outputs, 0)
    except (NotImplementedError, RuntimeError):
        builders.built.clear()
        network = build(marked, inputs, outputs, 0)
    names = {id(module): name for name, module in network.named_modules()}
    found: Built = {}
    for path, part, module in builders.built:
        if id(module) in names:
            found.setdefault(path, (part, []))[1].append(names[id(module)])
    return found


def _place(decision: Decision, built: Built) -> Place | None:
    path = "" if decision.path == "network" else decision.path
    if path and not all(isinstance(option, Part) for option in decision.options):
        path = path.rpartition(".")[0]  # A value, or a part that may be missing: its holder shows the difference.
    holders = _at(path, built)
    mixable = bool(holders) and all(FAMILIES[part.family].same_shape for part, _ in holders)
    while not holders and path:
        # A tuple, or a part that its holder copied: the outermost parts below it, or else the one above it.
        holders = _below(path, built)
        path = path.rpartition(".")[0]
        holders = holders or _at(path, built)
    made = [name for _, names in holders for name in names]
    # A wiring holds the modules of the blocks that it wires, which are there themselves.
    names = tuple(name for name in made if not any(other.startswith(f"{name}.") for other in made))
    return Place(names, mixable) if names else None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\*", r"\d+"))


def _at(path: str, built: Built) -> list[tuple[Any, list[str]]]:
    pattern = _pattern(path)
    return [found for where, found in built.items() if pattern.fullmatch(where)]


def _below(path: str, built: Built) -> list[tuple[Any, list[str]]]:
    pattern = _pattern(f"{path}.")
    below = [where for where in built if pattern.match(where)]
    return [built[where] for where in below if not any(where.startswith(f"{other}.") for other in below)]


def apart(places: Mapping[int, Place], rng: Random) -> list[int]:
    """Decisions that can be mixed at once, none inside of another's modules; as many as a random order allows."""
    order = [index for index, place in places.items() if place.mixable]
    rng.shuffle(order)
    chosen: list[int] = []
    for index in order:
        if not any(places[index].overlaps(places[other]) for other in chosen):
            chosen.append(index)
    return sorted(chosen)


Weights = Mapping[int, Mapping[int, Tensor]]
"""By decision and option: the weight, a tensor of no dimensions."""


class Relaxed:
    """Runs networks of one supernet with gates and mixtures."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def outputs(
        self,
        supernet: Supernet,
        genes: Genes,
        images: Tensor,
        pick: Pick,
        gates: Mapping[int, Tensor],
        mixtures: Weights,
    ) -> Tensor:
        """The outputs (n, classes) of the architecture `genes`, with a gate or a mixture for some of its decisions.

        What another option of a mixture decides besides (a kind's own sizes) is asked of `pick`.
        """
        architecture = supernet.space.architecture(genes)
        places = self.places.of(supernet, architecture)
        others = self._others(supernet, genes, pick, mixtures, places)
        supernet.activate(architecture)
        network = supernet.network
        with _hooked() as hook:
            for index, weight in gates.items():
                for name in places[index].names if index in places else ():
                    hook(network.get_submodule(name), _gate(weight))
            for index, weights in mixtures.items():
                for number, name in enumerate(places[index].names):
                    modules = {option: names[number] for option, names in others[index].items()}
                    # Where the space's rules ban all other options here, there is nothing to mix with.
                    mixed = _mixture(weights, genes[index], modules) if modules else _gate(weights[genes[index]])
                    hook(network.get_submodule(name), mixed)
            return supernet(images)

    def _others(
        self, supernet: Supernet, genes: Genes, pick: Pick, mixtures: Weights, places: Mapping[int, Place]
    ) -> dict[int, dict[int, list[nn.Module]]]:
        """Of each decision to mix, the modules of every option but the chosen one, on the supernet's weights."""
        found: dict[int, dict[int, list[nn.Module]]] = {index: {} for index in mixtures}
        waiting = {index: [o for o in weights if o != genes[index]] for index, weights in mixtures.items()}
        while any(waiting.values()):
            changes = {index: options.pop() for index, options in waiting.items() if options}
            variant, taken = changed(supernet.space, genes, changes, pick)
            if not taken:
                continue  # The space's rules ban these options here.
            supernet.activate(variant)
            network = supernet.network.train(supernet.training)
            there = self.places.of(supernet, variant)
            for index, option in taken.items():
                names = there[index].names if index in there else ()
                if len(names) == len(places[index].names):
                    found[index][option] = [network.get_submodule(name) for name in names]
        return found


def changed(space: Space, genes: Genes, changes: Mapping[int, int], pick: Pick) -> tuple[Any, dict[int, int]]:
    """The architecture with all those changes of `changes` that the space's rules allow, and which these are."""
    if not space.rules:
        return space.drawn(_taking(genes, changes, pick)), dict(changes)
    taken: dict[int, int] = {}
    found = space.architecture(genes)
    for index, option in changes.items():
        try:
            architecture = space.drawn(_taking(genes, {**taken, index: option}, pick))
        except SpaceError:
            continue
        if space.allows(architecture):
            taken[index], found = option, architecture
    return found, taken


def _taking(genes: Genes, changes: Mapping[int, int], pick: Pick) -> Pick:
    def taking(index: int, options: int) -> int:
        if index in changes:
            return changes[index]
        return genes[index] if genes[index] != INACTIVE else pick(index, options)

    return taking


@contextmanager
def _hooked() -> Iterator[Callable[[nn.Module, Any], None]]:
    handles: list[Any] = []
    try:
        yield lambda module, hook: handles.append(module.register_forward_hook(hook))
    finally:
        for handle in handles:
            handle.remove()


def _gate(weight: Tensor) -> Callable[..., Tensor]:
    def gate(module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):  # All stages' maps.
            return tuple(gate(module, inputs, one) for one in output)
        value = weight.to(output)
        return output * (1 + (value - value.detach()))

    return gate


def _mixture(weights: Mapping[int, Tensor], chosen: int, others: Mapping[int, nn.Module]) -> Callable[..., Tensor]:
    def mixture(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        total = output * weights[chosen].to(output)
        for option, other in others.items():
            total = total + other(*inputs) * weights[option].to(output)
        return total

    return mixture


def categorical(probabilities: Sequence[Sequence[float]], rng: Random) -> Pick:
    """Draws options with these probabilities."""
    return lambda index, options: rng.choices(range(options), probabilities[index])[0]
