"""What the tests of export share."""

from collections.abc import Iterator

import pytest
import torch

from archfront.export import Subject
from tests.export.networks import space_subject


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small() -> Subject:
    """A network without timm, quick to export."""
    return space_subject("cell201")
