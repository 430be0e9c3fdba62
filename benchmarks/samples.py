"""The arithmetic of repeated measurements: percentiles, and ratios of what took turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A middle, and between which values eight of ten measurements lie."""

    low: float
    middle: float
    high: float


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest measured value that is not exceeded by ``percent`` of a hundred.

    Nearest rank: always one of the values, never one in between that was not measured.
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
    """Round by round, ours over theirs: what disturbed one round disturbed both of its sides."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
