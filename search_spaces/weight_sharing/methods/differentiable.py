"""What the differentiable methods share: a weight for each option of each decision, learnt on held-out pictures.

A method here keeps one vector of logits per decision of the space, whose softmax is its policy. A step first moves
the logits on the batch's held-out pictures, then the supernet's weights on its own: first order, as none of these
methods in their usual form differentiates through the weights' step. What is learnt ends as a `Policy`, a JSON file
from which the controller `one-shot` proposes architectures.
"""

from copy import copy
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces import canonical
from search_spaces.decisions import INACTIVE, Pick
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, has_holes
from search_spaces.policy import Policy
from search_spaces.site import Site
from search_spaces.space import Genes, Space
from search_spaces.weight_sharing.methods.base import Batch, Method, share
from search_spaces.weight_sharing.relaxation import Places, Relaxed, categorical
from search_spaces.weight_sharing.supernet import Supernet

TRIES = 100
"""Draws that a space with rules is given before an architecture is drawn evenly."""
SHAPE = (16, 8, 8)
"""What an option is built for to see whether it has parameters."""


@dataclass(frozen=True)
class Draw:
    """An architecture, each decision's option weights (differentiable), and where to ask for further options."""

    genes: Genes
    weights: list[Tensor]
    pick: Pick


class Differentiable(Method):
    """A method that learns a policy; see the module's text.

    Settings of the logits' optimizer (Adam): `lr`, `weight_decay`, `betas`. `warm_up` is the share of the training in
    which only the weights learn.
    """

    held_out = 0.5
    one_draw: ClassVar[bool] = False
    """Whether a step's logits and weights learn from one draw, which halves the networks that have to be made."""

    def __init__(self, lr: float, weight_decay: float, betas: tuple[float, float], warm_up: float) -> None:
        self._adam = {"lr": positive("lr", lr), "weight_decay": positive("weight_decay", weight_decay, zero=True)}
        self._betas = betas
        self.warm_up = share("warm_up", warm_up)
        self.logits: list[nn.Parameter] = []
        self.relaxed = Relaxed(Places())

    def prepare(self, supernet: Supernet) -> None:
        if not supernet.space.decisions:
            raise SpaceError(f"the space '{supernet.space.name}' leaves nothing to decide, so nothing to learn")
        self.logits = [nn.Parameter(torch.zeros(len(decision.options))) for decision in supernet.space.decisions]
        self.optimizer = torch.optim.Adam(self.logits, betas=self._betas, **self._adam)

    def step(
        self,
        supernet: Supernet,
        batch: Batch,
        optimizer: torch.optim.Optimizer,
        rng: Random,
        progress: float,
        clip: float | None = None,
        frozen: Supernet | None = None,
    ) -> list[float]:
        """Move the logits, then the weights; the losses are those of the batch and of its held-out pictures."""
        losses = []
        first, second = Random(rng.getrandbits(60)), Random(rng.getrandbits(60))
        if progress >= self.warm_up:
            if batch.held_out is None:
                raise SpaceError(f"the method '{self.name}' needs held-out pictures; give Batch.held_out")
            losses.append(self.learn(supernet, batch.held_out, copy(first), progress))
        rng = first if self.one_draw else second
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            draw = self.draw(supernet, rng, progress)
        loss = self.loss(supernet, draw, batch, rng, progress)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(supernet.parameters(), clip)
        optimizer.step()
        return [float(loss.detach()), *losses]

    def learn(self, supernet: Supernet, batch: Batch, rng: Random, progress: float) -> float:
        """Move the logits on held-out pictures; returns the loss without what is added to it."""
        draw = self.draw(supernet, rng, progress)
        loss = self.loss(supernet, draw, batch, rng, progress)
        self.descend(self.objective(loss, draw, supernet))
        return float(loss.detach())

    def loss(self, supernet: Supernet, draw: Draw, batch: Batch, rng: Random, progress: float) -> Tensor:
        """The loss of the drawn network, with what its modules add."""
        supernet.activate(supernet.space.architecture(draw.genes))
        supernet.following.tell(progress)
        outputs = self.outputs(supernet, draw, batch.inputs, rng)
        return supernet.following.with_losses(batch.criterion(outputs), batch.criterion)

    def objective(self, loss: Tensor, draw: Draw, supernet: Supernet) -> Tensor:
        """What the logits minimise, from the loss on held-out pictures."""
        return loss

    def descend(self, objective: Tensor) -> None:
        """One step of the logits; those that the objective doesn't depend on stay, the weights get no gradients."""
        for logits, gradient in zip(
            self.logits, torch.autograd.grad(objective, self.logits, allow_unused=True), strict=True
        ):
            logits.grad = gradient
        self.optimizer.step()

    def weights(self, generator: torch.Generator, progress: float) -> list[Tensor]:
        """Each decision's option weights, of sum 1, differentiable in the logits."""
        return [functional.softmax(logits, 0) for logits in self.logits]

    def pick(self, weights: list[Tensor], rng: Random) -> Pick:
        """How options are chosen by their weights: drawn."""
        return categorical([row.tolist() for row in weights], rng)

    def draw(self, supernet: Supernet, rng: Random, progress: float) -> Draw:
        """An architecture by the option weights; all randomness is from `rng`."""
        generator = torch.Generator().manual_seed(rng.getrandbits(60))
        for _ in range(TRIES):
            weights = self.weights(generator, progress)
            pick = self.pick(weights, rng)
            genes = drawn(supernet.space, pick)
            if genes is not None:
                return Draw(genes, weights, pick)
        return Draw(supernet.space.genes(supernet.space.sample(rng)), weights, pick)

    def outputs(self, supernet: Supernet, draw: Draw, images: Tensor, rng: Random) -> Tensor:
        """The outputs (n, classes) of the drawn architecture, a gate for each decision in force."""
        gates = {i: draw.weights[i][gene] for i, gene in enumerate(draw.genes) if gene != INACTIVE}
        return self.relaxed.outputs(supernet, draw.genes, images, draw.pick, gates, {})

    def probabilities(self) -> list[list[float]]:
        """The policy's rows."""
        return [functional.softmax(logits.detach().double(), 0).tolist() for logits in self.logits]

    def policy(self, space: Space) -> Policy:
        """What was learnt, for the controller `one-shot`; its report counts the skips (`count_skips`)."""
        found = Policy.of(space, self.name, self.probabilities())
        return replace(found, report=count_skips(space, found))

    def state(self) -> dict[str, Tensor]:
        return adam_state(self.logits, self.optimizer)

    def restore(self, state: dict[str, Tensor]) -> None:
        restore_adam(self.logits, self.optimizer, state)


