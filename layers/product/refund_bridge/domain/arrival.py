"""When a customer can expect a refund's money, where the processor documents it. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Arrival:
    """The business days between the refund's success and its money's arrival; 0 is at once.

    Both are whole days, counted by the customer's bank.
    """

    days_min: int
    days_max: int

    def __post_init__(self) -> None:
        if not 0 <= self.days_min <= self.days_max:
            raise ValueError(f"no arrival: {self.days_min} to {self.days_max} business days")


AT_ONCE: Final = Arrival(0, 0)
