"""Learning-rate schedules as pure functions of the step, so that resuming needs no state."""

from __future__ import annotations

import math

from distill.config.schema import Hparams

# One-cycle (Smith, Topin 2017) with the fractions of torch.optim.lr_scheduler.OneCycleLR.
_RISE, _START, _END = 0.3, 1 / 25, 1 / 25e4


def learning_rate(hparams: Hparams, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step.

    Args:
        hparams: Peak rate and schedule.
        step: From 0, counted over all epochs.
        steps_per_epoch: Steps in one epoch.
    """
    warmup = hparams.warmup_epochs * steps_per_epoch
    if step < warmup:
        return hparams.lr * (step + 1) / (warmup + 1)
    total = hparams.epoch_count * steps_per_epoch
    progress = (step - warmup) / max(1.0, total - warmup)
    epoch = step // steps_per_epoch
    match hparams.schedule:
        case "constant":
            return hparams.lr
        case "step":
            return hparams.lr * hparams.gamma ** (epoch // hparams.step_epochs)
        case "multistep":
            return hparams.lr * hparams.gamma ** sum(epoch >= milestone for milestone in hparams.milestones)
        case "cosine":
            return _cosine(hparams.lr, hparams.min_lr, progress)
        case "onecycle":
            if progress < _RISE:
                return _cosine(hparams.lr * _START, hparams.lr, progress / _RISE)
            return _cosine(hparams.lr, hparams.lr * _END, (progress - _RISE) / (1 - _RISE))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
