"""The deployed form of a network: what is timed and exported. Its outputs are those of the network in eval mode."""

import copy
from collections import Counter
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports timm)
import torch
from timm.layers import BatchNormAct2d, DropBlock2d, DropPath, PatchDropout
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from search_spaces.example_inputs import example_inputs
from search_spaces.neighbours import neighbours

DROPPED: tuple[type, ...] = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    DropPath,
    DropBlock2d,
    PatchDropout,
)
"""Modules that act in training only."""

SIDES: dict[type, int] = {nn.Linear: 0, nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3} | {
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}
"""The layers that a batch normalization can be folded into, and the sides of their maps."""
NORMS: dict[type, tuple[int, ...]] = {nn.BatchNorm1d: (0, 1), nn.BatchNorm2d: (2,), nn.BatchNorm3d: (3,)} | {
    nn.SyncBatchNorm: (0, 1, 2, 3),
}
"""Batch normalizations, and the sides of the maps that they take."""


def deployed(model: nn.Module) -> nn.Module:
    """An eval-mode copy of `model`, a network of one tensor, that computes the same with less.

    `model` itself is left as it was. Modules with a method `reparameterize()` (timm's protocol: merge in place what
    training kept apart) are merged; dropout and stochastic depth are removed; batch normalization is folded into the
    convolution or linear layer right before it, or into a convolution without padding or a linear layer right after
    it, wherever one feeds the other alone (`search_spaces.neighbours`). No parameter of the copy requires a gradient.
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    merges = [getattr(module, "reparameterize", None) for module in network.modules()]
    for merge in filter(callable, merges):
        merge()
    if any(map(callable, merges)):
        network.eval().requires_grad_(False)
    places: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if isinstance(child, DROPPED):
                parent._modules[name] = nn.Identity().eval()
            elif child is not None:
                places.append((parent, name, child))
    norms = {child for _, _, child in places if _is_norm(child)}
    layers = {child for _, _, child in places if _is_layer(child)}
    following = neighbours(network, norms, layers, _may_fold)
    changed: dict[nn.Module, nn.Module] = {}
    for first in following.keys() - set(following.values()):
        chain = [first]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        changed |= _folded(chain)
    for parent, name, child in places:
        if child in changed:
            setattr(parent, name, changed[child].eval())
    return network


class Rows(nn.Module):
    """The identity, in the place of a normalization that was folded into a linear layer: exact for rows alone.

    A linear layer maps the last axis and `nn.BatchNorm1d` normalizes the second one, which is the same of
    (batch, features) only.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 2:
            raise NotImplementedError(
                f"a batch normalization next to a linear layer is deployed for inputs (batch, features), not {x.dim()} "
                "axes; transpose, or use a convolution"
            )
        return x


def _folded(chain: list[nn.Module]) -> dict[nn.Module, nn.Module]:
    """Fold the normalizations of layers that feed each other, and give what takes the place of each that is gone."""
    changed: dict[nn.Module, nn.Module] = {}
    chain, place = list(chain), 0
    while place + 1 < len(chain):
        left, right = chain[place : place + 2]
        if _folds_back(left, right) and _fold(left, right, before=False):
            changed[right] = _remainder(right, left)
            del chain[place + 1]
            if isinstance(right, BatchNormAct2d):
                # Behind its activation, the layer doesn't feed anything else.
                place += 1
        elif _folds_ahead(left, right) and _fold(right, left, before=True):
            changed[left] = _remainder(left, right)
            del chain[place]
            place = max(0, place - 1)
        else:
            place += 1
    return changed


def _remainder(norm: Any, layer: nn.Module) -> nn.Module:
    """What is left of a folded normalization: timm's variant has an activation inside."""
    if isinstance(norm, BatchNormAct2d):
        return nn.Sequential(norm.drop, norm.act)
    return Rows() if isinstance(layer, nn.Linear) else nn.Identity()


def _is_norm(module: nn.Module) -> bool:
    known = isinstance(module, BatchNormAct2d) or type(module).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
    return known and isinstance(module, _BatchNorm) and module.running_mean is not None


def _is_layer(module: nn.Module) -> bool:
    # A weight that is computed, as weight normalization does, is no parameter, and can't be changed.
    return isinstance(module, nn.Linear | _ConvNd) and isinstance(module._parameters.get("weight"), nn.Parameter)