def adam_state(learnt: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Parameters and what their optimizer knows of them, as tensors by name."""
    found = {f"learnt.{index}": parameter.detach().clone() for index, parameter in enumerate(learnt)}
    for index, moments in optimizer.state_dict()["state"].items():
        found |= {f"adam.{index}.{name}": value.clone() for name, value in moments.items()}
    return found


def restore_adam(learnt: list[nn.Parameter], optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    """Take over what `adam_state` gave."""
    moments: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for key, value in state.items():
            kind, index, *name = key.split(".")
            if kind == "learnt":
                learnt[int(index)].copy_(value)
            elif kind == "adam":
                moments.setdefault(int(index), {})[name[0]] = value.clone()
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def drawn(space: Space, pick: Pick) -> Genes | None:
    """The genes of the architecture that `pick` gives; None where the space's rules ban it."""
    try:
        architecture = space.drawn(pick)
    except SpaceError:
        return None
    return space.genes(architecture) if space.allows(architecture) else None


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """softmax((log p + Gumbel noise) / temperature): differentiable, and the nearer to one-hot the colder."""
    noise = -torch.empty(logits.shape).exponential_(generator=generator).clamp_min(1e-30).log()
    return functional.softmax((functional.log_softmax(logits, 0) + noise) / temperature, 0)


def parameter_free(option: Any) -> bool:
    """Whether an option learns nothing of its own: none at all, or a part (pooling, skip) without parameters."""
    if option is None:
        return True
    if not isinstance(option, Part) or option.family not in ("token_mixer", "channel_mixer", "cell_operation"):
        return False
    chosen: Any = option.sample(0) if has_holes(option) else option
    with torch.device("meta"):
        return next(chosen.build(Site(SHAPE)).parameters(), None) is None


def count_skips(space: Space, policy: Policy) -> dict[str, Any]:
    """How many choices ended with a parameter-free option, of those in force that offer one beside others.

    The architecture is the most probable one; where the space's rules ban it there is nothing to count.
    """
    best = policy.most_probable(space)
    genes = () if best is None else space.genes(best)
    skips: list[str] = []
    choices = 0
    for decision, gene in zip(space.decisions, genes, strict=False):
        free = [parameter_free(option) for option in decision.options]
        if gene != INACTIVE and any(free) and not all(free):
            choices += 1
            if free[gene]:
                skips.append(f"{decision.path}: {canonical.outline(decision.options[gene])}")
    return {"skips": len(skips), "choices": choices, "share": len(skips) / choices if choices else 0.0, "where": skips}


def positive(name: str, value: Any, zero: bool = False) -> float:
    """A setting that is a number above 0 (or 0, where `zero`); raises `SpaceError`."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and (value > 0 or (zero and value == 0))
    if not good:
        raise SpaceError(f"{name} is a number {'of 0 or more' if zero else 'above 0'}, not {value!r}")
    return float(value)
