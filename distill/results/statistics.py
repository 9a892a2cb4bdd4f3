"""Few seeds and what they can tell: means with intervals, paired comparisons, corrected p-values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

import numpy as np

LEVEL = 0.05
SEEDS = 6  # the fewest whose exact two-sided p can come below LEVEL

# Up to here every resample there is gets its true weight (6,435 for eight values); beyond, so many are drawn.
_ALL_UP_TO = 8
_RESAMPLES = 9_999
_LARGEST_DRAW = 4_000_000  # values drawn at once, which bounds the memory for samples of thousands
_EXACT_UP_TO = 16
_FLIPS = 100_000
_JOINT_FLIPS = 20_000
_SAMPLES_AT_ONCE = 256

Sample = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Summary:
    """A mean over seeds, in the units of what it was taken of.

    Attributes:
        mean: NaN when there is nothing to take it of.
        std: Sample standard deviation (divided by n - 1); NaN below two values.
        n: Values.
        low: Lower end of the 95 % interval of the mean; NaN below two values.
        high: Its upper end.
    """

    mean: float
    std: float
    n: int
    low: float
    high: float

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN below two values."""
        return self.std / math.sqrt(self.n) if self.n else math.nan

    def shown(self, scale: float = 1.0, *, sign: bool = False, digits: int = 2) -> str:
        """`95.56 ± 0.20`, mean and standard deviation; the mean alone of one value, nothing of none."""
        if not self.n:
            return ""
        mean = f"{self.mean * scale:{'+' if sign else ''}.{digits}f}"
        return mean if self.n == 1 else f"{mean} ± {self.std * scale:.{digits}f}"

    def interval(self, scale: float = 1.0, *, sign: bool = False, digits: int = 2) -> str:
        """`95.40 to 95.71`; nothing below two values."""
        form = f"{'+' if sign else ''}.{digits}f"
        return "" if self.n < 2 else f"{self.low * scale:{form}} to {self.high * scale:{form}}"


@dataclass(frozen=True)
class Paired(Summary):
    """Differences paired by seed, in points.

    Attributes:
        p: Two-sided p-value of the sign-flip test that the first is no better and no worse than the second.
        adjusted: The same, corrected for all comparisons made beside it: by `joint` where settings are compared with
            their baselines, by `holm` where methods are compared with one another.
        wins: Share of the seeds in which the first is better; ties count half.
    """

    p: float
    adjusted: float
    wins: float

    @property
    def won(self) -> str:
        """`6/6`, the seeds won of all; ties count half, as in `4.5/6`."""
        return f"{self.wins * self.n:g}/{self.n}" if self.n else ""


def summarise(samples: Sequence[Sample]) -> list[Summary]:
    """Mean, standard deviation and 95 % interval of each sample.

    The interval is the bias-corrected and accelerated bootstrap of the mean (Efron 1987, "Better bootstrap confidence
    intervals", section 4): of all resamples there are for up to eight values, else of 9,999 drawn with a fixed seed.

    Args:
        samples: Values of each sample, of any number; NaN stands for one that is missing.

    Returns:
        One per sample. Where all values are equal the interval is that value.
    """
    known = [_known(sample) for sample in samples]
    found: list[Summary | None] = [None] * len(known)
    for n in {len(array) for array in known}:
        places = [place for place, array in enumerate(known) if len(array) == n]
        for place, summary in zip(places, _alike(np.stack([known[place] for place in places])), strict=True):
            found[place] = summary
    return [summary for summary in found if summary is not None]


def _known(sample: Sample) -> np.ndarray:
    values = np.asarray(sample, dtype=np.float64)
    return values[~np.isnan(values)]


