"""The weights that trainings begin with instead of random ones: which there are, and for which candidates."""

import json
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import nn

from archfront.contracts import WrongUse
from evaluators import checkpoints
from evaluators.datasets import DataSet
from evaluators.inherited_weights import about_supernet
from evaluators.supernet_training import STEM, load_supernet
from evaluators.transferred_weights import transfer
from search_spaces import canonical
from search_spaces.parts import without_recipe
from search_spaces.space import SearchSpace

TRIED = 50
"""So many random networks of a space are tried for whether any has weights."""


@dataclass(frozen=True)
class Trained:
    """A file of weights, the network that they are of, without its recipe, and what else the file says."""

    path: Path
    network: Any
    about: dict[str, Any]


class StartingWeights(ABC):
    """Weights from elsewhere. `covers` says of a network alone, without recipe, whether it has some here."""

    setting = ""
    """What origins, in the provenance of metrics, call it."""

    @abstractmethod
    def covers(self, network: Any) -> bool:
        """Whether a training of this network begins with weights from here; it begins with random ones elsewhere."""

    @abstractmethod
    def begin(self, network: Any, model: nn.Module, data: DataSet) -> str:
        """Fill the model, which `network` is for `data`, and give the hash of what the weights are from."""

    @abstractmethod
    def check(self, space: SearchSpace) -> None:
        """Raise `WrongUse`, before a search of the space, where weights aren't there."""

    @property
    def identity(self) -> str:
        """The hash of all that candidates may begin with; empty where each one's origin tells all."""
        return ""


def start_from(folder: str) -> StartingWeights:
    """The weights in a supernet's folder, or in that of a study; raises `WrongUse` where there are none."""
    path = Path(folder)
    if (path / checkpoints.FOLDER / (STEM + checkpoints.SUFFIX)).is_file():
        return SupernetWeights(path)
    return StudyWeights(path)


class StudyWeights(StartingWeights):
    """The weights that a study's candidates were left with.

    A candidate begins with those of the candidate that is the same network (whatever its recipe, inputs and outputs),
    trained for the most epochs; one that isn't among them begins with random weights. The head is its own, random,
    unless the classes have the same names in both. What finishers made isn't looked at.
    """

    setting = "start"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not self.files:
            raise WrongUse(f"--start {folder}: no trained network is in there; name a study that has trained some")

    @cached_property
    def files(self) -> dict[str, "Trained"]:
        """What was trained, by the networks' digests."""
        found: dict[str, Trained] = {}
        for path in sorted((self.folder / checkpoints.FOLDER).glob(f"*{checkpoints.SUFFIX}")):
            one = _trained(path)
            if one is None:
                continue
            digest = canonical.digest(one.network)
            if digest not in found or one.about["epochs"] > found[digest].about["epochs"]:
                found[digest] = one
        return found

    @property
    def identity(self) -> str:
        names = [f"{digest} {one.path.name}" for digest, one in sorted(self.files.items())]
        return sha256("\n".join(names).encode()).hexdigest()

    def covers(self, network: Any) -> bool:
        return canonical.digest(network) in self.files

    def begin(self, network: Any, model: nn.Module, data: DataSet) -> str:
        one = self.files[canonical.digest(network)]
        state, about = checkpoints.load(one.path)
        transfer(state, model, network, data.inputs, data.outputs, same_classes(about, data))
        return sha256(one.path.read_bytes()).hexdigest()

    def check(self, space: SearchSpace) -> None:
        tree = getattr(space, "tree", None)
        # Where recipes are searched, too, no network alone lies in the space.
        if without_recipe(tree) is tree and not any(one.network in space for one in self.files.values()):
            raise WrongUse(
                f"--start {self.folder}: none of its {len(self.files)} networks lies in the space '{space.name}'; "
                "name the space that it searched with --space"
            )


class SupernetWeights(StartingWeights):
    """The weights that networks have in a supernet, be it one of other data.

    A candidate that lies in the supernet's space begins with them, any other with random ones. Statistics of batch
    normalization are the supernet's, which the training's own soon take the place of.
    """

    setting = "start"

    def __init__(self, folder: Path) -> None:
        about_supernet(folder)
        self.folder = folder

    @cached_property
    def _loaded(self) -> Any:
        supernet, about = load_supernet(self.folder)
        supernet.eval().requires_grad_(False)
        supernet.keep = 8
        return supernet, about

    @cached_property
    def identity(self) -> str:
        return sha256((self.folder / checkpoints.FOLDER / (STEM + checkpoints.SUFFIX)).read_bytes()).hexdigest()

    def covers(self, network: Any) -> bool:
        return network in self._loaded[0].space

    def begin(self, network: Any, model: nn.Module, data: DataSet) -> str:
        supernet, about = self._loaded
        state = supernet.extract(network).state_dict()
        transfer(state, model, network, data.inputs, data.outputs, same_classes(about, data))
        return self.identity

    def check(self, space: SearchSpace) -> None:
        if not any(self.covers(without_recipe(space.sample(seed))) for seed in range(TRIED)):
            raise WrongUse(
                f"--start {self.folder}: no network of the space '{space.name}' is in this supernet; search the space "
                f"that it was trained on, --space {self._loaded[1]['space']}"
            )


def same_classes(about: dict[str, Any], data: DataSet) -> bool:
    """Whether weights are of a network for the classes of `data`: of the same data, or of classes named the same.

    Numbers are no names: they say nothing of what the classes are.
    """
    if data.sha256 in (about.get("data"), about.get("data_sha256")):
        return True
    named = not all(name.isdigit() for name in data.classes)
    return named and list(data.classes) == about.get("classes")


def _trained(path: Path) -> Trained | None:
    """The network whose weights a file of a study holds; None for other files."""
    if path.name.startswith(".") or path.name.endswith(checkpoints.OPTIMIZER):
        return None
    try:
        about = _about(path)
        architecture = canonical.from_json(about["architecture"])
    except (OSError, ValueError, KeyError, struct.error):
        # Not written by a training, or of parts that aren't installed here: `SpaceError` is a `ValueError`.
        return None
    finished = "epochs" not in about or hasattr(architecture, "steps")
    return None if finished else Trained(path, without_recipe(architecture), about)


def _about(path: Path) -> dict[str, Any]:
    """The metadata at the head of a file of weights, without reading the weights."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > path.stat().st_size:
            raise ValueError("it is cut off")
        return json.loads(json.loads(file.read(size))["__metadata__"]["about"])
