"""Checkpoints: weights, and the optimizer's state beside them, as safetensors files written whole or not at all."""

import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from archfront.contracts import Artifact
from search_spaces import canonical
from search_spaces.errors import SpaceError

FOLDER = "checkpoints"
SUFFIX = ".safetensors"
OPTIMIZER = ".optimizer.safetensors"
TRAINED, BESIDE = "trained/", "beside/"
"""What the names of tensors begin with that aren't the optimizer's, in its file."""


def save(folder: Path, stem: str, tensors: dict[str, Tensor], about: dict[str, Any], suffix: str = SUFFIX) -> Path:
    """Write `folder/checkpoints/stem.safetensors` in one step: other processes see the whole file or none.

    `about` becomes the file's metadata, as JSON text. Raises `OSError` with the reason, as when the disk is full.
    """
    path = folder / FOLDER / (stem + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    # Cloned, since tied weights share memory and channels-last ones aren't contiguous; safetensors takes neither.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(plain, draft, metadata={"about": json.dumps(about)})
        os.replace(draft, path)
    except (OSError, SafetensorError) as error:
        raise OSError(f"the checkpoint {path.name} can't be written ({error}); free some disk space") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and metadata of a checkpoint; raises `OSError` when there is none or it isn't whole."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118  (no mapping)
    except (OSError, SafetensorError, ValueError) as error:
        raise OSError(f"the checkpoint {path.name} can't be read ({error})") from error


def artifact(folder: Path, path: Path, kind: str) -> Artifact:
    """The file as an artifact, its path relative to `folder`."""
    content = path.read_bytes()
    return Artifact(kind, path.relative_to(folder).as_posix(), sha256(content).hexdigest(), len(content))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state, flat: `<number of the parameter>.<name>`; what groups count: `group.<number>.<name>`."""
    state = optimizer.state_dict()["state"]
    found = {
        f"{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }
    for number, group in enumerate(optimizer.param_groups):
        found |= {f"group.{number}.{name}": value for name, value in group.items() if isinstance(value, Tensor)}
    return found


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take over what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    groups = optimizer.state_dict()["param_groups"]
    for key, tensor in tensors.items():
        number, _, name = key.removeprefix("group.").partition(".")
        if key.startswith("group."):
            groups[int(number)][name] = tensor
        else:
            state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            # In the parameter's layout, as it was: in another one, sums (a norm's) are added up in another order.
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def training_tensors(
    optimizer: torch.optim.Optimizer, trained: Mapping[str, Tensor], beside: nn.Module
) -> dict[str, Tensor]:
    """What a training goes on from besides its weights: the optimizer's state, the weights that it trains where others
    count (averages of them), and what learns beside the network."""
    found = optimizer_tensors(optimizer)
    found |= {TRAINED + name: tensor for name, tensor in trained.items()}
    return found | {BESIDE + name: tensor for name, tensor in beside.state_dict().items()}


def _agrees(about: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether a checkpoint is of the training expected; one that was written with defaults spelled out, too."""
    if {key: about.get(key) for key in expected} == expected:
        return True
    try:
        now = {
            "digest": canonical.digest(canonical.from_json(about.get("architecture"))),
            "recipe": canonical.to_json(canonical.from_json(about.get("recipe"))),
        }
    except SpaceError:
        return False
    return {key: now.get(key, about.get(key)) for key in expected} == expected


def restore(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    expected: dict[str, Any],
    averaged: Callable[[Mapping[str, Tensor]], None] | None = None,
    beside: nn.Module | None = None,
) -> int:
    """Load weights and optimizer state from `path` and the file beside it; the number of epochs they are trained for.

    `averaged` is given the weights that count where those trained are others; `beside` is what learns beside the model.
    0, with nothing loaded, when the files are missing, broken, or of another training than `expected` describes: the
    training then starts afresh, which takes longer and ends the same.
    """
    try:
        weights, about = load(path)
        state, _ = load(path.with_name(path.name.removesuffix(SUFFIX) + OPTIMIZER))
    except OSError:
        return 0
    trained = {key.removeprefix(TRAINED): state.pop(key) for key in list(state) if key.startswith(TRAINED)}
    further = {key.removeprefix(BESIDE): state.pop(key) for key in list(state) if key.startswith(BESIDE)}
    if not _agrees(about, expected) or weights.keys() != model.state_dict().keys():
        return 0
    if (averaged is None) != (not trained):
        return 0
    model.load_state_dict(trained or weights)
    if averaged is not None:
        averaged(weights)
    if beside is not None:
        beside.load_state_dict(further)
    load_optimizer(optimizer, state)
    return int(about["epochs"])
