"""Pretrained weights of timm's networks: from a local folder, or from where timm has them."""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from archfront.contracts import WrongUse
from evaluators.datasets import DataSet
from evaluators.starting_weights import StartingWeights
from evaluators.transferred_weights import transfer
from search_spaces.holes import OneOf, Repeat
from search_spaces.parts import Part, fields_of
from search_spaces.space import SearchSpace

FILE = "model.safetensors"
"""What the file of weights is called in timm's repositories on the hub."""
REACHED_S = 10
"""Seconds to wait for the hub to answer at all."""


class PretrainedWeights(StartingWeights):
    """The weights of timm's networks in `folder`, `NAME.safetensors` or `NAME.TAG.safetensors`; empty: timm's own.

    What isn't in the folder is taken from the hub, or its cache, as timm takes it. Networks of other widths or depths
    than timm's have none, nor have those that aren't timm's: they begin with random weights. The head is always made
    anew; filters of the first layer are fitted to the inputs' channels as timm does.
    """

    setting = "pretrained"

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        if folder and not Path(folder).is_dir():
            raise WrongUse(f"--weights {folder}: there is no such folder; name one with files as lcnet_050.safetensors")

    def covers(self, network: Any) -> bool:
        return _is_timm(network) and network.width == network.depth == 1

    def begin(self, network: Any, model: nn.Module, data: DataSet) -> str:
        body: Any = model.body
        path = file_of(network.backbone, self.folder)
        try:
            state = load_file(path)
            convert = getattr(sys.modules[type(body).__module__], "checkpoint_filter_fn", None)
            state = convert(state, body) if convert is not None else state
        except (OSError, SafetensorError, KeyError) as error:
            raise WrongUse(f"the weights {path.name} can't be read: {' '.join(str(error).split())}") from None
        named = {f"body.{name}": tensor for name, tensor in state.items()}
        missing = [
            name
            for name in transfer(named, model, network, data.inputs, data.outputs, head=False)
            if not name.endswith("num_batches_tracked")
        ]
        if missing:
            raise WrongUse(
                f"the weights {path.name} aren't those of timm's '{network.backbone}': {len(missing)} tensors are "
                f"missing or of other shapes, as {missing[0].removeprefix('body.')}; take the file of that name"
            )
        return _digest(path)

    def check(self, space: SearchSpace) -> None:
        backbones = sorted(set(_backbones(getattr(space, "tree", None))))
        if not backbones:
            raise WrongUse(
                f"the space '{space.name}' has no networks of timm at their own width and depth, which alone have "
                "pretrained weights; say --space timm, or --no-pretrained without --weights"
            )
        for backbone in backbones:
            file_of(backbone, self.folder)


@lru_cache(maxsize=256)
def file_of(backbone: str, folder: str = "") -> Path:
    """The file of a backbone's weights, downloaded where it must be; raises `WrongUse` where there is none."""
    if folder:
        known = [Path(folder, f"{backbone}.safetensors"), *sorted(Path(folder).glob(f"{backbone}.*.safetensors"))]
        found = next((path for path in known if path.is_file()), None)
        if found is not None:
            return found
    cure = f"put {backbone}.safetensors into a folder and say --weights FOLDER, or begin with random weights"
    where = f"{folder} has no weights of timm's '{backbone}', and" if folder else f"of timm's '{backbone}'"
    from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)

    import huggingface_hub
    import timm  # Takes a second, and few searches begin with pretrained weights.

    about = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    source = "" if about is None else str(about.hf_hub_id or "")
    if not source:
        raise WrongUse(f"{where} timm has no pretrained weights; {cure}: --no-pretrained")
    repository = source if "/" in source and not source.endswith("/") else f"{source}{backbone}.{about.tag}"
    cached = huggingface_hub.try_to_load_from_cache(repository, FILE)
    if isinstance(cached, str):
        return Path(cached)
    reason = _unreachable()
    try:
        if not reason:
            return Path(huggingface_hub.hf_hub_download(repository, FILE))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
    raise WrongUse(f"{where} no pretrained weights can be had from {repository} ({reason}); {cure}: --no-pretrained")


@lru_cache(maxsize=1)
def _unreachable() -> str:
    """Why the hub can't be reached; empty where it can. Asked first, since a download is tried for a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=REACHED_S).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return f"{constants.ENDPOINT} isn't reached: {getattr(error, 'reason', error)}"
    return ""


def _backbones(tree: Any) -> Iterator[str]:
    """The backbones at their own width and depth among the networks of a tree."""
    if _is_timm(tree):
        if all(1 in _options(size) for size in (tree.width, tree.depth)):
            yield from _options(tree.backbone)
    elif isinstance(tree, Part):
        for name in fields_of(tree):
            yield from _backbones(getattr(tree, name))
    elif isinstance(tree, OneOf | tuple):
        for item in tree.options if isinstance(tree, OneOf) else tree:
            yield from _backbones(item)
    elif isinstance(tree, Repeat):
        yield from _backbones(tree.item)


def _options(value: Any) -> list[Any]:
    if not isinstance(value, OneOf):
        return [value]
    return [option for inner in value.options for option in _options(inner)]


def _is_timm(network: Any) -> bool:
    """Told by its name, since the part imports timm."""
    return isinstance(network, Part) and (network.family, network.name) == ("network", "timm")


@lru_cache(maxsize=64)
def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
