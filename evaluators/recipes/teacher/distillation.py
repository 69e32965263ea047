"""Distillation."""

from torch import Tensor, nn
from torch.nn import functional

from evaluators.recipes.teacher import Criterion, Find, Teacher
from evaluators.tasks import Task
from search_spaces.errors import SpaceError
from search_spaces.parts import part


@part("teacher", "distillation", source="Distilling the Knowledge in a Neural Network")
class Distillation(Teacher):
    """The loss is, for the share `weight`, how far outputs are from a trained network's on the same (changed) examples.

    Of classes, that is T^2 KL(teacher || student) of probabilities at the temperature T; of numbers and of each class
    by itself, the task's own distance. `network` is an export's or extracted network's folder, a supernet's folder (its
    largest network), or `timm:NAME`, whose weights are those of the safetensors file `weights`, or timm's pretrained
    ones, where their outputs are the task's.
    """

    network: str = ""
    weight: float = 0.5
    temperature: float = 2.0
    weights: str = ""

    def validate(self) -> None:
        if not self.network:
            raise SpaceError("needs one: distillation(network=FOLDER), or network=timm:NAME", "distillation.network")
        if not 0 < self.weight <= 1:
            raise SpaceError(f"must be a share above 0, up to 1, not {self.weight!r}", "distillation.weight")
        if not self.temperature > 0:
            raise SpaceError(f"must be above 0, not {self.temperature!r}", "distillation.temperature")

    def made(self, find: Find) -> tuple[nn.Module, str]:
        return find(self.network, self.weights)

    def taught(self, loss: Criterion, wanted: Tensor, task: Task) -> Criterion:
        def criterion(outputs: Tensor) -> Tensor:
            far = task.distance(outputs, wanted) if task.distance else self._divergence(outputs, wanted)
            return self.weight * far + ((1 - self.weight) * loss(outputs) if self.weight < 1 else 0)

        return criterion

    def _divergence(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """T^2 KL(teacher || student), the mean over examples and, of maps, over places."""
        known = functional.log_softmax(wanted / self.temperature, 1)
        found = functional.log_softmax(outputs / self.temperature, 1)
        return self.temperature**2 * functional.kl_div(found, known, reduction="none", log_target=True).sum(1).mean()
