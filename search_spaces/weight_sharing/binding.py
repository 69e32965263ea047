"""The shared tensors, and what makes them a stand-alone network's: slices, bound into its modules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn

from search_spaces.weight_sharing import kernel_transformations as kernels
from search_spaces.weight_sharing.recording import Piece, sliced


class Store(nn.Module):
    """The shared tensors, by key: each as large as the largest of its slices.

    `pieces` says of each what it is, as a piece of its own that is all of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pieces: dict[str, Piece] = {}

    def put(self, piece: Piece, value: Tensor) -> None:
        """Keep `value` as the tensor of which `piece` is a slice, in place of the one before, if any."""
        self.pieces[piece.key] = replace(piece, home={}, shape=tuple(value.shape))
        if piece.parameter:
            self._parameters[piece.key] = nn.Parameter(value, requires_grad=piece.trained)
        else:
            self._buffers[piece.key] = value

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
            if key not in self.pieces and parameter is not None:
                yield key, parameter

    def steps(self, piece: Piece) -> list[kernels.Step]:
        """The steps that lead from the largest kernel to the piece's, where kernels are transformed; else none."""
        whole = self.tensor(piece.key)
        if not piece.kernel or whole is None or piece.shape[2:] == whole.shape[2:]:
            return []
        prefix = f"{piece.key}@"
        sizes = [_sides(name) for name in self._parameters if name.startswith(prefix)]
        chain = kernels.nested(sizes, tuple(whole.shape[2:]))
        if piece.shape[2:] not in chain:
            return []
        chain = chain[: chain.index(piece.shape[2:]) + 1]
        return [(sides, self._parameters[kernels.key_of(piece.key, sides)]) for sides in chain]


def _sides(name: str) -> kernels.Sides:
    return tuple(map(int, name.rpartition("@")[2].split("x")))


class Slice:
    """A tensor of a network, and how it comes from the store's."""

    def __init__(self, piece: Piece, store: Store) -> None:
        whole = store.tensor(piece.key)
        assert whole is not None
        self.piece, self.whole = piece, whole
        self.steps = store.steps(piece)
        self.index = piece.index(tuple(whole.shape))
        if self.steps:
            assert self.index is not None
            self.index = self.index[:2]  # The kernel's sides are the steps' to crop.
        self.view = self.index is None or (piece.chunks == 1 and not self.steps)
        """Whether it is the store's memory, so that it follows the store's changes by itself."""

    def value(self) -> Tensor:
        """The tensor, through which gradients reach the store's when they are enabled."""
        if self.steps:
            return kernels.transformed(self.whole[self.index], self.steps)
        return sliced(self.whole, self.index, self.piece.chunks)

    def bind(self) -> None:
        """Put the tensor into its network."""
        self.piece.home[self.piece.attribute] = self.value()


@dataclass
class Subnet:
    """A stand-alone network whose tensors are slices of the store's."""

    network: nn.Module
    pieces: list[Piece]

    def __post_init__(self) -> None:
        self._views: list[Slice] = []
        self._copies: list[Slice] = []
        self._bound: list[int] = []

    def connect(self, store: Store) -> None:
        """Find the store's tensor and the slice of it for each of the network's."""
        for piece in self.pieces:
            found = Slice(piece, store)
            (self._views if found.view else self._copies).append(found)

    def bind(self) -> None:
        """Put the slices into the network; gradients reach the store when they are enabled now."""
        for view in self._views:
            view.bind()
        self._bound = self._memory()
        self._bind_copies()

    def refresh(self) -> None:
        """As `bind`, for when no gradients are wanted: slices that are views see the store's changes by themselves."""
        if self._bound != self._memory():
            self.bind()
        else:
            self._bind_copies()

    def _bind_copies(self) -> None:
        for copy in self._copies:
            copy.bind()

    def _memory(self) -> list[int]:
        return [view.whole.data_ptr() for view in self._views]
