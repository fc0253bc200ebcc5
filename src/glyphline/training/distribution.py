"""Training spread over several processes, each of which computes a share of every batch (distributed data parallel).

The processes together compute what one process computes: the same lines in the same batches, padded to the same width,
normalised by the statistics of the whole batch, with the gradient of the whole batch. Only dropout draws other numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from glyphline.errors import RecipeError
from glyphline.recipe import TrainingRecipe


@dataclass(frozen=True)
class Distribution:
    """The processes of a training, and the place of this one among them.

    trainer_options: options of Lightning's Trainer that connect the processes: devices, strategy, plugins.
    locks_folder: whether the process of rank 0 holds the lock of the run folder. Where it may run on another node than
    the command, the command holds it: a node that is lost would keep it.
    """

    workers: int = 1
    rank: int = 0  # of this process, from 0; the process of rank 0 writes the run folder
    trainer_options: dict[str, Any] = field(default_factory=lambda: {"devices": 1})
    locks_folder: bool = True

    def check(self, recipe: TrainingRecipe) -> None:
        """Raise RecipeError when a batch has fewer lines than there are processes."""
        lines = recipe.batch // recipe.gradient_accumulation
        if lines < self.workers:
            raise RecipeError(
                f"{lines} lines are computed at a time (training.batch {recipe.batch}, gradient_accumulation "
                f"{recipe.gradient_accumulation}), too few for {self.workers} workers: set a larger batch or --workers "
                f"{lines}"
            )


def on_this_machine(workers: int) -> Distribution:
    """The distribution over processes that Lightning starts on this machine: this command, once more for each."""
    if workers == 1:
        return Distribution()
    rank = int(os.environ.get("LOCAL_RANK", "0"))  # set by Lightning in the processes that it starts
    return Distribution(workers, rank, {"devices": workers, "strategy": "ddp"})


def share_width(lines: Tensor, padding_value: int) -> Tensor:
    """Pad the lines of a process, (N, H, W) uint8, to the greatest W among all processes.

    Encoders see the padding, so a line gives the same features only in a batch of the same width.
    """
    width = torch.tensor(lines.shape[2], device=lines.device)
    distributed.all_reduce(width, distributed.ReduceOp.MAX)
    return F.pad(lines, (0, int(width) - lines.shape[2]), value=padding_value)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes. Its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the statistics of all processes. torch's own SyncBatchNorm refuses the CPU.

    The mean is shared first, and then the squared deviations from it: sums of squares would lose digits.
    """

    def forward(self, values: Tensor) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        if not self.training:
            return F.batch_norm(
                values, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        dims = [0, *range(2, values.dim())]
        count = torch.tensor(float(values.numel() // values.shape[1]), device=values.device)
        distributed.all_reduce(count)

        def channel(statistic: Tensor) -> Tensor:
            return statistic.reshape(1, -1, *[1] * (values.dim() - 2))

        inputs = values.float()
        mean = _Sum.apply(inputs.sum(dims)) / count  # type: ignore[no-untyped-call]
        centred = inputs - channel(mean)
        variance = _Sum.apply(centred.square().sum(dims)) / count  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        normalized = centred * channel(torch.rsqrt(variance + self.eps) * self.weight) + channel(self.bias)
        return normalized.to(values.dtype)


def share_batch_norms(network: nn.Module) -> None:
    """Make every batch normalisation of a network a SharedBatchNorm. The weights keep their names."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm  # type: ignore[assignment]
