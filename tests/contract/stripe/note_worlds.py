"""Two worlds behind ``ports.stripe.CreditNotes``: in memory, and Stripe's simulator over HTTP."""

from typing import Protocol

from local.simulators import fields
from local.simulators.client import SimulatorControl
from local.simulators.seeding import Seed
from local.simulators.stripe import DEFAULT_TEST_KEY
from refund_bridge.adapters.http.client import Limits
from refund_bridge.adapters.stripe.credit_notes import REFUND_ID, StripeCreditNotes
from refund_bridge.ports.runtime import Deadline
from refund_bridge.ports.stripe import CreditNotes, StripeReports
from tests.contract.real_time import FixedKey, RealClock, closed_port_url, wait_until
from tests.contract.stripe.worlds import MemoryStripeWorld, SimulatedStripeWorld
from tests.descriptions.overseen_http import OverseenHttp
from tests.descriptions.stripe_api import StripeApi
from tests.fakes.credit_notes import FakeCreditNotes
from tests.fakes.stripe_fates import AnswerLost, BookedLate, Fails, ReportLost, TurnedAway
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.virtual_clock import VirtualClock

CREATE = "credit_note.create"
LIST = "credit_note.list"


class NoteWorld(Protocol):
    """Credit notes, the reports that they are tied to, and the hands that reach behind both."""

    @property
    def notes(self) -> CreditNotes: ...

    @property
    def stripe(self) -> StripeReports: ...

    def now_s(self) -> int: ...

    def deadline(self) -> Deadline: ...

    def add_record(self, record: FakeRecord) -> None: ...

    def add_invoice(self, name: str, amount: int) -> None: ...

    def issued(self) -> list[str]:
        """The refunds that notes were issued for, oldest first."""

    def unreachable(self) -> CreditNotes:
        """The notes, with nobody listening for the next instruction."""

    def lose_instruction(self) -> None: ...

    def lose_answer(self) -> None: ...

    def issue_late(self) -> None: ...

    def wait_for_late(self) -> None: ...

    def fail(self, *, issued: bool) -> None: ...

    def turn_away(self, status: int) -> None: ...

    def fail_look_ups(self) -> None: ...

    def forget_keys(self) -> None: ...


class MemoryNoteWorld:
    """Reports and notes in memory, on one clock that stands still."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._world = MemoryStripeWorld(self._clock)
        self.stripe = self._world.stripe
        self.notes = FakeCreditNotes(self._clock, self.stripe.books)

    def now_s(self) -> int:
        return self._world.now_s()

    def deadline(self) -> Deadline:
        return self._clock.deadline()

    def add_record(self, record: FakeRecord) -> None:
        self.stripe.add_record(record)

    def add_invoice(self, name: str, amount: int) -> None:
        self.notes.paid[name] = amount

    def issued(self) -> list[str]:
        return [note.instruction.refund_id for note in self.notes.issued]

    def unreachable(self) -> CreditNotes:
        self.lose_instruction()
        return self.notes

    def lose_instruction(self) -> None:
        self.notes.fates.append(ReportLost())

    def lose_answer(self) -> None:
        self.notes.fates.append(AnswerLost())

    def issue_late(self) -> None:
        self.notes.fates.append(BookedLate(60_000))

    def wait_for_late(self) -> None:
        self._clock.advance(60_000)
        self.notes.catch_up()

    def fail(self, *, issued: bool) -> None:
        self.notes.fates.append(Fails(booked=issued))

    def turn_away(self, status: int) -> None:
        self.notes.fates.append(TurnedAway(1 if status == 429 else None))

    def fail_look_ups(self) -> None:
        self.notes.is_down = True

    def forget_keys(self) -> None:
        self.notes.forget_keys()


class SimulatedNoteWorld:
    """The adapters against Stripe's simulator."""

    def __init__(self, control: SimulatorControl) -> None:
        self._control = control
        self._clock = RealClock()
        limits = Limits(exchange_ms=2_000)
        self._http = OverseenHttp(self._clock, control, StripeApi(), limits=limits)
        self._world = SimulatedStripeWorld(control)
        self.stripe = self._world.stripe
        self.notes = self._stripe(control.stripe_url)

    def close(self) -> None:
        self._world.close()
        self._http.close()

    def _stripe(self, url: str) -> StripeCreditNotes:
        return StripeCreditNotes(base_url=url, key=FixedKey(DEFAULT_TEST_KEY), http=self._http)

    def now_s(self) -> int:
        return self._world.now_s()

    def deadline(self) -> Deadline:
        return Deadline.after(self._clock, 10_000)

    def add_record(self, record: FakeRecord) -> None:
        self._world.add_record(record)

    def add_invoice(self, name: str, amount: int) -> None:
        invoice = {"id": name, "amount": amount, "currency": "sgd", "livemode": False}
        self._control.seed(Seed(invoices=({**invoice, "metadata": {}},)))

    def issued(self) -> list[str]:
        notes = fields.objects(self._control.state("stripe"), "credit_notes")
        return [fields.texts(note, "metadata")[REFUND_ID] for note in notes]

    def unreachable(self) -> CreditNotes:
        return self._stripe(closed_port_url())

    def lose_instruction(self) -> None:
        self._control.add_fault("stripe", CREATE, "lost_request")

    def lose_answer(self) -> None:
        self._control.add_fault("stripe", CREATE, "commit_then_reset")

    def issue_late(self) -> None:
        self._control.add_fault("stripe", CREATE, "late_commit", seconds=3600, hold_seconds=0)

    def wait_for_late(self) -> None:
        self._control.let_late_arrive("stripe")
        wait_until(lambda: self._control.calls("stripe", CREATE)[-1].processed)

    def fail(self, *, issued: bool) -> None:
        fault = "status_after_commit" if issued else "status"
        self._control.add_fault("stripe", CREATE, fault, status=500)

    def turn_away(self, status: int) -> None:
        self._control.add_fault("stripe", CREATE, "status", status=status)

    def fail_look_ups(self) -> None:
        self._control.add_fault("stripe", LIST, "status", times=None, status=503)

    def forget_keys(self) -> None:
        self._control.forget_idempotency_keys()
