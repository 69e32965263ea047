"""A data set of one's own: archfront search --data examples/own_data.py:stripes --evaluations 20"""

import numpy as np

from evaluators.datasets import Arrays


def stripes(examples: int = 600, size: int = 8) -> Arrays:
    """Noisy pictures, uint8 of shape (examples, size, size), of horizontal, vertical or no stripes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(examples) % 3)
    lines = np.where(np.arange(size) % 2, 60.0, -60.0)
    patterns = np.stack([np.tile(lines[:, None], size), np.tile(lines, (size, 1)), np.zeros((size, size))])
    images = 128 + patterns[labels] + rng.normal(0, 40, (examples, size, size))
    return Arrays(
        (images.clip(0, 255).astype(np.uint8), labels),
        classes=("horizontal", "vertical", "none"),
        augmentation="none",
    )
