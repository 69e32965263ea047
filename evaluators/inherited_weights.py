"""Networks with the weights that they have in a trained supernet."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.datasets import DataSet, laid_out
from evaluators.supernet_training import STEM, load_supernet, train_digest
from search_spaces.weight_sharing import Supernet, recalibrate

IMAGES, BATCH = 512, 128
"""Training pictures that batch normalization is recalibrated on, and how many of them pass at a time."""


class InheritedWeights:
    """The supernet trained in a folder, ready to be any of its networks on a data set.

    Batch normalization statistics are those of the network on `images` training pictures, always the same ones, as
    they are (not augmented), `batch_size` at a time. So what a network gives depends on its architecture alone.
    Raises `WrongUse` where the folder has no supernet, or one of other data.
    """

    def __init__(
        self, folder: str | Path, data: DataSet, device: str = "cpu", images: int = IMAGES, batch_size: int = BATCH
    ) -> None:
        about = about_supernet(Path(folder))
        check_data(about, folder, data)
        self.folder = Path(folder)
        self.supernet, self.about = load_supernet(self.folder)
        self.supernet.to(device).eval().requires_grad_(False)
        # A search hardly ever comes back to a network at once; its modules would only fill the memory.
        self.supernet.keep = 8
        self.batches = recalibration_batches(data, images, batch_size, device)

    @cached_property
    def sha256(self) -> str:
        """The hash of the file of weights."""
        return sha256(_file(self.folder).read_bytes()).hexdigest()

    @property
    def unfinished(self) -> str:
        """How far the training has come, where it isn't at its end; else empty."""
        done, steps = int(self.about["done"]), int(self.about["steps"])
        return f"{done} of {steps} steps" if done < steps else ""

    @contextmanager
    def active(self, architecture: Any) -> Iterator[Supernet]:
        """The supernet with one network active and recalibrated, in evaluation mode.

        Raises `SpaceError` for an architecture that isn't in the supernet's space.
        """
        self.supernet.activate(architecture)
        with torch.no_grad(), recalibrate(self.supernet, self.batches):
            self.supernet.network.eval()
            yield self.supernet

    def extracted(self, architecture: Any) -> nn.Module:
        """The stand-alone network with the weights and recalibrated statistics, in evaluation mode."""
        with self.active(architecture) as supernet:
            return supernet.extract(architecture).eval()


def about_supernet(folder: Path) -> dict[str, Any]:
    """What is known about the supernet in a folder, from the head of its file; raises `WrongUse` if there is none."""
    path = _file(folder)
    if not path.is_file():
        raise WrongUse(f"{folder} has no trained supernet; train one with: archfront supernet train --to {folder}")
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > path.stat().st_size:
                raise ValueError("it is cut off")
            about: dict[str, Any] = json.loads(json.loads(file.read(size))["__metadata__"]["about"])
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise WrongUse(f"the supernet in {folder} can't be read ({error}); train it again") from None
    return about


def check_data(about: dict[str, Any], folder: str | Path, data: DataSet) -> None:
    """Raise `WrongUse` where a supernet was trained on other pictures, be it the same ones split differently."""
    if about.get("data_sha256") != data.sha256 or about.get("train_sha256") != train_digest(data):
        split = about.get("data_sha256") == data.sha256
        raise WrongUse(
            f"the supernet in {folder} was trained on {about.get('data')} with {about.get('data_settings')}, not on "
            + ("this split of it" if split else f"{data.name} as it is here")
            + "; leave --data out to take the supernet's own"
        )


def recalibration_batches(data: DataSet, images: int, batch_size: int, device: str) -> list[Tensor]:
    """The same training pictures whenever asked, normalized; the last batch is never a single picture."""
    order = torch.randperm(data.train.size, generator=torch.Generator().manual_seed(0))[:images]
    chosen = laid_out(data.prepared(data.train.inputs[order])).to(device)
    batches = list(chosen.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _file(folder: Path) -> Path:
    return folder / checkpoints.FOLDER / (STEM + checkpoints.SUFFIX)