def _may_fold(left: nn.Module, right: nn.Module) -> bool:
    both = isinstance(left, _BatchNorm) and isinstance(right, _BatchNorm)
    return both or _folds_back(left, right) or _folds_ahead(left, right)


def _folds_back(layer: Any, norm: Any) -> bool:
    """Whether a normalization can be folded into the layer before it."""
    return _match(layer, norm) and norm.num_features == _channels(layer, out=True)


def _folds_ahead(norm: Any, layer: Any) -> bool:
    """Whether a normalization can be folded into the layer behind it."""
    if not _match(layer, norm) or isinstance(norm, BatchNormAct2d) or isinstance(layer, _ConvTransposeNd):
        return False
    # Only a convolution without padding sees the same shift everywhere.
    padded = isinstance(layer, _ConvNd) and layer.padding != "valid" and any(side != 0 for side in layer.padding)
    return not padded and norm.num_features == _channels(layer, out=False)


def _match(layer: nn.Module, norm: nn.Module) -> bool:
    """Whether the two are a layer and a normalization, of maps with as many sides."""
    if not isinstance(norm, _BatchNorm) or not isinstance(layer, nn.Linear | _ConvNd):
        return False
    sides = SIDES.get(_kind(layer))
    return any(isinstance(norm, kind) and sides in allowed for kind, allowed in NORMS.items())


def _kind(layer: nn.Module) -> type:
    """The layer of torch that this is, or is derived from."""
    return next((kind for kind in type(layer).__mro__ if kind in SIDES), nn.Module)


def _channels(layer: Any, out: bool) -> int:
    if isinstance(layer, nn.Linear):
        return layer.out_features if out else layer.in_features
    return layer.out_channels if out else layer.in_channels


def _fold(layer: Any, norm: Any, before: bool) -> bool:
    """Fold a normalization that comes right after the layer, or `before` it; whether that could be done."""
    if not _is_known(layer) and not _proven(layer, norm, before):
        return False
    _fuse(layer, norm, before)
    return True


def _is_known(layer: nn.Module) -> bool:
    """Whether the layer does what torch's does, and no more."""
    kind = _kind(layer)
    return all(getattr(type(layer), name, None) is getattr(kind, name, None) for name in ("forward", "_conv_forward"))


def _fuse(layer: Any, norm: Any, before: bool) -> None:
    """Change weight W and bias b so that the layer does both: y = s (W x + b) + t, or, `before`, y = W (s x + t) + b.

    s and t are what the normalization multiplies by and adds, per channel.
    """
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean * scale
    shift = shift if norm.bias is None else shift + norm.bias
    bias = torch.zeros_like(shift[:1]) if layer.bias is None else layer.bias
    groups = getattr(layer, "groups", 1)
    # (groups, rows, columns, kernel): a transposed convolution's outputs are the columns, of the others the rows.
    weight = (
        layer.weight.unflatten(0, (groups, -1)).flatten(3) if layer.weight.dim() > 2 else layer.weight[None, ..., None]
    )
    if before:
        bias = bias + (weight.sum(-1) * shift.view(groups, 1, -1)).sum(-1).flatten()
        weight = weight * scale.view(groups, 1, -1, 1)
    else:
        bias = bias * scale + shift
        outputs = (groups, 1, -1, 1) if isinstance(layer, _ConvTransposeNd) else (groups, -1, 1, 1)
        weight = weight * scale.view(outputs)
    weight = weight.reshape(layer.weight.shape).to(layer.weight.dtype)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)


