"""A stem of token numbers."""

import pytest
import torch

from search_spaces import SpaceError
from search_spaces.blocks import SinusoidalEncoding, TokenEmbeddingStem
from search_spaces.building import check
from search_spaces.site import Site
from search_spaces.testing import PartConformance
from tests.parts.rebuilding import map_of, rebuilt


class TestTokenEmbeddingStem(PartConformance):
    cases = [
        (TokenEmbeddingStem(), (11, 8)),
        (TokenEmbeddingStem(None), (5, 3)),
        (TokenEmbeddingStem(SinusoidalEncoding(0.02)), (11, 7)),
    ]
    refused = [(TokenEmbeddingStem(), (3, 8, 8)), (TokenEmbeddingStem(), (3,))]

    def reference(self, part, site, module, x):
        """The table's row of each token as a column of the map, then the positions."""
        assert x.dtype == torch.int64 and module.embedding.weight.shape == (site.channels, site.width)
        rows = torch.stack([torch.stack([module.embedding.weight[token] for token in tokens], 1) for tokens in x])
        return rebuilt(part.positional_encoding, map_of(rows), module.positions)(rows)

    def test_it_takes_numbers_of_tokens(self):
        assert TokenEmbeddingStem().takes_ids()

    def test_pictures_are_refused_in_one_line(self):
        with pytest.raises(
            SpaceError, match=r"^stem: stem 'token_embedding' works on maps of 1 sides, and is given \(3, "
        ):
            check(TokenEmbeddingStem(), Site((3, 8, 8), 16), "stem")
