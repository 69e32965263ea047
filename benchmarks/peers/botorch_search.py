"""BoTorch as a controller: its Gaussian process for categories, its expected hypervolume improvement. A peer.

pip install botorch
archfront bench search … --controllers auto,benchmarks/peers/botorch_search.py:BoTorchSearch
"""

from random import Random

import numpy as np
import torch
from botorch import settings
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, ModelListGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood

from archfront.contracts import Evaluation, Proposal
from controllers import Controller

settings.propagate_grads(False)


class BoTorchSearch(Controller):
    """`MixedSingleTaskGP` per loss and `qLogExpectedHypervolumeImprovement`, as BoTorch's documentation uses them.

    As many random candidates are looked at as `model-based` looks at; the reference is the worst loss seen.
    """

    start = 10
    looked_at = 1500
    tries = 1

    def observe(self, evaluation: Evaluation) -> None:
        """Keep the genes and the losses, negative, since BoTorch maximises."""
        if not hasattr(self, "every"):
            self.every = np.array([self.space.genes(one) for one in self.space.enumerate()])
            self.x, self.y = [], []
        member = self.archive.member(evaluation)
        if member is not None:
            self.x.append(self.space.genes(evaluation.proposal.architecture))
            self.y.append([-loss for loss in member.losses])

    def propose(self, rng: Random) -> Proposal:
        """The candidate of the highest acquisition among random ones."""
        if self._asked < self.start or len(getattr(self, "x", ())) < 2:
            return self.proposal(self.space.sample(rng), "random")
        torch.manual_seed(rng.getrandbits(31))
        rows = np.random.default_rng(rng.getrandbits(63)).permutation(len(self.every))[: self.looked_at]
        seen = set(self.x)
        choices = torch.tensor([g for g in self.every[rows].tolist() if tuple(g) not in seen], dtype=torch.double)
        x, y = torch.tensor(self.x, dtype=torch.double), torch.tensor(self.y, dtype=torch.double)
        best, _ = optimize_acqf_discrete(self._acquisition(x, y), q=1, choices=choices)
        return self.proposal(self.space.architecture(tuple(int(gene) for gene in best[0].tolist())), "model")

    def _acquisition(self, x: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
        models = [
            MixedSingleTaskGP(x, y[:, [i]], cat_dims=list(range(x.shape[1])), outcome_transform=Standardize(1))
            for i in range(y.shape[1])
        ]
        if len(models) == 1:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(models[0].likelihood, models[0]))
            return LogExpectedImprovement(models[0], best_f=y.max())
        model, worst = ModelListGP(*models), y.min(dim=0).values
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        cells = FastNondominatedPartitioning(ref_point=worst, Y=y)
        sampler = SobolQMCNormalSampler(torch.Size([64]))
        return qLogExpectedHypervolumeImprovement(model, worst.tolist(), cells, sampler=sampler)
