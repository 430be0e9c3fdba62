"""The books of the processor in memory: charges, refunds, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.instruction import Instruction, Rejected, UnlinkedInstruction
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.runtime import Clock
from tests.fakes.processor_fates import Conduct, Look

# The prefix of the other kind of ids.
LISTED = "listed-"


@dataclass(slots=True)
class FakeCharge:
    """A payment; ``status`` is as at HitPay before any refund."""

    id: str
    money: Money
    status: str = "succeeded"
    method: str | None = "card"
    payment_intent: str | None = None
    shared: str | None = None


@dataclass(slots=True)
class FakeRefund:
    """A processor refund. ``instruction_id`` is our refund's id, ``None`` for one of the dashboard.

    ``executed_ms`` is monotonic: look-ups lag by it. At ``last_ms`` its status becomes ``last``.

    Attributes:
        asked: the amount that was asked for; a pending refund may turn out to move less.
        conduct: how it is to change, and how look-ups are to show it.
        been: all statuses that it has had.
        changes: how many of its changes have happened.
        key: the key of its instruction, where keys are kept.
    """

    processor_refund: ProcessorRefund
    asked: Money
    instruction_id: str | None
    executed_ms: int
    last: ProcessorRefundStatus | None
    last_ms: int
    conduct: Conduct = field(default_factory=Conduct)
    been: set[ProcessorRefundStatus] = field(default_factory=set)
    changes: int = 0
    key: str | None = None

    @property
    def changes_ms(self) -> list[int]:
        """The times of its changes, on the monotonic clock."""
        if self.last is None:
            return []
        waits = [wait_ms for wait_ms, _ in self.conduct.more[self.changes :]]
        return list(accumulate(waits, initial=self.last_ms))


class ProcessorBooks:
    """The truth at the processor, whatever look-ups show.

    Attributes:
        charges: by id.
        methods: payment methods to which money can be sent without a payment, by id.
        refunds: by id, in the order of execution.
        conduct: how refunds that are executed from now on change, and look.
        checks_amounts: whether an amount above the refundable balance is refused; otherwise it is
            moved.
        one_refund_per_payment: whether a second refund of a payment is refused.
        names_instructions: whether refunds show the instruction that made them; where keys are kept
            they always do.
        names_others: whether external refunds show that none of our instructions made them.
        lag_ms: for how long look-ups do not show an executed refund.
        zone_ms: how far the times that it prints are ahead, since they have no zone.
        lists_other_ids: whether a payment lists its refunds under other ids than the answers to
            instructions have.
        refuses: payments of which every refund is refused, though they look refundable.
        fee: the fee for each refund from now on, shown in the answer to its instruction.
        key_form: the form of keys in instructions and look-ups now; an instruction is found only
            under the form that it was sent with.
    """

    def __init__(self, clock: Clock, name: str, *, keeps_keys: bool = False) -> None:
        self._clock = clock
        self._name = name
        self._keeps_keys = keeps_keys
        self.charges: dict[str, FakeCharge] = {}
        self.methods: dict[str, PaymentMethodKind] = {}
        self.refunds: dict[str, FakeRefund] = {}
        self.conduct = Conduct()
        self.checks_amounts = True
        self.one_refund_per_payment = False
        self.names_others = name == STRIPE
        self.names_instructions = keeps_keys or self.names_others
        self.lag_ms = 0
        self.zone_ms = 0
        self.lists_other_ids = False
        self.refuses: set[str] = set()
        self.fee: Money | None = None
        self.key_form = ""

    def arrive(self, instruction: Instruction) -> ProcessorRefund | Rejected:
        """Execute an instruction, or refuse it.

        Without keys, a retry and a second refund are the same. With keys, a retry moves nothing,
        and the answer shows the refund that the first instruction made.
        """
        before = self.with_key(instruction.refund_id)
        if before is not None:
            return before.processor_refund
        charge = self.charges.get(instruction.payment_id)
        if charge is None:
            return Rejected(f"No query results for charge {instruction.payment_id}", 404)
        # The call names no currency: the charge's currency is used.
        money = Money(instruction.money.amount, charge.money.currency)
        return self.move(charge, money, instruction.refund_id)

    def arrive_unlinked(self, instruction: UnlinkedInstruction) -> ProcessorRefund | Rejected:
        """Execute an instruction that belongs to no payment, or refuse it."""
        before = self.with_key(instruction.refund_id)
        if before is not None:
            return before.processor_refund
        kind = self.methods.get(instruction.payment_method)
        if kind is not PaymentMethodKind.CARD:
            return Rejected("There is no card of that id.", 400)
        return self._made("", instruction.payment_method, instruction.money, instruction.refund_id)

    @contextmanager
    def keyed(self, form: str) -> Iterator[None]:
        """While the body runs, instructions and look-ups have keys of that form."""
        now, self.key_form = self.key_form, form
        try:
            yield
        finally:
            self.key_form = now

    def with_key(self, instruction_id: str) -> FakeRefund | None:
        """The refund whose instruction carried that key, where keys are kept."""
        kept = self.refunds.values() if self._keeps_keys else ()
        return next(
            (refund for refund in kept if refund.key == self.key_form + instruction_id), None
        )

    def move(
        self, charge: FakeCharge, money: Money, instruction_id: str | None, *, age_ms: int = 0
    ) -> ProcessorRefund | Rejected:
        """Refund a charge, if its refundable balance allows it; ``age_ms`` ago, if given."""
        refusal = self._refusal(charge, money.amount)
        if refusal is not None:
            return refusal
        return self._made(charge.id, None, money, instruction_id, age_ms)

    def _made(
        self,
        payment_id: str,
        method: str | None,
        money: Money,
        instruction_id: str | None,
        age_ms: int = 0,
    ) -> ProcessorRefund:
        now_ms = self._clock.monotonic_ms()
        processor_refund_id = f"{self._name}-refund-{len(self.refunds) + 1}"
        shown_instruction = instruction_id or (processor_refund_id if self.names_others else None)
        processor_refund = ProcessorRefund(
            id=processor_refund_id,
            payment_id=payment_id,
            money=money,
            status=ProcessorRefundStatus.PENDING,
            processor_status="pending",
            created_at_ms=self._whole_second(age_ms),
            instruction_id=shown_instruction if self.names_instructions else None,
            payment_method=method,
            fee=self.fee,
        )
        last_ms = now_ms + self.conduct.after_ms
        refund = FakeRefund(
            processor_refund,
            money,
            instruction_id,
            now_ms - age_ms,
            self.conduct.last,
            last_ms,
            self.conduct,
        )
        if instruction_id is not None:
            refund.key = self.key_form + instruction_id
        self.refunds[processor_refund.id] = refund
        self._become(refund, self.conduct.first, age_ms)
        return refund.processor_refund

    def set_status(self, refund_id: str, status: ProcessorRefundStatus) -> None:
        """Change a refund: a pending one ends, or a succeeded one is taken back."""
        refund = self.refunds[refund_id]
        refund.last = None
        self._become(refund, status)

    def end_pending(self) -> None:
        """Make the changes of refunds that are due."""
        now_ms = self._clock.monotonic_ms()
        for refund in self.refunds.values():
            while refund.last is not None and refund.last_ms <= now_ms:
                self._change(refund, refund.last)

    def _change(self, refund: FakeRefund, status: ProcessorRefundStatus) -> None:
        conduct = refund.conduct
        refund.last = None
        if refund.changes < len(conduct.more):
            wait_ms, refund.last = conduct.more[refund.changes]
            refund.last_ms += wait_ms
        refund.changes += 1
        if conduct.amount is not None:
            money = replace(refund.processor_refund.money, amount=conduct.amount)
            refund.processor_refund = replace(refund.processor_refund, money=money)
        self._become(refund, status)

    def of(self, charge_id: str) -> list[FakeRefund]:
        """Every refund of a charge."""
        return [
            item for item in self.refunds.values() if item.processor_refund.payment_id == charge_id
        ]

    def shows(self, refund: FakeRefund) -> bool:
        """Whether look-ups show the refund by now."""
        gone = refund.changes > 0 and refund.conduct.look is Look.GONE
        return not gone and refund.executed_ms + self.lag_ms <= self._clock.monotonic_ms()

    def look_of(self, refund: FakeRefund) -> ProcessorRefund:
        """The refund as look-ups show it."""
        if not refund.changes or refund.conduct.look is not Look.UNDER_ANOTHER_WORD:
            return refund.processor_refund
        return replace(
            refund.processor_refund,
            status=ProcessorRefundStatus.PENDING,
            processor_status="something_new",
            refunded_at_ms=None,
        )

    def listed(self, refund: FakeRefund) -> ProcessorRefund:
        """The refund as its payment lists it."""
        shown = self.look_of(refund)
        return replace(shown, id=f"{LISTED}{shown.id}") if self.lists_other_ids else shown

    def named(self, processor_refund_id: str | None) -> FakeRefund | None:
        """The refund of that id, whichever of the two kinds it is."""
        return self.refunds.get((processor_refund_id or "").removeprefix(LISTED))

    def _refusal(self, charge: FakeCharge, amount: int) -> Rejected | None:
        if charge.status != "succeeded":
            return Rejected("The charge has not succeeded.", 403)
        if charge.id in self.refuses:
            return Rejected("The refund period of the charge is over.", 403)
        amounts = [
            item.processor_refund.money.amount
            for item in self.of(charge.id)
            if item.processor_refund.status is not ProcessorRefundStatus.FAILED
        ]
        if self.one_refund_per_payment and amounts:
            return Rejected("The charge has been refunded before.", 403)
        if self.checks_amounts and amount > charge.money.amount - sum(amounts):
            return Rejected("The amount is more than what remains.", 403)
        return None

    def _become(self, refund: FakeRefund, status: ProcessorRefundStatus, age_ms: int = 0) -> None:
        refund.been.add(status)
        at_ms = self._whole_second(age_ms) if status is ProcessorRefundStatus.SUCCEEDED else None
        refund.processor_refund = replace(
            refund.processor_refund,
            status=status,
            processor_status=str(status),
            refunded_at_ms=at_ms,
        )

    def _whole_second(self, age_ms: int = 0) -> int:
        return (self._clock.now_ms() - age_ms) // 1000 * 1000 + self.zone_ms