def _alike(values: np.ndarray) -> list[Summary]:
    """Summaries of samples of one size, [samples, n]."""
    count, n = values.shape
    if n < 2:
        means = values[:, 0] if n else np.full(count, math.nan)
        return [Summary(float(mean), math.nan, n, math.nan, math.nan) for mean in means]
    means = values.mean(axis=1)
    deviations = values - means[:, None]
    # Values that are equal but for rounding are equal.
    deviations[np.abs(deviations).max(axis=1) <= 1e-12 * np.abs(values).max(axis=1)] = 0.0
    stds = np.sqrt((deviations**2).sum(axis=1) / (n - 1))
    low, high = means.copy(), means.copy()
    counts, weights = _resamples(n)
    unequal = np.flatnonzero(stds)
    for first in range(0, len(unequal), _SAMPLES_AT_ONCE):
        part = unequal[first : first + _SAMPLES_AT_ONCE]
        below, above = _bca(deviations[part], counts, weights)
        low[part] += below
        high[part] += above
    return [
        Summary(mean, std, n, least, most)
        for mean, std, least, most in zip(means.tolist(), stds.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _resamples(n: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each of n values is in a resample, [resamples, n], and the resample's probability."""
    if n <= _ALL_UP_TO:
        return _all_resamples(n)
    drawn = max(999, min(_RESAMPLES, _LARGEST_DRAW // n))
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=drawn).astype(np.float64)
    return counts, np.full(drawn, 1 / drawn)


@cache
def _all_resamples(n: int) -> tuple[np.ndarray, np.ndarray]:
    picks = np.array(list(combinations_with_replacement(range(n), n)))
    counts = (picks[:, :, None] == np.arange(n)).sum(axis=1)
    factorials = np.array([math.factorial(k) for k in range(n + 1)], dtype=np.float64)
    return counts.astype(np.float64), factorials[n] / factorials[counts].prod(axis=1) / n**n


def _bca(deviations: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of samples that have mean 0 and differ in their values, [samples, n]."""
    from scipy.special import ndtr, ndtri

    means = deviations @ counts.T / deviations.shape[1]
    # What rounding leaves of resamples with the mean of the sample itself is a tie.
    tie = 1e-12 * np.abs(deviations).max(axis=1, keepdims=True)
    bias = ndtri(((means < -tie) @ weights + (means <= tie) @ weights) / 2)
    acceleration = (deviations**3).sum(axis=1) / (6 * (deviations**2).sum(axis=1) ** 1.5)
    order = np.argsort(means, axis=1)
    ranked = np.take_along_axis(means, order, axis=1)
    reached = np.cumsum(weights[order], axis=1)
    ends = []
    for share in (LEVEL / 2, 1 - LEVEL / 2):
        z = bias + ndtri(share)
        wanted = ndtr(bias + z / (1 - acceleration * z))
        place = (reached < wanted[:, None] - 1e-12).sum(axis=1).clip(max=len(weights) - 1)
        ends.append(ranked[np.arange(len(place)), place])
    return ends[0], ends[1]


def sign_flip(differences: Sample) -> float:
    """Two-sided p-value of paired differences: how often their sum is as far from 0 when signs are flipped at random.

    The permutation test of Fisher 1935, "The Design of Experiments", section 21: all flips for up to 16 pairs, else
    100,000 drawn with a fixed seed.

    Args:
        differences: One per pair.

    Returns:
        NaN where there are no pairs.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    if not n:
        return math.nan
    least = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if n <= _EXACT_UP_TO:
        return float((np.abs(_flips(n) @ values) >= least).mean())
    random, as_far, at_once = np.random.default_rng(0), 0, max(1, _LARGEST_DRAW // n)
    for first in range(0, _FLIPS, at_once):
        signs = random.integers(0, 2, (min(at_once, _FLIPS - first), n), dtype=np.int8) * 2.0 - 1
        as_far += int((np.abs(signs @ values) >= least).sum())
    return (as_far + 1) / (_FLIPS + 1)  # the flip that was observed is one of them


@cache
def _flips(n: int) -> np.ndarray:
    """All signs of n values up to the sign of all, which does not change how far their sum is from 0."""
    numbers = np.arange(2 ** (n - 1))
    return 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n)) & 1)


def smallest_p(n: int) -> float:
    """The smallest two-sided p-value that the exact sign-flip test of n pairs can give."""
    return 2.0 ** (1 - n)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979, "A simple sequentially rejective multiple test procedure").

    Args:
        p_values: Of all comparisons; NaN stands for one that could not be made, stays NaN and is not counted.
    """
    made = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    reached = 0.0
    for rank, (p, place) in enumerate(made):
        reached = max(reached, min(1.0, (len(made) - rank) * p))
        adjusted[place] = reached
    return adjusted


def joint(differences: np.ndarray) -> list[float]:
    """P-values corrected for being several, of differences that share their seeds.

    All settings of a sweep are flipped together, seed by seed, and each is compared with the largest of them: step-down
    max-T (Westfall, Young 1993, "Resampling-based multiple testing", section 2.6). Settings that rise and fall with the
    same seeds are nearly one comparison, which Holm's correction cannot know: of six seeds its smallest p is .031 for
    any number of settings.

    Args:
        differences: [settings, seeds], in points; NaN stands for a seed that a setting lacks.

    Returns:
        One per setting; NaN for one without any seed.
    """
    made = ~np.isnan(differences).all(axis=1)
    values = np.nan_to_num(differences[made])
    scale = np.sqrt((values**2).sum(axis=1))  # which no flip changes
    values = values / np.where(scale > 0, scale, 1.0)[:, None]
    observed = np.abs(values.sum(axis=1))
    order = np.argsort(-observed, kind="stable")
    as_far, flips = np.zeros(len(order)), 0
    for signs in _sign_blocks(values.shape[1], len(order)):
        reached = np.abs(signs @ values[order].T)
        largest = np.maximum.accumulate(reached[:, ::-1], axis=1)[:, ::-1]  # of a setting and those behind it
        as_far += (largest >= observed[order] - 1e-12).sum(axis=0)
        flips += len(signs)
    adjusted = np.full(len(differences), math.nan)
    adjusted[np.flatnonzero(made)[order]] = np.maximum.accumulate(as_far / max(flips, 1))
    return adjusted.tolist()


def _sign_blocks(n: int, settings: int) -> Iterator[np.ndarray]:
    """Flips of n seeds, [flips, n], a few at once; the first is what was observed."""
    if n <= _EXACT_UP_TO:
        signs, at_once = _flips(n), max(1, _LARGEST_DRAW // max(settings, 1))
        yield from (signs[first : first + at_once] for first in range(0, len(signs), at_once))
        return
    random, at_once = np.random.default_rng(0), max(1, _LARGEST_DRAW // max(n, settings))
    yield np.ones((1, n))
    for first in range(0, _JOINT_FLIPS, at_once):
        yield random.integers(0, 2, (min(at_once, _JOINT_FLIPS - first), n), dtype=np.int8) * 2.0 - 1


def compare(differences: Sequence[Sample], adjusted: Sequence[float] | None = None) -> list[Paired]:
    """Each set of paired differences against 0, corrected for their number.

    Args:
        differences: Of each comparison, in points, one per seed; NaN stands for a seed that has no pair.
        adjusted: Corrected p-values; `None` takes Holm's.
    """
    known = [_known(one) for one in differences]
    p_values = [sign_flip(values) for values in known]
    corrected = holm(p_values) if adjusted is None else adjusted
    return [
        # Where flips are drawn, chance could make the corrected one the smaller.
        Paired(one.mean, one.std, one.n, one.low, one.high, p, max(adjusted, p), _wins(values))
        for one, values, p, adjusted in zip(summarise(known), known, p_values, corrected, strict=True)
    ]


def _wins(values: np.ndarray) -> float:
    return float((np.sign(values) + 1).mean() / 2) if len(values) else math.nan


def p_shown(p: float) -> str:
    """`.031` as papers write it, three decimals at most; `<.001` below that, nothing for none."""
    if math.isnan(p):
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}".rstrip("0").rstrip(".").removeprefix("0")