def _proven(layer: Any, norm: Any, before: bool) -> bool:
    """Whether folding is exact for a layer whose forward is its own: tried on random weights, statistics and inputs.

    A layer that standardizes its weights, for one, or pads by itself, can't be folded into.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5

    try:
        probe = copy.deepcopy(layer).to("cpu", torch.float64)
        other = nn.BatchNorm1d(norm.num_features, norm.eps, dtype=torch.float64).eval().requires_grad_(False)
        for tensor in (*probe.parameters(), other.weight, other.bias, other.running_mean, other.running_var):
            tensor.copy_(draw(*tensor.shape))
        fused = copy.deepcopy(probe)
        _fuse(fused, other, before)

        def normalize(x: torch.Tensor) -> torch.Tensor:
            return functional.batch_norm(
                x, other.running_mean, other.running_var, other.weight, other.bias, eps=norm.eps
            )

        for more in (1, 2):
            sides = (
                []
                if isinstance(layer, nn.Linear)
                else [
                    dilation * (size - 1) + stride + more
                    for size, dilation, stride in zip(layer.kernel_size, layer.dilation, layer.stride, strict=True)
                ]
            )
            x = draw(2, _channels(layer, out=False), *sides)
            expected = probe(normalize(x)) if before else normalize(probe(x))
            if not torch.allclose(fused(x), expected, 1e-9, 1e-9):
                return False
    except Exception:
        # The layer takes other inputs, or has more to it, than its base class; then nothing is proven.
        return False
    return True


def unfolded(model: nn.Module, inputs: tuple[int, ...]) -> list[str]:
    """The batch normalizations of a deployed `model` that should have been folded and were not, by name.

    These are the ones whose input, in one run on random inputs of shape (2, *inputs), is the very output of a
    convolution or linear layer that they could be folded into: both are called once, and nothing else takes that
    output. Empty for a network that is deployed as it should be.
    """
    uses = _Uses()
    names = {module: name for name, module in model.named_modules()}
    handles = []
    for module in names:
        norm, hooked = isinstance(module, _BatchNorm), module._forward_hooks or module._forward_pre_hooks
        if hooked or not (norm or _is_layer(module)):
            continue
        handles.append(module.register_forward_pre_hook(uses.enter_norm if norm else uses.enter_layer))
        handles.append(module.register_forward_hook(uses.leave_norm if norm else uses.leave_layer))
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    x = example_inputs(model, inputs, 2, dtype=dtype)
    try:
        with torch.no_grad(), uses:
            result = model(x)
    finally:
        for handle in handles:
            handle.remove()
    uses.note(tree_leaves(result))
    return [names[norm] for norm in uses.after_a_layer()]


class _Uses(TorchDispatchMode):
    """Keeps the outputs of layers and who takes them, and whose weights others use."""

    def __init__(self) -> None:
        super().__init__()
        self._inside: nn.Module | None = None
        self._calls: Counter[nn.Module] = Counter()
        # By identity, which is safe since the tensors are kept: an output, its version, its layer.
        self._outputs: dict[int, tuple[torch.Tensor, int, nn.Module]] = {}
        self._owners: dict[int, nn.Module] = {}
        self._others: Counter[int | nn.Module] = Counter()
        self._pairs: list[tuple[nn.Module, nn.Module, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.note(tree_leaves((args, kwargs)))
        return func(*args, **(kwargs or {}))

    def note(self, values: list[Any]) -> None:
        """Count uses of the layers' outputs and weights among `values`."""
        for key in map(id, values):
            if key in self._outputs and not isinstance(self._inside, _BatchNorm):
                self._others[key] += 1
            elif key in self._owners and self._owners[key] is not self._inside:
                self._others[self._owners[key]] += 1

    def enter_layer(self, layer: nn.Module, inputs: Any) -> None:
        self._calls[layer] += 1
        self._inside = layer
        self._owners.update((id(parameter), layer) for parameter in layer.parameters())

    def leave_layer(self, layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._inside = None
        self._outputs[id(output)] = (output, output._version, layer)

    def enter_norm(self, norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._calls[norm] += 1
        self._inside = norm
        tensor, version, layer = self._outputs.get(id(inputs[0]), (None, 0, norm))
        if tensor is not None and tensor._version == version:
            self._pairs.append((layer, norm, id(tensor)))

    def leave_norm(self, norm: nn.Module, inputs: Any, output: Any) -> None:
        self._inside = None

    def after_a_layer(self) -> list[nn.Module]:
        """The normalizations right after a layer that they could be folded into."""
        return [
            norm
            for layer, norm, output in self._pairs
            if self._others[output] == self._others[layer] == 0
            and self._calls[layer] == self._calls[norm] == 1
            and (norm.running_mean is not None and _folds_back(layer, norm))
            and not (isinstance(layer, nn.Linear) and self._outputs[output][0].dim() != 2)
            and (_is_known(layer) or _proven(layer, norm, before=False))
        ]
