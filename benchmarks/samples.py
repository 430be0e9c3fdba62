"""The arithmetic of repeated measurements: percentiles, and ratios of measurements in turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle of measurements, and the two values between which eight of ten of them lie."""

    low: float
    middle: float
    high: float


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest measured value that at least ``percent`` of the values do not exceed.

    By nearest rank: always a measured value, never one in between.
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    rank = math.ceil(percent * len(ordered) / 100)
    return ordered[max(rank, 1) - 1]


def spread(values: Sequence[float]) -> Spread:
    """The median, with the 10th and the 90th percentile."""
    return Spread(percentile(values, 10), percentile(values, 50), percentile(values, 90))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Our value divided by theirs, round by round: a disturbance affects both sides of a round."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
