"""Trained networks by where they are: a folder of ours, a supernet's folder, or timm."""

import json
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet
from evaluators.inherited_weights import InheritedWeights
from search_spaces import canonical
from search_spaces.building import build
from search_spaces.errors import SpaceError
from search_spaces.parts import without_recipe

WEIGHTS, ARCHITECTURE, CARD = "model.safetensors", "architecture.json", "card.json"
"""What a folder of an extracted or exported network holds."""
TIMM = "timm:"


def trained_network(where: str, weights: str, data: DataSet, device: str) -> tuple[nn.Module, str]:
    """The network in evaluation mode on a device, nothing of it learning, and the hash of its weights.

    `where` is a folder that `archfront export` (with its Python format) or `archfront supernet extract` wrote, that of
    a supernet (its largest network), or `timm:NAME`; then `weights` may be a safetensors file. Raises `WrongUse` where
    there is none, or one of other inputs or outputs than those of `data`. Loaded once per process.
    """
    if where.startswith(TIMM):
        network, digest = _of_timm(where.removeprefix(TIMM), weights, data.inputs, data.outputs)
    elif weights:
        raise WrongUse(f"weights={weights} goes with network=timm:NAME; a folder has its own")
    elif (Path(where) / ARCHITECTURE).is_file() or (Path(where) / CARD).is_file():
        network, digest = _of_folder(where, data.inputs, data.outputs)
    else:
        network, digest = _of_supernet(where, data)
    network = network.to(device)
    try:
        data.task.check(network, data.prepared(data.train.inputs[:2]).to(device))
    except (RuntimeError, ValueError) as error:
        raise WrongUse(f"the network of {where} can't teach on {data.name}: {str(error).splitlines()[0]}") from None
    return network.eval().requires_grad_(False), digest


@lru_cache(maxsize=4)
def _of_folder(where: str, inputs: tuple[int, ...], outputs: int) -> tuple[nn.Module, str]:
    folder = Path(where)
    try:
        file = folder / ARCHITECTURE
        found: Any = json.loads((file if file.is_file() else folder / CARD).read_text(encoding="utf-8"))
        architecture = canonical.from_json(found.get("architecture", found))
        network = build(without_recipe(architecture), inputs, outputs, seed=0)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError as error:
        raise WrongUse(f"{where} lacks {Path(str(error.filename)).name}; export with --format python") from None
    except (OSError, ValueError, SafetensorError, SpaceError, RuntimeError) as error:
        raise WrongUse(f"the network in {where} can't be made for this data: {str(error).splitlines()[0]}") from None
    return network, _digest(folder / WEIGHTS)


@lru_cache(maxsize=2)
def _of_supernet(where: str, data: DataSet) -> tuple[nn.Module, str]:
    source = InheritedWeights(where, data)
    return source.extracted(source.supernet.largest()), source.sha256


@lru_cache(maxsize=4)
def _of_timm(name: str, weights: str, inputs: tuple[int, ...], outputs: int) -> tuple[nn.Module, str]:
    from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

    import timm  # Takes a second, and few trainings have such a teacher.

    if not timm.is_model(name):
        raise WrongUse(f"timm has no model '{name}'; timm.list_models('*{name[:6]}*') lists those like it")
    try:
        if not weights:
            network = timm.create_model(name, pretrained=True, in_chans=inputs[0])
            return network, f"timm {timm.__version__} {name}"
        network = timm.create_model(name, in_chans=inputs[0], num_classes=outputs)
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        what = weights or "pretrained weights"
        raise WrongUse(f"timm's {name} can't be had with {what}: {str(error).splitlines()[0]}") from None
    return network, _digest(Path(weights))


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
