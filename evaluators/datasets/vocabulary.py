"""Tokens of texts, by their numbers: bytes, or the most frequent words."""

import functools
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from evaluators.datasets.arrays import Array

PADDING, UNKNOWN = "<padding>", "<unknown>"
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens in the order of their numbers. Number 0 pads: no text has it (as the byte 0)."""

    tokens: tuple[str, ...]
    words: bool = False
    padding: int = 0

    def encode(self, text: str) -> Array:
        """The numbers of a text's tokens, (length,)."""
        if not self.words:
            return np.frombuffer(text.encode(), dtype=np.uint8)
        unknown = self._numbers[UNKNOWN]
        return np.array([self._numbers.get(word, unknown) for word in words_of(text)], dtype=np.int32)

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


def words_of(text: str) -> list[str]:
    """The words and punctuation marks, in lower case."""
    return WORD.findall(text.lower())


def bytes_vocabulary() -> Vocabulary:
    """All bytes, shown as characters where they are printable ones of ASCII."""
    return Vocabulary(tuple(chr(value) if 32 < value < 127 else f"0x{value:02x}" for value in range(256)))


def words_vocabulary(counts: Counter[str], size: int) -> Vocabulary:
    """Padding, the unknown word, and the `size` most frequent words; equally frequent ones in the order of letters."""
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[:size]
    return Vocabulary((PADDING, UNKNOWN, *ranked), words=True)
