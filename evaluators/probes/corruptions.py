"""How well a network does on pictures that are noisy, blurred, too bright, coarse or compressed."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports torchvision)
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from archfront.contracts import Provenance, WrongUse
from evaluators.datasets import DataSet, Split, laid_out
from evaluators.probes.probe import PROBES, Probe
from evaluators.tested import EVALUATION_BATCH, tested
from search_spaces.errors import near

NEAREST = Image.Resampling.NEAREST
Corruption = Callable[[Tensor, float, torch.Generator], Tensor]
"""From pictures (n, channels, height, width) of values 0 to 1, and how much, to others like them, not yet clamped."""


def _gaussian_noise(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    return x + amount * torch.randn(x.shape, generator=generator)


def _shot_noise(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    return torch.poisson(x * amount, generator=generator) / amount


def _impulse_noise(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(x.shape, generator=generator)
    return torch.where(drawn < amount / 2, 0.0, torch.where(drawn < amount, 1.0, x))


def _gaussian_blur(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    # scipy's kernel, which the benchmark uses, reaches four standard deviations; torch can't mirror a whole side.
    reach = min(int(4 * amount + 0.5), min(x.shape[-2:]) - 1)
    return gaussian_blur(x, [2 * reach + 1] * 2, [amount] * 2)


def _brightness(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    # The value of a colour is its largest channel; hue and saturation stay as they are.
    value = x.amax(1, keepdim=True)
    lighter = (value + amount).clamp(max=1)
    return torch.where(value > 0, x * lighter / value.clamp(min=1e-6), lighter)


def _contrast(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * amount + mean


def _pixelate(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    height, width = x.shape[-2:]
    coarse = (max(1, int(width * amount)), max(1, int(height * amount)))
    return _each(x, lambda picture: picture.resize(coarse, Image.Resampling.BOX).resize((width, height), NEAREST))


def _jpeg(x: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    def compressed(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(amount))
        return Image.open(file)

    return _each(x, compressed)


def _each(x: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Every picture changed as an image of 8 bits: one of 3 channels as colours, of another number channel by channel.

    The result is like `x`: (n, channels, height, width), 0 to 1.
    """
    pixels = (x * 255).round().to(torch.uint8)
    colours = x.shape[1] == 3
    pictures = pixels.permute(0, 2, 3, 1) if colours else pixels.flatten(0, 1)
    changed = np.stack([np.array(change(Image.fromarray(picture.numpy()))) for picture in pictures])
    found = torch.from_numpy(changed).float() / 255
    return found.permute(0, 3, 1, 2) if colours else found.view(x.shape)


CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "gaussian_blur": (_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg": (_jpeg, (80, 65, 58, 50, 40)),
}
"""Each corruption, and how much of it at severity 1 to 5: the benchmark's figures for pictures of CIFAR's size."""


@PROBES.register("corruptions", source="Benchmarking Neural Network Robustness to Common Corruptions and Perturbations")
class Corruptions(Probe):
    """Accuracy on corrupted pictures, averaged over the corruptions.

    `severity` is 1 to 5, `kinds` are names of `CORRUPTIONS` (default: all). The same noise falls on a picture for one
    seed, whatever the network.
    """

    name = "corruptions"
    measures = {
        "corruption_accuracy": ("max", "fraction", "accuracy on pictures with noise, blur, other light, coarser pixels")
    }

    def __init__(self, severity: int = 3, kinds: str | Sequence[str] = ()) -> None:
        if severity not in (1, 2, 3, 4, 5) or isinstance(severity, bool):
            raise WrongUse(f"the probe 'corruptions' takes a severity from 1 to 5, not {severity!r}")
        names = [kinds] if isinstance(kinds, str) else list(kinds) or list(CORRUPTIONS)
        for name in names:
            if name not in CORRUPTIONS:
                raise WrongUse(f"the probe 'corruptions' knows no kind '{name}'; {near(str(name), CORRUPTIONS)}")
        self._severity, self._kinds = severity, names

    def refuses(self, data: DataSet) -> str:
        if data.medium != "pictures":
            return f"only pictures can be corrupted, and these are {data.medium}"
        if "accuracy" not in data.task.measures:
            return f"it measures accuracy, which {data.task.name} doesn't have"
        return ""

    def probed(self, network: nn.Module, data: DataSet, device: str, seed: int) -> Mapping[str, float]:
        was, found = network.training, {}
        for prefix, split in (("", data.validation), ("test_", data.test)):
            figures = [self._accuracy(network, data, split, kind, device, seed) for kind in self._kinds]
            found[f"{prefix}corruption_accuracy"] = sum(figures) / len(figures)
        network.train(was)
        return found

    def _accuracy(self, network: nn.Module, data: DataSet, split: Split, kind: str, device: str, seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        scale = _full_scale(data)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for start in range(0, split.size, EVALUATION_BATCH):
                taken = slice(start, start + EVALUATION_BATCH)
                raw = corrupted(split.inputs[taken], kind, self._severity, generator, scale)
                targets = data.task.targets(split.targets[taken])
                yield laid_out(data.prepared(raw)).to(device), targets.to(device)

        measured = tested(network, batches(), data.task).metrics(Provenance())
        return next(metric.value for metric in measured if metric.name == "accuracy")


def corrupted(raw: Tensor, kind: str, severity: int, generator: torch.Generator, scale: float = 255.0) -> Tensor:
    """Raw pictures (n, channels, height, width) of values 0 to `scale` with one corruption, of the same type."""
    corruption, amounts = CORRUPTIONS[kind]
    x = (raw.float() / scale).clamp(0, 1)
    changed = corruption(x, amounts[severity - 1], generator).clamp(0, 1) * scale
    return changed.round().to(raw.dtype) if not raw.is_floating_point() else changed.to(raw.dtype)


def _full_scale(data: DataSet) -> float:
    """The value of white in raw pictures: 255 in bytes, else the largest value of some training pictures."""
    inputs = data.train.inputs
    if not inputs.dtype.is_floating_point:
        return 255.0
    return max(float(inputs[:: max(1, len(inputs) // 4096)].amax()), 1e-6)
