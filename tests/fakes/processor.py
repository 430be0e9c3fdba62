"""A processor in memory that treats each call as a test says; harsher than the real ones.

Pure: no threads, no randomness, no time but the clock's. ``tests/contract/processor`` runs the same
tests on it, with the capabilities of each real adapter, and on that adapter with its simulator.
Unless it recognises instructions by their keys, every instruction that arrives moves money.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from refund_bridge.domain.charge import (
    Charge,
    ChargeStatus,
    ListedCharge,
    ProcessorRefund,
    ProcessorRefundStatus,
)
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    Instruction,
    Outcome,
    Rejected,
    Unknown,
    UnlinkedInstruction,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import STRIPE
from refund_bridge.ports.processor import (
    Capabilities,
    ChargeNotFoundError,
    ChargePage,
    Dedupe,
    LookUp,
    ProviderUnavailableError,
    UnreadableAnswerError,
    UnreadablePageError,
)
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.processors.hitpay.adapter import HitPay
from refund_bridge.processors.hitpay.arrival import arrival_of
from tests.fakes.processor_books import FakeCharge, ProcessorBooks
from tests.fakes.processor_fates import (
    Answered,
    Executed,
    ExecutedLate,
    Fate,
    NotSent,
    ReplyLost,
    RequestLost,
)

_CHARGE_STATUS: Mapping[str, ChargeStatus] = {
    "succeeded": ChargeStatus.REFUNDABLE,
    "partially_refunded": ChargeStatus.REFUNDABLE,
    "refunded": ChargeStatus.REFUNDED,
}


AnyInstruction = Instruction | UnlinkedInstruction


class FakeProcessor:
    """``ports.processor.Processor`` in memory.

    Attributes:
        books: the truth: charges, refunds, and how refunds are executed and shown.
        fates: what happens to the next instructions, in this order; after that, ``decide`` says it.
        decide: what happens to an instruction when ``fates`` is empty.
        lists_refunds: whether a charge shows its refunds one by one.
        is_down: whether look-ups fail.
        reads_keys: whether a refund can be found by its idempotency key, if keys are kept.
        references: the merchant's own reference of a payment, by the charge's id.
        page_size: how many payments a page of the list has.
        instructions: every instruction that was sent, whatever happened to it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = HitPay.name,
        capabilities: Capabilities = HitPay.capabilities,
    ) -> None:
        self._clock = clock
        self._name = name
        self._capabilities = capabilities
        # Stripe's sum includes pending refunds.
        pending = {ProcessorRefundStatus.PENDING} if name == STRIPE else set()
        self._summed = frozenset({ProcessorRefundStatus.SUCCEEDED, *pending})
        self._requests: dict[str, tuple[str, ...]] = {}
        self._late: list[tuple[int, str, AnyInstruction]] = []
        self.books = ProcessorBooks(clock, name, keeps_keys=capabilities.dedupes is Dedupe.BY_KEY)
        self.fates: deque[Fate] = deque()
        self.decide: Callable[..., Fate] = lambda _: Executed()
        self.lists_refunds = True
        self.is_down = False
        self.reads_keys = True
        self.references: dict[str, str] = {}
        self.page_size = 50
        self.instructions: list[AnyInstruction] = []

    # --- the port ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        self._require(LookUp.BY_PAYMENT in self._capabilities.looks_up)
        self._look_up()
        charge = self.books.charges.get(charge_id)
        if charge is None:
            raise ChargeNotFoundError(f"no charge {charge_id!r}")
        known = [item for item in self.books.of(charge_id) if self.books.shows(item)]
        shown = [self.books.listed(item) for item in known]
        done = (
            one.processor_refund for one in known if one.processor_refund.status in self._summed
        )
        refunded = sum(processor_refund.money.amount for processor_refund in done)
        word = _charge_word(charge, refunded)
        return Charge(
            id=charge.id,
            status=_CHARGE_STATUS.get(word, ChargeStatus.NOT_REFUNDABLE),
            processor_status=word,
            money=charge.money,
            refunded=refunded,
            processor_refunds=tuple(shown) if self.lists_refunds else None,
            method=charge.method,
            arrival=arrival_of(charge.method),
            payment_intent=charge.payment_intent,
            shared=charge.shared,
        )

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        self._look_up()
        asked = self._requests.get(payment_reference, ())
        paid = [name for name in asked if self.books.charges[name].status == "succeeded"]
        if len(paid) != 1:
            raise ChargeNotFoundError(f"{payment_reference!r} has {len(paid)} succeeded payments")
        return paid[0]

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        self._look_up()
        return self.references.get(charge.id)

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        self._require(self._capabilities.lists_charges)
        self._look_up()
        ids = list(reversed(self.books.charges))
        start = int(cursor or 0)
        if start > len(ids):
            raise UnreadablePageError("no such page", str(len(ids)))
        shown = ids[start : start + self.page_size]
        following = start + self.page_size
        return ChargePage(
            tuple(ListedCharge.of(self.charge(one, deadline)) for one in shown),
            str(following) if following < len(ids) else None,
        )

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        self._require(LookUp.BY_REFUND in self._capabilities.looks_up)
        self._look_up()
        refund = self.books.refunds.get(processor_refund_id)
        return self.books.look_of(refund) if refund and self.books.shows(refund) else None

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        self._require(self._capabilities.dedupes is Dedupe.BY_KEY and self.reads_keys)
        self._look_up()
        refund = self.books.with_key(refund_id)
        if refund is None or not self.books.shows(refund):
            return None
        self._require(refund.processor_refund.payment_id == (payment_id or ""))
        return self.books.look_of(refund)

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        return self._ask(instruction)

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        if not self._capabilities.unlinked:
            return Rejected(f"{self._name} refunds payments only.", 422)
        return self._ask(instruction)

    def _ask(self, instruction: AnyInstruction) -> Outcome:
        outcome = self._befall(instruction)
        if instruction.repeated and isinstance(outcome, Aborted | Rejected):
            return Unknown(f"asked again in vain: {type(outcome).__name__}")
        return outcome

    def _befall(self, instruction: AnyInstruction) -> Outcome:
        self.catch_up()
        self.instructions.append(instruction)
        fate = self.fates.popleft() if self.fates else self.decide(instruction)
        match fate:
            case NotSent():
                return Aborted("the connection was refused")
            case RequestLost():
                return Unknown("no whole answer: TimeoutError")
            case Answered():
                return fate.meaning
            case ExecutedLate(after_ms):
                due_ms = self._clock.monotonic_ms() + after_ms
                self._late.append((due_ms, self.books.key_form, instruction))
                return Unknown("no whole answer: TimeoutError")
            case ReplyLost():
                self._arrive(instruction)
                return Unknown("no whole answer: ConnectionResetError")
            case Executed():
                return _as_answered(self._arrive(instruction), instruction)

    def _arrive(self, instruction: AnyInstruction) -> ProcessorRefund | Rejected:
        if isinstance(instruction, UnlinkedInstruction):
            return self.books.arrive_unlinked(instruction)
        return self.books.arrive(instruction)

    # --- what happens behind the caller's back -------------------------------------------------

    def add_charge(
        self,
        charge_id: str,
        money: Money,
        *,
        status: str = "succeeded",
        method: str = "card",
        payment_intent: str | None = None,
    ) -> None:
        """Add a customer's payment."""
        self.books.charges[charge_id] = FakeCharge(charge_id, money, status, method, payment_intent)

    def add_payment_request(self, request_id: str, charge_ids: Sequence[str]) -> None:
        """Add a payment request with the payments that were tried for it."""
        self._requests[request_id] = tuple(charge_ids)

    def refund_in_dashboard(
        self, charge_id: str, amount: int, *, age_ms: int = 0
    ) -> ProcessorRefund | Rejected:
        """A person refunds ``amount`` minor units in the processor's dashboard, now or earlier."""
        self.catch_up()
        charge = self.books.charges[charge_id]
        money = Money(amount, charge.money.currency)
        return self.books.move(charge, money, None, age_ms=age_ms)

    def catch_up(self) -> None:
        """Let late instructions arrive and pending refunds end that are due by the clock."""
        now_ms = self._clock.monotonic_ms()
        due = [entry for entry in self._late if entry[0] <= now_ms]
        self._late = [entry for entry in self._late if entry[0] > now_ms]
        for _, form, instruction in due:
            # Its key has the form that it was sent with, even if another form is set up now.
            with self.books.keyed(form):
                self._arrive(instruction)
        self.books.end_pending()

    @property
    def late_instructions(self) -> int:
        """How many instructions have still to arrive."""
        return len(self._late)

    def moved_by(self, instruction_id: str) -> list[ProcessorRefund]:
        """The processor refunds made for the refund of that id; two are a double payment."""
        return [
            item.processor_refund
            for item in self.books.refunds.values()
            if item.instruction_id == instruction_id
        ]

    def _require(self, is_able: bool) -> None:
        if not is_able:
            raise UnreadableAnswerError(f"{self._name} cannot be asked that")

    def _look_up(self) -> None:
        self.catch_up()
        if self.is_down:
            raise ProviderUnavailableError(f"{self._name}: no whole answer")


def _charge_word(charge: FakeCharge, refunded: int) -> str:
    if charge.status != "succeeded" or refunded == 0:
        return charge.status
    return "refunded" if refunded >= charge.money.amount else "partially_refunded"


def _as_answered(arrived: ProcessorRefund | Rejected, instruction: AnyInstruction) -> Outcome:
    if isinstance(arrived, Rejected):
        return arrived
    of = instruction.payment_id if isinstance(instruction, Instruction) else ""
    if (arrived.payment_id, arrived.money) != (of, instruction.money):
        return Unknown("a success with another payment, amount or currency")
    if arrived.status is ProcessorRefundStatus.SUCCEEDED:
        return Accepted(arrived)
    return Accepted(replace(arrived, status=ProcessorRefundStatus.PENDING))
