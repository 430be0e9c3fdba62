"""What must have become of everything, once faults have stopped and time has passed."""

from refunds.outcome import NOT_LINKED
from refunds.payment import payment_key_of
from refunds.ports import Capabilities, Deadline, MovementStatus, News
from refunds.refund import Refund
from refunds.resolve import (
    Decision,
    ItFailed,
    ItSucceeded,
    ResolutionRefusedError,
    ResolveRefund,
)
from refunds.state_machine import ReportState, State
from tests.fakes.abilities import ABILITIES, keeps_keys
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_books import FakeRefund
from tests.simulation.faults import Fault
from tests.simulation.stage import Stage
from tests.simulation.violation import require

LONG_MS = 86_400_000
_SETTLED = frozenset({State.SUCCEEDED, State.REJECTED, State.ABORTED, State.FAILED})


class Ending:
    """Looks at a world that has come to rest.

    Attributes:
        reviews: refunds that wait for a person.
        unexplained: those of them that DESIGN.md's invariant 15 does not allow for.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._money = stage.money
        refunds = list(stage.memory.refunds.values())
        self.reviews = [one for one in refunds if awaits_a_person(one)]
        self.unexplained = [one for one in self.reviews if not self._is_explained(one)]

    def check(self) -> None:
        """Invariants 15 and 16, but for movements that a review keeps from being imported."""
        for refund in self._stage.memory.refunds.values():
            self._came_to_an_end(refund)
            self._is_its_own(refund)
        require(not self.unexplained, "reviews_have_a_reason", self.unexplained)
        for refund_id in self._stage.answers.acknowledged:
            kept = refund_id in self._stage.memory.refunds
            require(kept, "acknowledged_stays_readable", refund_id)

    def check_movements(self) -> None:
        """Invariant 16: every movement on a charge with a trace of Stripe ends in the ledger.

        And 15 once more, for what had to wait for a person. What others moved, and what was taken
        for it, is found where somebody looks for it: see ``is_ever_seen``.
        """
        memory = self._stage.memory
        for one in memory.refunds.values():
            self._came_to_an_end(one)
        for name, books in self._money.books.items():
            for refund in books.refunds.values():
                alive = refund.movement.status is not MovementStatus.FAILED
                if alive and (is_ever_seen(ABILITIES[name]) or self._is_followed(refund)):
                    claimed = (name, refund.movement.id) in memory.movements
                    require(claimed, "every_movement_ends_in_the_ledger", refund)

    def _is_followed(self, made: FakeRefund) -> bool:
        """Whether the movement is what its own refund waits for, and not for another's instead."""
        refund = self._stage.memory.refunds.get(made.order_id or "")
        return refund is not None and not self._money.is_mistaken(refund)

    def check_redriven(self) -> None:
        """A report that was redriven in peace is made, unless Stripe's own book refuses it.

        Nor is one made of money that came back before Stripe was told (*Late failure*).
        """
        stripe = self._stage.book.inner.books
        for refund in self._stage.memory.refunds.values():
            failed = refund.report.state is ReportState.FAILED
            if failed and refund.payment_record and refund.late_failure_at_ms is None:
                record = stripe.records[refund.payment_record]
                left = record.guaranteed - stripe.refunded(record.id)
                references = [one.parameters.refund_reference for one in stripe.reports]
                refuses = left < refund.amount or refund.processor_refund_id in references
                require(refuses, "a_redriven_report_is_made", refund)

    def check_linked(self) -> None:
        """When every link is mended, no report is left to a person for want of one.

        But where others told Stripe of refunds, or may have, or where a report of ours has failed
        that Stripe may have booked: nobody can tell by the sum which of them it knows. And where
        the record names two processors, and books a payment of the other one.
        """
        memory, stripe = self._stage.memory, self._stage.book.inner.books.reports
        for refund in memory.refunds.values():
            if refund.report.last_error == NOT_LINKED and refund.late_failure_at_ms is None:
                key = payment_key_of(refund)
                others = [one for one in stripe if one.idempotency_key is None]
                doubtful = [
                    one
                    for one in memory.refunds.values()
                    if payment_key_of(one) == key and (one.is_adopted or _is_sent_and_failed(one))
                ]
                record = "pr_" + key.charge_id.removeprefix("charge-")
                elsewhere = memory.records.get(record, key) != key
                told = bool(others or doubtful or elsewhere)
                require(told, "a_mended_link_is_found", refund)

    def _came_to_an_end(self, refund: Refund) -> None:
        alarms, dead = self._stage.trail.alarms, self._stage.queue.dead
        if awaits_a_person(refund):
            alarmed = refund.id in alarms["refund_needs_review"]
            require(alarmed, "reviews_are_alarmed", refund)
            return
        if is_behind_a_review(refund, self._stage.memory):
            return
        require(refund.state in _SETTLED, "every_refund_comes_to_an_end", refund)
        # Of money that came back nothing is owed any more, and it has an alarm of its own.
        if refund.report.state is ReportState.FAILED and refund.late_failure_at_ms is None:
            told = alarms["report_failed"] | alarms["link_found_but_booked"]
            told |= {message.refund_id for message in dead}
            alarmed = refund.id in told
            require(alarmed, "failed_reports_are_alarmed", refund)
        require(refund.report.state is not ReportState.DUE, "every_report_comes_to_an_end", refund)

    def _is_its_own(self, refund: Refund) -> None:
        """A refund that ended with a movement has its own, if nothing of its amount was foreign.

        HitPay's refunds carry no reference of ours: a dashboard refund of the same amount, after
        our order, can be told from ours by nobody. Worlds without one have no such excuse.
        """
        mine = self._stage.money.moved_by(refund.id)
        if refund.history[0].before is None and refund.attempt == 0:
            return
        if self._equal_foreign(refund):
            return
        own = mine[0].movement.id if mine else None
        bound = refund.processor_refund_id
        require(bound in (None, own), "bound_to_its_own_movement", (refund, mine))
        if own is not None and refund.state is not State.REVIEW:
            require(bound == own, "bound_to_its_own_movement", (refund, mine))

    def _equal_foreign(self, refund: Refund) -> bool:
        """Whether somebody else's movement can be taken for the refund's.

        Never where orders are found by their keys. Where movements show their orders, only as long
        as its own was not there yet.
        """
        if keeps_keys(ABILITIES[refund.processor]):
            return False
        books = self._money.books[refund.processor]
        mine = self._money.moved_by(refund.id) if books.names_orders else []
        return any(
            one.order_id is None
            and one.movement.money.amount == refund.amount
            and one.movement.id not in (refund.snapshot or ())
            and all(one.executed_ms <= own.executed_ms for own in mine)
            for one in books.of(refund.processor_payment_id)
        )

    def _is_explained(self, refund: Refund) -> bool:
        """Invariant 15: the POST never executed, or an equal foreign refund confuses.

        Besides, a processor that keeps keys may not be able to tell what became of one, or may tell
        of another refund; and payments may list no refunds for longer than the hold. And without
        keys and a snapshot only times can tell ours from older ones, and DESIGN.md sends what seems
        to be from just before our start to a person: so it is when clocks disagree.
        """
        never_executed = not self._stage.money.moved_by(refund.id)
        options = self._stage.options
        clocks_agree = options.skew_ms == 0 and options.processor_skew_ms >= 0
        by_key = keeps_keys(ABILITIES[refund.processor])
        by_time = refund.snapshot is None and not clocks_agree and not by_key
        lied = self._stage.dice.met[f"{refund.processor}.ordered", Fault.DISAGREES] > 0
        mute = by_key and (lied or not options.reads_keys)
        mute = mute or (not by_key and any(one[0] == "lists" for one in options.outages))
        return never_executed or mute or by_time or self._equal_foreign(refund)


