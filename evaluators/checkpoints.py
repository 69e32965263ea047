"""Checkpoints: weights, and the optimizer's state beside them, as safetensors files written whole or not at all."""

import json
import os
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
    """The optimizer's state, flat: `<number of the parameter>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


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


def restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, expected: dict[str, Any]) -> int:
    """Load weights and optimizer state from `path` and the file beside it; the number of epochs they are trained for.

    0, with nothing loaded, when the files are missing, broken, or of another training than `expected` describes: the
    training then starts afresh, which takes longer and ends the same.
    """
    try:
        weights, about = load(path)
        state, _ = load(path.with_name(path.name.removesuffix(SUFFIX) + OPTIMIZER))
    except OSError:
        return 0
    if not _agrees(about, expected) or weights.keys() != model.state_dict().keys():
        return 0
    grouped: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        number, _, name = key.partition(".")
        grouped.setdefault(int(number), {})[name] = tensor
    model.load_state_dict(weights)
    optimizer.load_state_dict({"state": grouped, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(about["epochs"])
