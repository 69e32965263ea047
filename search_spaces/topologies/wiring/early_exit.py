"""Early exits: examples that a shallow head is sure of go no deeper."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from search_spaces.declarations import transparent
from search_spaces.errors import SpaceError
from search_spaces.parts import Edge, Part, Placed, part, shared, slot
from search_spaces.site import Site
from search_spaces.topologies.wired import AllMaps, Wiring


@transparent
class Exits(nn.ModuleDict):
    """Heads by the number of the stage that each is behind."""


@transparent
class EarlyExiting(nn.Module):
    """A network with exits behind some of its stages.

    In evaluation, an example leaves at the first exit that is sure of it, and only the others go on. Where that is
    traced, or `routed` is False, all is computed and the outputs are selected, which gives the same. In training the
    last head's outputs are given, and those of the exits are kept for `auxiliary_loss`.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: AllMaps,
        exits: dict[str, nn.Module],
        head: nn.Module,
        threshold: float,
        weight: float,
    ) -> None:
        super().__init__()
        self.stem, self.stages, self.exits, self.head = stem, stages, Exits(exits), head
        self.threshold, self.weight = threshold, weight
        self.routed = True
        self._kept: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            maps = self.stages(self.stem(x))
            self._kept = [head(maps[int(place)]) for place, head in self.exits.items()]
            return self.head(maps[-1])
        traced = torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.compiler.is_exporting()
        if not self.routed or traced:
            return self._selected(x)
        return self._going_on(self.stem(x))

    def auxiliary_loss(self, criterion: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """`weight` times the sum of the exits' losses of the last forward pass in training."""
        kept, self._kept = self._kept, []
        losses = [criterion(outputs) for outputs in kept]
        return self.weight * torch.stack(losses).sum() if losses else next(self.parameters()).new_zeros(())

    def _sure(self, outputs: torch.Tensor) -> torch.Tensor:
        """Whether the entropy of softmax(outputs), in nats, is below the threshold: (batch,)."""
        logs = outputs.log_softmax(1)
        return -(logs.exp() * logs).sum(1) < self.threshold

    def _selected(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.stages(self.stem(x))
        outputs = self.head(maps[-1])
        # From the deepest exit to the first, which so has the last word.
        for place, head in reversed(list(self.exits.items())):
            early = head(maps[int(place)])
            outputs = torch.where(self._sure(early)[:, None], early, outputs)
        return outputs

    def _going_on(self, x: torch.Tensor) -> torch.Tensor:
        done: torch.Tensor | None = None
        places = torch.arange(len(x), device=x.device)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if str(number) not in self.exits:
                continue
            early = self.exits[str(number)](x)
            sure = self._sure(early)
            done = early if done is None else done.index_copy(0, places, early)
            if bool(sure.all()):
                return done
            x, places = x[~sure], places[~sure]
        last = self.head(x)
        return last if done is None else done.index_copy(0, places, last)

    def __getstate__(self) -> dict[str, Any]:
        # Outputs that belong to a graph can't be copied, and mean nothing to a copy.
        return {**self.__dict__, "_kept": []}


@part(
    "wiring", "early_exit", source="BranchyNet: Fast Inference via Early Exiting from Deep Neural Networks", sliced=True
)
class EarlyExit(Wiring):
    """Stages in a chain, and heads behind some of them at which examples leave that they are sure of.

    `exits[s]` is the head behind stage s, or None; the network's own head is behind the last stage, and what is said
    of stages that aren't there, or of the last one, says nothing. With z_s what exit s gives for an example, it leaves
    at the first s with H(softmax(z_s)) < `threshold`, the entropy H in nats (ln of the number of classes at the most).
    Training minimises the loss of the head plus `weight` times that of each exit. An exit costs what its head does;
    an example costs what it passes through. Exported networks compute all exits and select: cost is then the whole's.
    Unlike in the publication one threshold and one weight are for all exits, and exits have no blocks of their own.
    """

    exits: Any = slot("head", default=("average_pool",))
    threshold: float = shared(default=0.5)
    weight: float = shared(default=1.0)

    wires = ("stage",)

    def validate(self) -> None:
        if not isinstance(self.exits, tuple):
            raise SpaceError("takes a tuple of heads, None for none, as ('average_pool', None)", "early_exit.exits")
        if any(getattr(head, "all_maps", False) for head in self.exits):
            raise SpaceError("takes heads of one map, not one of all stages' maps", "early_exit.exits")
        for name in ("threshold", "weight"):
            if getattr(self, name) < 0:
                raise SpaceError(f"must be 0 or more, not {getattr(self, name)}", f"early_exit.{name}")

    def heads(self, count: int) -> Iterator[tuple[int, Any]]:
        """The exits among so many stages: each with its stage's number."""
        return ((place, head) for place, head in enumerate(self.exits[: count - 1]) if head is not None)

    def for_items(self, count: int) -> Part:
        known = [place for place, _ in self.heads(count)]
        if not known:
            return self.as_chain()
        exits = self.exits[: known[-1] + 1]
        return self if exits == self.exits else EarlyExit(exits, self.threshold, self.weight)

    def canonical(self) -> Part:
        return self.for_items(len(self.exits) + 1)

    def edges(self, count: int) -> Iterable[Edge]:
        return [*super().edges(count), *((place, count, "exit") for place, _ in self.heads(count))]

    def parts_at(self, site: Site) -> Iterator[Placed]:
        for place, head in self.heads(len(site.maps)):
            yield f"exits.{place}", head, site.at(site.maps[place], site.width)

    def build(self, site: Site, modules: Sequence[nn.Module], sites: Sequence[Site]) -> nn.Module:
        # A plain sequence where nobody but the next stage sees a stage's map.
        return AllMaps(*modules) if any(self.heads(len(modules))) else nn.Sequential(*modules)

    def joined(self, site: Site, stem: nn.Module, stages: nn.Module, rest: Iterable[tuple[str, nn.Module]]) -> Any:
        if not isinstance(stages, AllMaps):
            return super().joined(site, stem, stages, rest)
        behind = dict(rest)
        built = {
            str(place): head.build(site.at(site.maps[place], site.width)) for place, head in self.heads(len(stages))
        }
        return EarlyExiting(stem, stages, built, behind["head"], self.threshold, self.weight)