def is_ever_seen(can: Capabilities) -> bool:
    """Whether what others move at a processor is learnt of without a refund of ours on it.

    The processor tells us, or lists its payments for the sweep. Else its payments are only looked
    at when one of them is refunded here, if they can be looked at at all.
    """
    return can.lists_charges or can.learns_by is News.WEBHOOK


def _is_sent_and_failed(refund: Refund) -> bool:
    return refund.report.state is ReportState.FAILED and refund.report.attempts > 0


def is_behind_a_review(refund: Refund, memory: MemoryLedger) -> bool:
    """Whether a scheduled refund waits for a slot that only a person can free."""
    payment = memory.payments[payment_key_of(refund)]
    if refund.state is not State.REQUESTED or payment.slot is None:
        return False
    return memory.refunds[payment.slot].state is State.REVIEW


def awaits_a_person(refund: Refund) -> bool:
    """Whether nothing but a person's decision, or evidence found later, moves the refund on."""
    return refund.state is State.REVIEW and refund.processor_refund_id is None


def settle_by_hand(stage: Stage, reviews: list[Refund]) -> None:
    """A person decides each review, knowing what the processor's own books say."""
    resolve = ResolveRefund(
        ledger=stage.memory,
        processors={name: one.inner for name, one in stage.processors.items()},
        recorder=stage.recorder,
        doorbell=stage.queue,
        clock=stage.true_clock,
        trail=stage.trail,
        hold_ms=stage.options.hold_ms,
        actor="operator:person",
    )
    deadline = Deadline.after(stage.true_clock, LONG_MS)
    for refund in reviews:
        decision = _decision(stage, refund)
        try:
            agreed = resolve.weigh(refund.id, decision, deadline)
        except ResolutionRefusedError:
            # Clocks disagree so far that ours seems to be older than its order, or what is listed
            # can be ours by all that it shows. Whoever knows better says so.
            decision = ItFailed("the books say so", despite_evidence=True)
            agreed = resolve.weigh(refund.id, decision, deadline)
        resolve.carry_out(refund.id, decision, agreed, deadline)


def _decision(stage: Stage, refund: Refund) -> Decision:
    mine = stage.money.moved_by(refund.id)
    if mine and (refund.processor, mine[0].movement.id) not in stage.memory.movements:
        return ItSucceeded(mine[0].movement.id)
    return ItFailed("the processor has no such refund")
