"""Two worlds behind ``ports.Processor``: the one in memory, and HitPay's simulator over HTTP."""

from typing import Protocol

from local.simulators.client import SimulatorControl
from local.simulators.currency import major
from local.simulators.hitpay import DEFAULT_KEY
from local.simulators.json_text import JsonObject
from local.simulators.seeding import Seed
from refunds.adapters.deadline_http import DeadlineHttp, Limits
from refunds.money import Money, money_from_major
from refunds.ports import Deadline, MovementStatus, Processor, Rejected
from refunds.processors.hitpay import HitPay
from tests.contract.real_time import FixedKey, RealClock, closed_port_url, wait_until
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


class ProcessorWorld(Protocol):
    """A processor and the hands that reach behind it."""

    @property
    def processor(self) -> Processor: ...

    def deadline(self) -> Deadline: ...

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None: ...

    def add_payment_request(self, name: str, charges: list[str]) -> None: ...

    def unreachable(self) -> Processor:
        """The processor, with nobody listening for the next order."""

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

    def refund_in_dashboard(self, charge: str, money: Money) -> str: ...

    def set_status(self, refund_id: str, status: MovementStatus) -> None: ...

    def moved(self, charge: str) -> list[int]:
        """The refunds of a charge that were executed, minor units, whatever look-ups show."""

    def asked(self) -> int:
        """How many orders were handed over or arrived."""


class MemoryProcessorWorld:
    """The processor in memory, on a clock that stands still."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self.processor = FakeProcessor(self._clock)

    def deadline(self) -> Deadline:
        return self._clock.deadline()

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        self.processor.add_charge(name, money, status=status)
        self.processor.books.conduct = Conduct(MovementStatus(comes_back))

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        self.processor.add_payment_request(name, charges)

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

    def refund_in_dashboard(self, charge: str, money: Money) -> str:
        made = self.processor.refund_in_dashboard(charge, money.amount)
        assert not isinstance(made, Rejected)
        return made.id

    def set_status(self, refund_id: str, status: MovementStatus) -> None:
        self.processor.books.set_status(refund_id, status)

    def moved(self, charge: str) -> list[int]:
        return [item.movement.money.amount for item in self.processor.books.of(charge)]

    def asked(self) -> int:
        return len(self.processor.orders)


class SimulatedProcessorWorld:
    """The HitPay adapter against HitPay's simulator."""

    def __init__(self, control: SimulatorControl) -> None:
        self._control = control
        self._clock = RealClock()
        self._http = DeadlineHttp(self._clock, limits=Limits(exchange_ms=2_000))
        self.processor = self._hitpay(control.hitpay_url)

    def close(self) -> None:
        self._http.close()

    def _hitpay(self, url: str) -> HitPay:
        return HitPay(base_url=url, key=FixedKey(DEFAULT_KEY), http=self._http)

    def deadline(self) -> Deadline:
        return Deadline.after(self._clock, 10_000)

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        charge: JsonObject = {
            "id": name,
            "amount": str(major(money.amount, money.currency)),
            "currency": money.currency,
            "status": status,
            "refunds_come_back": comes_back,
        }
        self._control.seed(Seed(charges=(charge,)))

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        request: JsonObject = {"id": name, "amount": "1.00", "currency": "sgd"}
        request["payment_ids"] = charges
        self._control.seed(Seed(payment_requests=(request,)))

    def unreachable(self) -> Processor:
        return self._hitpay(closed_port_url())

    def lose_request(self) -> None:
        self._strike("lost_request")

    def lose_reply(self) -> None:
        self._strike("commit_then_reset")

    def spoil_reply(self, variant: str) -> None:
        self._strike("body", variant=variant)

    def execute_late(self) -> None:
        self._strike("late_commit", seconds=0.1, hold_seconds=0)

    def wait_for_late(self) -> None:
        wait_until(lambda: self._control.calls("hitpay", "refund.create")[-1].processed)

    def answer(self, status: int, message: str | None) -> None:
        body = "<html>no</html>" if message is None else {"message": message}
        self._strike("status", status=status, body=body)

    def _strike(self, fault: str, **more: object) -> None:
        self._control.add_fault("hitpay", "refund.create", fault, **more)  # type: ignore[arg-type]

    def hide_refunds(self) -> None:
        for operation in ("charge.read", "refund.read"):
            self._control.add_fault("hitpay", operation, "hide", times=None, what="refunds")

    def show_refunds(self) -> None:
        self._control.clear_faults()

    def list_no_refunds(self) -> None:
        self._control.set_hitpay(charge_refunds="absent")

    def allow_one_refund(self) -> None:
        self._control.set_hitpay(one_refund_per_payment=True)

    def fail_look_ups(self) -> None:
        for operation in ("charge.read", "refund.read", "payment_request.read"):
            self._control.add_fault("hitpay", operation, "status", times=None, status=503)

    def refund_in_dashboard(self, charge: str, money: Money) -> str:
        amount = str(major(money.amount, money.currency))
        return self._control.dashboard_refund(charge, amount)

    def set_status(self, refund_id: str, status: MovementStatus) -> None:
        self._control.set_refund_status(refund_id, status.value)

    def moved(self, charge: str) -> list[int]:
        made = self._control.refunds(charge)
        return [money_from_major(item.amount, item.currency).amount for item in made]

    def asked(self) -> int:
        return len(self._control.calls("hitpay", "refund.create"))
