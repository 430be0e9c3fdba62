"""Invariants of the money: checked when an order is handed over and after everything that moves."""

from collections import Counter, defaultdict

from refunds.execute import SEND_MS_MAX
from refunds.ports import Charge, MovementStatus, RefundOrder
from refunds.refund import Refund
from refunds.state_machine import FREED, State
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_books import FakeRefund, ProcessorBooks
from tests.simulation.schedule import Actor, Scheduler, SkewedClock
from tests.simulation.violation import require


class MoneyWatch:
    """Looks at every order, every movement and every promise that nothing moved.

    Attributes:
        books: the processor's truth.
        ever_succeeded: movements that have been a success at some time.
        promised: by refund, up to which attempt a caller was told that nothing moved.
    """

    def __init__(
        self, books: ProcessorBooks, memory: MemoryLedger, scheduler: Scheduler, clock: SkewedClock
    ) -> None:
        self.books = books
        self.ever_succeeded: set[str] = set()
        self.promised: dict[str, int] = {}
        self.sent: Counter[tuple[str, int]] = Counter()
        self._memory = memory
        self._scheduler = scheduler
        self._clock = clock
        self._seen = 0
        self._attempt_of: dict[str, list[int]] = defaultdict(list)
        self._known: dict[tuple[Actor, str | None, str], list[FakeRefund]] = {}

    def moved_by(self, refund_id: str) -> list[FakeRefund]:
        """The movements that were executed for the refund's orders."""
        return [one for one in self.books.refunds.values() if one.order_id == refund_id]

    def is_mistaken(self, refund: Refund) -> bool:
        """Whether the refund is bound to a later dashboard refund of the same amount.

        The one mistake that no product can avoid: HitPay's refunds carry no reference of ours, so
        by DESIGN.md's *Settling* the only candidate is taken for ours. What such a refund says of
        its own movement may then be wrong, in worlds where people refund equal amounts by hand.
        """
        bound = self.books.refunds.get(refund.processor_refund_id or "")
        if bound is None or bound.order_id is not None or refund.attempt == 0:
            return False
        return bound.movement.id not in (refund.snapshot or ())

    def handed_over(self, order: RefundOrder) -> None:
        """An order is about to be sent, by the actor that runs now."""
        refund = self._memory.refunds.get(order.refund_id)
        require(refund is not None, "no_order_without_an_intent", order)
        assert refund is not None
        self._intent_is_live(order, refund)
        self.sent[refund.id, refund.attempt] += 1
        once = self.sent[refund.id, refund.attempt] == 1
        require(once, "an_attempt_is_sent_once", (order, refund))
        self._attempt_of[refund.id].append(refund.attempt)
        self._never_more_than_captured(order)

    def looking_up(self) -> None:
        """A look-up begins: settling works only on what it took, so never two runs on one."""
        actor = self._scheduler.current
        if actor.kind == "settle" and actor.subject is not None:
            taken = actor.subject in actor.taken
            require(taken, "settling_takes_before_it_looks", actor)

    def showed(self, charge: Charge) -> None:
        """The actor that runs now learns of the dashboard's refunds."""
        shown = {movement.id for movement in charge.movements or ()}
        foreign = [
            one
            for one in self.books.of(charge.id)
            if one.movement.id in shown and one.order_id is None
        ]
        actor = self._scheduler.current
        self._known[actor, actor.subject, charge.id] = foreign

    def look(self) -> list[FakeRefund]:
        """Check what has moved since the last look; the new movements are returned."""
        for one in self.books.refunds.values():
            if one.movement.status is MovementStatus.SUCCEEDED:
                self.ever_succeeded.add(one.movement.id)
        if len(self.books.refunds) == self._seen:
            return []
        new = list(self.books.refunds.values())[self._seen :]
        self._seen = len(self.books.refunds)
        for one in new:
            if one.order_id is not None:
                self._moved(one, one.order_id)
        return new

    def _moved(self, movement: FakeRefund, refund_id: str) -> None:
        """Invariants 1, 4, 6 and 9."""
        mine = self.moved_by(refund_id)
        require(len(mine) == 1, "at_most_one_movement_per_refund", mine)
        refund = self._memory.refunds.get(refund_id)
        require(refund is not None, "no_movement_without_an_intent", movement)
        assert refund is not None
        moved, asked = movement.movement, (refund.processor_payment_id, refund.amount)
        as_asked = (moved.payment_id, moved.money.amount) == asked
        require(as_asked, "movement_is_as_asked", (movement, refund))
        if moved.status is MovementStatus.FAILED or self.is_mistaken(refund):
            return
        require(refund.state not in FREED, "failed_means_nothing_moved", (movement, refund))
        attempt = self._attempt_of[refund_id][-1]
        told = self.promised.get(refund_id, 0)
        require(attempt > told, "promises_are_true_for_ever", (movement, attempt, told, refund))

    def _intent_is_live(self, order: RefundOrder, refund: Refund) -> None:
        """Invariant 3, and the lease: it covers the longest that the call may take."""
        require(refund.state is State.SUBMITTING, "no_order_without_an_intent", (order, refund))
        lease_until_ms = refund.lease_until_ms or 0
        in_time = self._clock.now_ms() + SEND_MS_MAX <= lease_until_ms
        require(in_time, "an_order_is_covered_by_its_lease", (order, refund))
        alike = (order.payment_id, order.money.amount, order.money.currency)
        facts = (refund.processor_payment_id, refund.amount, refund.currency)
        require(alike == facts, "an_order_is_its_intent", (order, refund))

    def _never_more_than_captured(self, order: RefundOrder) -> None:
        """Invariant 2: ours that moved or may still, and what this call knew of others'."""
        charge, actor = self.books.charges[order.payment_id], self._scheduler.current
        ours = {
            one.id: one.amount
            for one in self._memory.refunds.values()
            if one.processor_payment_id == charge.id
            and one.id in self._attempt_of
            and one.state not in FREED
        }
        moved = {
            one.order_id: one.movement.money.amount
            for one in self.books.of(charge.id)
            if one.order_id is not None
            and one.movement.status is not MovementStatus.FAILED
            and not self.is_mistaken(self._memory.refunds[one.order_id])
        }
        ours.update({key: value for key, value in moved.items() if key is not None})
        ours[order.refund_id] = order.money.amount
        # A dashboard refund that a refund of ours is bound to is counted there.
        foreign = {
            one.movement.id: one.movement.money.amount
            for one in self._known.get((actor, actor.subject, charge.id), ())
            if one.movement.status is not MovementStatus.FAILED
            and self._memory.movements.get(("hitpay", one.movement.id)) not in ours
        }
        total = sum(ours.values()) + sum(foreign.values())
        enough = total <= charge.money.amount
        require(enough, "never_more_than_captured", (order, ours, foreign, charge))
