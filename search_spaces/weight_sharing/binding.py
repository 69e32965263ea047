"""The shared tensors, and what makes them a stand-alone network's: slices, bound into its modules."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from search_spaces.training_protocols import Following
from search_spaces.weight_sharing import kernel_transformations as kernels
from search_spaces.weight_sharing.recording import TensorView


class Store(nn.Module):
    """The shared tensors, by key: each as large as the largest of its slices.

    `views` says of each what it is, as a view of its own that is all of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.views: dict[str, TensorView] = {}

    def put(self, view: TensorView, value: Tensor) -> None:
        """Keep `value` as the tensor of which `view` is a slice, in place of the one before, if any."""
        self.views[view.key] = replace(view, home={}, shape=tuple(value.shape))
        if view.parameter:
            self._parameters[view.key] = nn.Parameter(value, requires_grad=view.trained)
        else:
            self._buffers[view.key] = value

    def tensor(self, key: str) -> Tensor | None:
        """The tensor under `key`, if there is one."""
        found = self._parameters.get(key)
        return self._buffers.get(key) if found is None else found

    def transform(self, key: str, sizes: Iterable[kernels.Sides]) -> int:
        """Give the kernels under `key` a matrix for each step down to these sizes; the number that is new."""
        whole = self.tensor(key)
        assert whole is not None
        new = 0
        for sides in kernels.nested(sizes, tuple(whole.shape[2:])):
            name = kernels.key_of(key, sides)
            if name not in self._parameters:
                matrix = kernels.identity(sides).to(device=whole.device, dtype=whole.dtype)
                self._parameters[name] = nn.Parameter(matrix, requires_grad=whole.requires_grad)
                new += 1
        return new

    def matrices(self) -> Iterator[tuple[str, Tensor]]:
        """The matrices of all steps, with their keys."""
        for key, parameter in self._parameters.items():
            if key not in self.views and parameter is not None:
                yield key, parameter

    def steps(self, view: TensorView) -> list[kernels.Step]:
        """The steps that lead from the largest kernel to the view's, where kernels are transformed; else none."""
        whole = self.tensor(view.key)
        if not view.kernel or whole is None or view.shape[2:] == whole.shape[2:]:
            return []
        prefix = f"{view.key}@"
        sizes = [_sides(name) for name in self._parameters if name.startswith(prefix)]
        chain = kernels.nested(sizes, tuple(whole.shape[2:]))
        if view.shape[2:] not in chain:
            return []
        chain = chain[: chain.index(view.shape[2:]) + 1]
        return [(sides, self._parameters[kernels.key_of(view.key, sides)]) for sides in chain]


def _sides(name: str) -> kernels.Sides:
    return tuple(map(int, name.rpartition("@")[2].split("x")))


class Slice:
    """A tensor of a network, and how it comes from the store's."""

    def __init__(self, view: TensorView, store: Store) -> None:
        whole = store.tensor(view.key)
        assert whole is not None
        self.view, self.whole = view, whole
        self.steps = store.steps(view)
        self._index = view.index(tuple(whole.shape))
        if self.steps:
            assert self._index is not None
            self._index = self._index[:2]  # The kernel's sides are the steps' to crop.
        self._chunks = 1 if self._index is None else view.chunks
        self.computed = bool(self.steps) or self._chunks > 1
        """Whether it has memory of its own; else it is a view of the store's, and follows that by itself."""
        self._view = whole

    def look(self) -> None:
        """Take the view of the store's tensor that `value` is made from."""
        if self._chunks > 1:
            self._view = self.whole.unflatten(0, (self._chunks, -1))[(slice(None), *(self._index or ()))]
        else:
            self._view = self.whole if self._index is None else self.whole[self._index]

    def value(self) -> Tensor:
        """The tensor, through which gradients reach the store's if they were enabled when it looked."""
        if self.steps:
            return kernels.transformed(self._view, self.steps)
        return self._view if self._chunks == 1 else self._view.flatten(0, 1)

    def bind(self) -> None:
        """Put the tensor into its network."""
        self.view.home[self.view.attribute] = self.value()


class Subnet:
    """A stand-alone network whose tensors are slices of a store's.

    Views are made once, and again where the store's tensors have moved: they see changes by themselves, and
    gradients pass through them as often as one likes. Only what has memory of its own is made for every pass.
    """

    def __init__(self, network: nn.Module, views: list[TensorView], store: Store) -> None:
        self.network, self.views = network, views
        self.following = Following(network)
        self._slices = [Slice(view, store) for view in views]
        self._computed = [found for found in self._slices if found.computed]
        self._wholes = [found.whole for found in self._slices]
        self._memory: list[int] = []
        self._learning: list[bool] | None = None
        """Which of the store's tensors took gradients when the views were made; None where none were enabled."""

    def bind(self) -> None:
        """Put the tensors into the network; gradients reach the store when they are enabled now."""
        memory = list(map(Tensor.data_ptr, self._wholes))
        learning = [whole.requires_grad for whole in self._wholes] if torch.is_grad_enabled() else None
        if memory != self._memory or (learning is not None and learning != self._learning):
            # Views that are made in inference mode could never be used outside of it.
            with torch.inference_mode(False), torch.set_grad_enabled(learning is not None):
                for found in self._slices:
                    found.look()
                    found.bind()
            self._memory, self._learning = memory, learning
        else:
            for found in self._computed:
                found.bind()
