"""The books of the processor in memory: charges, refunds, and what is refused."""

from dataclasses import dataclass, replace

from refunds.money import Money
from refunds.ports import (
    Clock,
    Movement,
    MovementStatus,
    RefundOrder,
    Rejected,
    UnlinkedOrder,
)
from refunds.refund import PaymentMethodKind
from tests.fakes.processor_fates import Conduct


@dataclass(slots=True)
class FakeCharge:
    """A payment; ``status`` is as at HitPay before any refund."""

    id: str
    money: Money
    status: str = "succeeded"
    method: str | None = "card"


@dataclass(slots=True)
class FakeRefund:
    """A movement of money. ``order_id`` is the refund that ordered it, ``None`` for the dashboard.

    ``executed_ms`` is monotonic: look-ups lag by it. At ``last_ms`` its status becomes ``last``.
    """

    movement: Movement
    order_id: str | None
    executed_ms: int
    last: MovementStatus | None
    last_ms: int


class ProcessorBooks:
    """The truth at the processor, whatever look-ups say.

    Attributes:
        charges: by id.
        methods: what money can go to without a payment, by id.
        refunds: by id, in the order of execution.
        conduct: what refunds that are executed from now on look like.
        checks_amounts: whether more than remains is refused; a harsher world moves it.
        one_refund_per_payment: whether a second refund of a payment is refused.
        names_orders: whether refunds show whose order they are; where keys are kept they always do.
        lag_ms: how long look-ups do not show a refund that was executed.
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
        self.names_orders = keeps_keys
        self.lag_ms = 0

    def arrive(self, order: RefundOrder) -> Movement | Rejected:
        """Execute an order, or refuse it.

        Where no keys are kept, nothing tells a repeat from a second refund. Where they are, a
        repeat moves nothing, and is shown what the first one moved.
        """
        before = self.with_key(order.refund_id)
        if before is not None:
            return before.movement
        charge = self.charges.get(order.payment_id)
        if charge is None:
            return Rejected(f"No query results for charge {order.payment_id}", 404)
        # The call names no currency: whatever was meant, the charge's is what moves.
        money = Money(order.money.amount, charge.money.currency)
        return self.move(charge, money, order.refund_id)

    def arrive_unlinked(self, order: UnlinkedOrder) -> Movement | Rejected:
        """Execute an order that belongs to no payment, or refuse it."""
        before = self.with_key(order.refund_id)
        if before is not None:
            return before.movement
        kind = self.methods.get(order.payment_method)
        if kind is not PaymentMethodKind.CARD:
            return Rejected("There is no card of that id.", 400)
        return self._made("", order.payment_method, order.money, order.refund_id)

    def with_key(self, order_id: str) -> FakeRefund | None:
        """The refund whose order carried that key, where keys are kept."""
        kept = self.refunds.values() if self._keeps_keys else ()
        return next((refund for refund in kept if refund.order_id == order_id), None)

    def move(self, charge: FakeCharge, money: Money, order_id: str | None) -> Movement | Rejected:
        """Give money back, if the charge has any left to give."""
        refusal = self._refusal(charge, money.amount)
        if refusal is not None:
            return refusal
        return self._made(charge.id, None, money, order_id)

    def _made(
        self, payment_id: str, method: str | None, money: Money, order_id: str | None
    ) -> Movement:
        now_ms = self._clock.monotonic_ms()
        movement = Movement(
            id=f"{self._name}-refund-{len(self.refunds) + 1}",
            payment_id=payment_id,
            money=money,
            status=MovementStatus.PENDING,
            processor_status="pending",
            created_at_ms=self._whole_second(),
            order_id=order_id if self.names_orders else None,
            payment_method=method,
        )
        last_ms = now_ms + self.conduct.after_ms
        refund = FakeRefund(movement, order_id, now_ms, self.conduct.last, last_ms)
        self.refunds[movement.id] = refund
        self._become(refund, self.conduct.first)
        return refund.movement

    def set_status(self, refund_id: str, status: MovementStatus) -> None:
        """A refund changes: a pending one ends, or a succeeded one comes back."""
        refund = self.refunds[refund_id]
        refund.last = None
        self._become(refund, status)

    def end_pending(self) -> None:
        """Let refunds end whose time has come."""
        now_ms = self._clock.monotonic_ms()
        for refund in self.refunds.values():
            if refund.last is not None and refund.last_ms <= now_ms:
                status, refund.last = refund.last, None
                self._become(refund, status)

    def of(self, charge_id: str) -> list[FakeRefund]:
        """Every refund of a charge."""
        return [item for item in self.refunds.values() if item.movement.payment_id == charge_id]

    def shows(self, refund: FakeRefund) -> bool:
        """Whether look-ups know the refund by now."""
        return refund.executed_ms + self.lag_ms <= self._clock.monotonic_ms()

    def _refusal(self, charge: FakeCharge, amount: int) -> Rejected | None:
        if charge.status != "succeeded":
            return Rejected("The charge has not succeeded.", 403)
        amounts = [
            item.movement.money.amount
            for item in self.of(charge.id)
            if item.movement.status is not MovementStatus.FAILED
        ]
        if self.one_refund_per_payment and amounts:
            return Rejected("The charge has been refunded before.", 403)
        if self.checks_amounts and amount > charge.money.amount - sum(amounts):
            return Rejected("The amount is more than what remains.", 403)
        return None

    def _become(self, refund: FakeRefund, status: MovementStatus) -> None:
        at_ms = self._whole_second() if status is MovementStatus.SUCCEEDED else None
        refund.movement = replace(
            refund.movement, status=status, processor_status=str(status), refunded_at_ms=at_ms
        )

    def _whole_second(self) -> int:
        return self._clock.now_ms() // 1000 * 1000
