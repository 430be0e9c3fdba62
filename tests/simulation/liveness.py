"""The states that everything must have after faults have stopped and time has passed."""

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import PaymentLinkConflictError
from refund_bridge.domain.listed_refunds import bound_amount
from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import STRIPE, Refund, refund_id_of
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.processor import Capabilities, News
from tests.fakes.abilities import ABILITIES, keeps_keys, shows_payments
from tests.fakes.ledger import MemoryLedger
from tests.fakes.processor_books import FakeRefund
from tests.fakes.processor_fates import Look
from tests.simulation.alarms import UNLISTED
from tests.simulation.faults import Fault
from tests.simulation.money_watch import has_failed, is_nobodys, moves_less, owner_of
from tests.simulation.options import CAPTURED
from tests.simulation.others import MINUTE_MS
from tests.simulation.stage import STAGE, Stage
from tests.simulation.violation import require

_SETTLED = frozenset({State.SUCCEEDED, State.REJECTED, State.ABORTED, State.FAILED})


class Ending:
    """Checks a world in which nothing happens any more.

    Attributes:
        reviews: refunds that wait for a person.
        unexplained: those of them for which invariant 15 (docs/safety.md) allows no review.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._money = stage.money
        refunds = list(stage.memory.refunds.values())
        self.reviews = [one for one in refunds if awaits_a_person(one)]
        self.unexplained = [one for one in self.reviews if not self._is_explained(one)]

    def check(self) -> None:
        """Invariants 15 and 16, except for refunds that cannot be imported because of a review."""
        for refund in self._stage.memory.refunds.values():
            self._came_to_an_end(refund)
            self._is_its_own(refund)
        require(not self.unexplained, "reviews_have_a_reason", self.unexplained)
        for refund_id in self._stage.answers.acknowledged:
            kept = refund_id in self._stage.memory.refunds
            require(kept, "acknowledged_stays_readable", refund_id)

    def check_processor_refunds(self) -> None:
        """Invariant 16: what moved on a charge that leads to Stripe ends in the ledger.

        And 15 again, for refunds that had to wait for a person. External refunds, and refunds that
        were taken for external ones, are found only where something looks for them: see
        ``is_ever_seen``.
        """
        memory = self._stage.memory
        for one in memory.refunds.values():
            self._came_to_an_end(one)
        for name, books in self._money.books.items():
            for refund in books.refunds.values():
                alive = refund.processor_refund.status is not ProcessorRefundStatus.FAILED
                charge_id = refund.processor_refund.payment_id
                unlisted = any(charge_id in self._stage.telemetry.alarms[one] for one in UNLISTED)
                # Without lists only sums are known, and one refund may hide another.
                unlisted = unlisted or self._stage.options.others.lists_nothing
                seen = is_ever_seen(ABILITIES[name]) and not unlisted
                # Payments that Stripe took and nobody refunded here do not concern us.
                known = PaymentKey(name, charge_id) in memory.payments
                seen = seen and (name != STRIPE or known)
                followed = self._is_followed(refund) and not self._stage.options.others.zone_ms
                if alive and (seen or followed):
                    claimed = owner_of(memory.processor_refunds, name, refund) is not None
                    require(claimed, "every_movement_ends_in_the_ledger", refund)

    def check_accepted(self) -> None:
        """A scheduled refund is not canceled because Stripe's amount is wrong for an hour.

        If the processor shows no payments, the amount that Stripe showed first is kept. If that was
        wrong, every later amount disagrees, until nothing of the payment is open any more.
        """
        if self._stage.options.others.captured_off is None:
            return
        for one in self._stage.memory.refunds.values():
            code = None if one.failure is None else one.failure.code
            canceled = code == PaymentLinkConflictError.code and one.attempt == 0
            wrong = (
                len(self._stage.options.named(0)) > 1 or self._stage.options.others.wrong_link_ms
            )
            key = payment_key_of(one)
            wrong = wrong or self._stage.memory.payments[key].captured != CAPTURED
            require(not canceled or bool(wrong), "accepted_is_not_canceled_for_a_moment", one)

    def check_mended(self, key: str) -> None:
        """After metadata are corrected, a new refund is not bound to the wrong payment."""
        errors = self._stage.answers.errors.get(refund_id_of(key, STAGE), [])
        held = any(isinstance(one, PaymentLinkConflictError) for one in errors)
        # Money sent to a card is counted with the payment that its record is linked to.
        moved = any(not one.processor_refund.payment_id for one in self._money.processor_refunds())
        require(not held or moved, "a_mended_link_is_used", errors)

    def _is_followed(self, made: FakeRefund) -> bool:
        """Whether its own refund waits for this processor refund, and not for another one."""
        refund = self._stage.memory.refunds.get(made.instruction_id or "")
        if refund is None or self._is_shown_nowhere(refund, made):
            return False
        return not self._money.is_mistaken(refund)

    def _is_shown_nowhere(self, refund: Refund, made: FakeRefund) -> bool:
        """Whether it ended otherwise than the first answer said, and no list or key shows that.

        Only a person can find it, in the processor's dashboard, and reports it by hand. If it was
        sent with another account, nothing looks it up; it is seen as external refunds are.
        """
        can, options = ABILITIES[refund.processor], self._stage.options
        elsewhere = refund.id in self._stage.telemetry.alarms["sent_to_another_account"]
        shows_keys = keeps_keys(can) and options.reads_keys and not elsewhere
        lists = is_ever_seen(can) if elsewhere else shows_payments(can)
        lists = lists and not (options.others.lists_nothing or options.others.lists_other_ids)
        return not shows_keys and not lists and (moves_less(made) or has_failed(made))

    def _came_to_an_end(self, refund: Refund) -> None:
        alarms, dead = self._stage.telemetry.alarms, self._stage.queue.dead
        if awaits_a_person(refund):
            alarmed = refund.id in alarms["refund_needs_review"]
            require(alarmed, "reviews_are_alarmed", refund)
            return
        if is_behind_a_review(refund, self._stage.memory):
            return
        require(refund.state in _SETTLED, "every_refund_comes_to_an_end", refund)
        # A refund that was taken back owes no report any more, and has an alarm of its own.
        if refund.report.state is ReportState.FAILED and refund.late_failure_at_ms is None:
            told = alarms["report_failed"] | alarms["link_found_but_booked"]
            told |= {message.refund_id for message in dead}
            alarmed = refund.id in told
            require(alarmed, "failed_reports_are_alarmed", refund)
        open_report = refund.report.state is ReportState.DUE
        waits = waits_for_another(refund, self._stage.memory)
        require(not open_report or waits, "every_report_comes_to_an_end", refund)

    def _is_its_own(self, refund: Refund) -> None:
        """A refund that moved has its own processor refund, if no external one has its amount.

        HitPay's refunds carry no reference of ours: nobody can tell a dashboard refund of the same
        amount, made after our instruction, from ours. Without one, every refund must be right.
        """
        mine = self._stage.money.moved_by(refund.id)
        if refund.history[0].before is None and refund.attempt == 0:
            return
        if self._equal_foreign(refund) or any(map(moves_less, mine)):
            return
        own = mine[0].processor_refund.id if mine else None
        made = self._money.processor_refund(refund.processor_refund_id)
        bound = None if made is None else made.processor_refund.id
        require(bound in (None, own), "bound_to_its_own_movement", (refund, mine))
        if own is not None and refund.state is not State.REVIEW and not has_failed(mine[0]):
            require(bound == own, "bound_to_its_own_movement", (refund, mine))

    def _equal_foreign(self, refund: Refund) -> bool:
        """Whether an external refund can be taken for the refund's own.

        Never if instructions are found by their keys. If processor refunds show their instructions,
        only while its own does not exist yet, or is not shown any more.
        """
        if keeps_keys(ABILITIES[refund.processor]) or refund.processor == STRIPE:
            return False
        books = self._money.books[refund.processor]
        mine = self._money.moved_by(refund.id) if books.names_instructions else []
        return any(
            one.instruction_id is None
            and one.processor_refund.money.amount == refund.amount
            and one.processor_refund.id not in (refund.snapshot or ())
            and not is_nobodys(one)
            and all(one.executed_ms <= own.executed_ms or not books.shows(own) for own in mine)
            for one in books.of(refund.processor_payment_id)
        )

    def _is_explained(self, refund: Refund) -> bool:
        """Invariant 15: the POST never executed, or an equal external refund confuses.

        Other permitted reasons: a processor that keeps keys cannot be asked for one, or shows
        another refund; payments list no refunds for longer than the late-arrival window; or,
        without keys and a snapshot, clocks disagree: then only times distinguish our refund from
        older ones, and settling leaves one from just before our start to a person. Or payments list
        refunds by other ids, and an equal refund of ours may be the one that is listed.
        """
        # A failed refund that does not show its instruction belongs to no refund of ours.
        moved = self._stage.money.moved_by(refund.id)
        never_executed = all(map(has_failed, moved))
        options = self._stage.options
        clocks_agree = options.skew_ms == 0 and options.processor_skew_ms >= 0
        if abs(options.processor_skew_ms) + abs(options.others.zone_ms) > MINUTE_MS:
            return True
        by_key = keeps_keys(ABILITIES[refund.processor])
        by_instruction = by_key or refund.processor == STRIPE
        # An earlier refund of ours may be listed under an id that we do not know.
        other_ids = options.others.lists_other_ids
        unsure = refund.snapshot is None and (not clocks_agree or other_ids)
        unsure = unsure or (other_ids and self._has_equal_beside(refund))
        by_time = unsure and not by_instruction
        met, name = self._stage.dice.met, refund.processor
        if refund.processor_refund_id and met[f"{name}.processor_refund", Fault.DISAGREES]:
            return True
        lied = met[f"{name}.find_by_key", Fault.DISAGREES] > 0
        mute = by_key and (lied or not options.reads_keys)
        others = options.others
        listless = others.lists_nothing or any(one[0] == "lists" for one in options.outages)
        mute = mute or (not by_key and listless)
        return (
            never_executed or mute or by_time or self._is_odd(refund) or self._equal_foreign(refund)
        )

    def _has_equal_beside(self, refund: Refund) -> bool:
        """Whether another refund of ours of this payment moved the same amount."""
        return any(
            one.id != refund.id
            and payment_key_of(one) == payment_key_of(refund)
            and bound_amount(one) == refund.amount
            for one in self._stage.memory.refunds.values()
        )

    def _is_odd(self, refund: Refund) -> bool:
        """Whether the processor shows it in an odd way, or the form of keys has changed."""
        if self._stage.options.others.key_form is not None:
            return True
        made = self._money.processor_refund(refund.processor_refund_id)
        mine = self._money.moved_by(refund.id) + ([] if made is None else [made])
        return any(one.conduct.amount or one.conduct.look is not Look.AS_IT_IS for one in mine)


def is_ever_seen(can: Capabilities) -> bool:
    """Whether we learn of external refunds at a processor without a refund of ours on the payment.

    Either the processor sends webhooks, or it lists its payments for the sweep. Otherwise a payment
    is read only when it is refunded here, if the processor shows payments at all.
    """
    return can.lists_charges or can.learns_by is News.WEBHOOK


def is_behind_a_review(refund: Refund, memory: MemoryLedger) -> bool:
    """Whether a scheduled refund waits for a slot that is taken by a refund in review."""
    payment = memory.payments[payment_key_of(refund)]
    if refund.state is not State.REQUESTED or payment.slot is None:
        return False
    return memory.refunds[payment.slot].state is State.REVIEW


def waits_for_another(refund: Refund, memory: MemoryLedger) -> bool:
    """Whether its report must wait until a person has closed another refund of the payment."""
    if refund.report.state is not ReportState.DUE:
        return False
    slot = memory.payments[payment_key_of(refund)].slot
    if slot is not None and awaits_a_person(memory.refunds[slot]):
        return True
    return any(
        one.report.state is ReportState.FAILED and payment_key_of(one) == payment_key_of(refund)
        for one in memory.refunds.values()
    )


def awaits_a_person(refund: Refund) -> bool:
    """Whether only a person's decision, or evidence found later, can change the refund's state."""
    return refund.state is State.REVIEW
