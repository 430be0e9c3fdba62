"""When a customer can expect a refund's money, where the processor documents it. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Arrival:
    """How many business days after a refund's success its money arrives; 0 means at once.

    Both are whole days, as the customer's bank counts them.
    """

    days_min: int
    days_max: int

    def __post_init__(self) -> None:
        if not 0 <= self.days_min <= self.days_max:
            raise ValueError(f"no arrival: {self.days_min} to {self.days_max} business days")


AT_ONCE: Final = Arrival(0, 0)
