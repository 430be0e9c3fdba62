"""The processor in memory, with the capabilities of a real one."""

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Rejected
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import Capabilities, Processor
from refund_bridge.ports.runtime import Deadline
from tests.contract.processor.worlds import Traits
from tests.fakes.processor import FakeProcessor
from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    ExecutedLate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.fakes.virtual_clock import VirtualClock


class MemoryProcessorWorld:
    """The processor in memory, on a clock that stands still."""

    traits = Traits()

    def __init__(self, name: str, capabilities: Capabilities) -> None:
        self._clock = VirtualClock()
        self.processor = FakeProcessor(self._clock, name=name, capabilities=capabilities)

    def deadline(self) -> Deadline:
        return self._clock.deadline()

    def count_in(self, currency: str) -> None:
        """It counts in any."""

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        self.processor.add_charge(name, money, status=status)
        self.processor.books.conduct = Conduct(ProcessorRefundStatus(comes_back))

    def status_word(self, status: str) -> str:
        return status

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        self.processor.add_payment_request(name, charges)

    def add_payment_method(self, name: str, kind: PaymentMethodKind) -> None:
        self.processor.books.methods[name] = kind

    def unreachable(self) -> Processor:
        self.processor.fates.append(NotSent())
        return self.processor

    def lose_request(self) -> None:
        self.processor.fates.append(RequestLost())

    def lose_reply(self) -> None:
        self.processor.fates.append(ReplyLost())

    def spoil_reply(self, variant: str) -> None:
        self.processor.fates.append(ReplyLost())

    def execute_late(self) -> None:
        self.processor.fates.append(ExecutedLate(60_000))

    def wait_for_late(self) -> None:
        self._clock.advance(60_000)
        self.processor.catch_up()

    def answer(self, status: int, message: str | None) -> None:
        self.processor.fates.append(Answered(status, message, 1 if status == 429 else None))

    def hide_refunds(self) -> None:
        self.processor.books.lag_ms = 3_600_000

    def show_refunds(self) -> None:
        self._clock.advance(3_600_000)

    def list_no_refunds(self) -> None:
        self.processor.lists_refunds = False

    def allow_one_refund(self) -> None:
        self.processor.books.one_refund_per_payment = True

    def fail_look_ups(self) -> None:
        self.processor.is_down = True

    def forget_how_to_read_keys(self) -> None:
        self.processor.reads_keys = False

    def refund_in_dashboard(self, charge: str, money: Money) -> str:
        made = self.processor.refund_in_dashboard(charge, money.amount)
        assert not isinstance(made, Rejected)
        return made.id

    def set_status(self, refund_id: str, status: ProcessorRefundStatus) -> None:
        self.processor.books.set_status(refund_id, status)

    def moved(self, charge: str | None) -> list[int]:
        return [
            item.processor_refund.money.amount for item in self.processor.books.of(charge or "")
        ]

    def asked(self) -> int:
        return len(self.processor.instructions)
