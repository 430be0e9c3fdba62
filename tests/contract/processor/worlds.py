"""The worlds behind ``ports.processor.Processor``: in memory, and each adapter at its simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Outcome
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.runtime import Deadline


@dataclass(frozen=True, slots=True)
class Traits:
    """In what the processors differ where the port leaves it to them.

    Attributes:
        says_when_moved: whether a refund that succeeded says when.
        says_when_made: whether a refund says when it was made.
        says_method: whether a charge says how it was paid, and the processor what follows.
        unknown_payment_status: of the refusal to refund a payment that there is not.
        refused_currencies: in which it is not asked at all.
        no_refusals: what a status means, in its words, that refuses the refund elsewhere.
        replays_for_a_day: whether an instruction that comes again within a day is answered as
            before.
        seconds_refusals: statuses of refusals beside those that all have.
    """

    says_when_moved: bool = True
    says_when_made: bool = True
    says_method: bool = True
    unknown_payment_status: int = 404
    no_refusals: Mapping[int, type[Outcome]] = field(default_factory=dict)
    replays_for_a_day: bool = False
    refused_currencies: frozenset[str] = frozenset()
    more_refusals: tuple[int, ...] = ()


class ProcessorWorld(Protocol):
    """A processor and the hands that reach behind it."""

    @property
    def processor(self) -> Processor: ...

    @property
    def traits(self) -> Traits: ...

    def deadline(self) -> Deadline: ...

    def count_in(self, currency: str) -> None:
        """Payments are in that currency from now on; a gateway with one account changes it."""

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        """A payment; ``status`` is ``succeeded``, ``pending``, ``failed`` or ``void``."""

    def status_word(self, status: str) -> str:
        """What the processor calls that status of a payment."""

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        """Something that stands for several payments; only HitPay has it."""

    def add_payment_method(self, name: str, kind: PaymentMethodKind) -> None: ...

    def unreachable(self) -> Processor:
        """The processor, with nobody listening for the next instruction."""

    def lose_request(self) -> None: ...

    def lose_reply(self) -> None: ...

    def spoil_reply(self, variant: str) -> None: ...

    def execute_late(self) -> None: ...

    def wait_for_late(self) -> None: ...

    def answer(self, status: int, message: str | None) -> None: ...

    def hide_refunds(self) -> None: ...

    def show_refunds(self) -> None: ...

    def list_no_refunds(self) -> None: ...

    def allow_one_refund(self) -> None: ...

    def fail_look_ups(self) -> None: ...

    def forget_how_to_read_keys(self) -> None:
        """The processor keeps keys and refuses repeats, but cannot be asked for a key."""

    def refund_in_dashboard(self, charge: str, money: Money) -> str: ...

    def set_status(self, refund_id: str, status: ProcessorRefundStatus) -> None: ...

    def moved(self, charge: str | None) -> list[int]:
        """The refunds of a charge (``None``: unlinked ones) that were executed, minor units,
        whatever look-ups show."""

    def asked(self) -> int:
        """How many instructions were handed over or arrived."""
