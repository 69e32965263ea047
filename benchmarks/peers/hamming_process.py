"""A plain Gaussian process, the floor that model-based search must beat: a kernel that falls with the Hamming distance.

archfront bench search … --controllers auto,benchmarks/peers/hamming_process.py:HammingProcess
"""

from random import Random

import numpy as np

from archfront.contracts import Evaluation, Proposal
from controllers import Controller


class HammingProcess(Controller):
    """Kernel exp(-h/2); evaluates the unseen candidate whose Thompson sample adds most hypervolume. Two losses."""

    start = 10
    tries = 1

    def observe(self, evaluation: Evaluation) -> None:
        """Keep the genes and losses; the space is looked at as a whole."""
        if not hasattr(self, "genes"):
            self.genes = np.array([self.space.genes(a) for a in self.space.enumerate()])
            self.seen, self.losses = [], []
        member = self.archive.member(evaluation)
        if member is not None:
            genes = self.space.genes(evaluation.proposal.architecture)
            self.seen.append(int(np.flatnonzero((self.genes == genes).all(axis=1))[0]))
            self.losses.append(member.losses)

    def propose(self, rng: Random) -> Proposal:
        """The best of all candidates by one draw of their losses."""
        if self._asked < self.start or len(getattr(self, "seen", ())) < 2:
            return self.proposal(self.space.sample(rng), "random")
        known = self.genes[self.seen]
        across = np.exp(-0.5 * np.array([(self.genes != row).sum(axis=1) for row in known]))
        factor = np.linalg.cholesky(across[:, self.seen] + 1e-4 * np.eye(len(known)))
        solved = np.linalg.solve(factor, across)
        spread = np.sqrt(np.maximum(1 - (solved**2).sum(axis=0), 1e-12))
        losses, draws = np.array(self.losses), np.random.default_rng(rng.getrandbits(63))
        middle, scale = losses.mean(axis=0), losses.std(axis=0) + 1e-9
        means = solved.T @ np.linalg.solve(factor, (losses - middle) / scale)
        drawn = middle + scale * (means + spread[:, None] * draws.standard_normal(means.shape))
        gains = gained(drawn, np.array([member.losses for member in self.archive.front]), losses.max(axis=0))
        gains[self.seen] = -1
        return self.proposal(self.space.architecture(tuple(self.genes[np.argmax(gains)].tolist())), "model")


def gained(points: np.ndarray, front: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The hypervolume, or with one loss the improvement, that each point would add."""
    if len(reference) == 1:
        return np.maximum(front.min() - points[:, 0], 0)
    front = front[np.argsort(front[:, 0])]
    ends, heights = np.append(front[:, 0], reference[0]), np.append(reference[1], front[:, 1])
    found = np.zeros(len(points))
    for start, end, height in zip(np.append(-np.inf, front[:, 0]), ends, heights, strict=True):
        found += np.maximum(end - np.maximum(start, points[:, 0]), 0) * np.maximum(height - points[:, 1], 0)
    return found
