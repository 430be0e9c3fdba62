"""Invariants of the ledger's contents, checked after every write.

Each uses what was stored before and after the write, and the true books of the processor and
Stripe; none uses what the product believes. Those of single items are in ``ledger_invariants``.
"""

from collections import Counter
from typing import Final

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of, unlinked_payment_key
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import (
    FREED,
    REPORT_TRANSITIONS,
    TRANSITIONS,
    ReportState,
    State,
)
from refund_bridge.ports.ledger import Commit, RecordClaim
from tests.fakes.ledger import MemoryLedger
from tests.fakes.stripe_records import StripeRecords
from tests.simulation.ledger_invariants import (
    a_door_is_never_guessed,
    customers_are_kept_while_they_may_be_needed,
    facts_never_change,
    no_processor_refund_behind_a_failure,
    only_legal_payment_changes,
    payment_counts_its_refunds,
    report_follows_success,
    reported_is_at_stripe,
    success_owes_its_report_in_one_write,
    what_is_open_is_due,
)
from tests.simulation.money_watch import MoneyWatch, is_as_asked, moves_less
from tests.simulation.others import MINUTE_MS
from tests.simulation.schedule import SKEW_MAX_MS, Actor, Scheduler, SkewedClock
from tests.simulation.violation import require

_LEGAL: Final = {(before, after) for (before, _), after in TRANSITIONS.items()} | {
    (f"report:{before}", f"report:{after}") for (before, _), after in REPORT_TRANSITIONS.items()
}

Before = tuple[list[Refund | None], list[Payment | None]]


def _payments_in(commit: Commit) -> list[PaymentKey]:
    return [write.after.key for write in commit.payments]


class LedgerWatch:
    """Checks each write of the ledger.

    Attributes:
        steps: how often each legal step was taken.
    """

    def __init__(
        self,
        memory: MemoryLedger,
        money: MoneyWatch,
        stripe: StripeRecords,
        scheduler: Scheduler,
        off_ms: int,
    ) -> None:
        self._scheduler = scheduler
        self._skewed = off_ms > MINUTE_MS
        self._sender: dict[str, Actor] = {}
        self.steps: Counter[tuple[str | None, str]] = Counter()
        self._memory = memory
        self._money = money
        self._stripe = stripe
        self._owner: dict[str, str] = {}
        self._of_payment: dict[PaymentKey, set[str]] = {}

    def before(self, commit: Commit) -> Before:
        """What is stored where ``commit`` is about to write."""
        return (
            [self._memory.refunds.get(write.after.id) for write in commit.refunds],
            [self._memory.payments.get(key) for key in _payments_in(commit)],
        )

    def committed(self, commit: Commit, before: Before) -> None:
        """Check what is stored now."""
        for old, write in zip(before[0], commit.refunds, strict=True):
            new = self._memory.refunds[write.after.id]
            self._refund_written(old, new)
            if old is None:
                self._born(new, dict(zip(_payments_in(commit), before[1], strict=True)))
        for claim in commit.claims:
            if isinstance(claim, RecordClaim):
                self._claimed(claim)
        for known, key in zip(before[1], _payments_in(commit), strict=True):
            only_legal_payment_changes(known, self._memory.payments[key])
        for write in commit.refunds:
            self._of_payment.setdefault(payment_key_of(write.after), set()).add(write.after.id)
        for key in {payment_key_of(write.after) for write in commit.refunds}:
            self._payment_adds_up(key)

    def _claimed(self, claim: RecordClaim) -> None:
        """A record is linked to an existing payment, or stands for unlinked refunds itself."""
        books, named = self._money.books[claim.payment.processor], claim.payment.charge_id
        itself = unlinked_payment_key(claim.payment.processor, claim.payment_record).charge_id
        there = named in books.charges or named == itself
        require(there, "a_record_books_a_payment_that_there_is", claim)

    def _born(self, new: Refund, known: dict[PaymentKey, Payment | None]) -> None:
        """A new refund's processor was not guessed."""
        record = self._stripe.records.get(new.payment_record or "")
        payment = known.get(payment_key_of(new))
        is_linked = payment is not None and payment.payment_record == new.payment_record
        a_door_is_never_guessed(new, record, is_linked=is_linked)

    def took(self, before: Refund | None, after: Refund) -> None:
        """Check a refund that was taken for settling or reporting."""
        self._refund_written(before, after)

    def _refund_written(self, old: Refund | None, new: Refund) -> None:
        self._only_legal_steps(old, new)
        self._only_its_call_writes_the_outcome(old, new)
        if old is not None:
            facts_never_change(old, new)
        customers_are_kept_while_they_may_be_needed(new)
        success_owes_its_report_in_one_write(old, new)
        self._bound_to_exactly_one(new)
        if new.state in FREED and not self._money.is_mistaken(new):
            moved = [one for one in self._money.moved_by(new.id) if not moves_less(one)]
            if self._skewed and new.history[-1].actor.startswith("operator:"):
                # Times are so wrong that ours seems older than its instruction, and is imported.
                moved = []
            no_processor_refund_behind_a_failure(new, moved)
        report_follows_success(new)
        what_is_open_is_due(new)
        reported_is_at_stripe(new, self._stripe)

    def _only_legal_steps(self, old: Refund | None, new: Refund) -> None:
        """Invariant 11: steps of the table only; the history is appended to."""
        known = () if old is None else old.history
        require(new.history[: len(known)] == known, "history_is_append_only", new)
        state: str | None = None if old is None else old.state
        report = f"report:{old.report.state if old is not None else ReportState.NOT_DUE}"
        for entry in new.history[len(known) :]:
            step = (entry.before, entry.after)
            if entry.before == entry.after and step not in _LEGAL:
                continue  # a note
            if entry.after.startswith("report:"):
                require(entry.before == report, "only_legal_transitions", step)
                report = entry.after
            else:
                require(entry.before == state, "only_legal_transitions", step)
                state = entry.after
            require(step in _LEGAL, "only_legal_transitions", step)
            self.steps[step] += 1
        same = state == new.state and report == f"report:{new.report.state}"
        require(same, "history_tells_every_transition", (state, report, new))

    def _only_its_call_writes_the_outcome(self, old: Refund | None, new: Refund) -> None:
        """*Who may write*: during an attempt's lease only its own call writes its outcome."""
        actor = self._scheduler.current
        if new.state is State.SUBMITTING and (old is None or old.attempt != new.attempt):
            self._sender[new.id] = actor
        elif old is not None and old.state is State.SUBMITTING and new.state is not old.state:
            now_ms = SkewedClock.EPOCH_MS + self._scheduler.now_ms
            is_over = now_ms + SKEW_MAX_MS >= (old.lease_until_ms or 0)
            alone = is_over or self._sender.get(new.id) is actor
            require(alone, "only_its_call_writes_the_outcome", (actor, old, new))

    def _bound_to_exactly_one(self, refund: Refund) -> None:
        """Invariants 4 and 5: a success moved once, with its own amount, on its own payment."""
        processor_refund_id = refund.processor_refund_id
        if processor_refund_id is None and refund.state is State.FAILED:
            # A person has found that it was bound to a processor refund of another amount.
            self._owner = {one: by for one, by in self._owner.items() if by != refund.id}
        if processor_refund_id is None:
            bound = refund.state not in (State.SUCCEEDED, State.PENDING)
            require(bound, "succeeded_is_bound", refund)
            return
        actual = self._money.books[refund.processor].named(processor_refund_id)
        require(actual is not None, "bound_to_a_movement_that_exists", refund)
        assert actual is not None
        owner = self._owner.setdefault(actual.processor_refund.id, refund.id)
        # If lists show other ids than answers, one refund looks like two: see ``ids_do_not_fit``.
        alone = owner == refund.id or self._money.others.lists_other_ids
        require(alone, "no_two_refunds_share_a_movement", (processor_refund_id, owner, refund))
        # A processor refund that moves less may be bound while it is pending, but never succeed.
        followed = moves_less(actual) and refund.state is not State.SUCCEEDED
        as_asked = followed or is_as_asked(actual.processor_refund, refund)
        require(as_asked, "movement_is_as_asked", (actual, refund))
        if refund.state is State.SUCCEEDED:
            really = actual.processor_refund.id in self._money.ever_succeeded
            require(really, "succeeded_only_when_money_moved", (actual, refund))

    def _payment_adds_up(self, key: PaymentKey) -> None:
        payment = self._memory.payments.get(key)
        require(payment is not None, "refund_has_its_payment", key)
        assert payment is not None
        refunds = [self._memory.refunds[one] for one in self._of_payment[key]]
        payment_counts_its_refunds(payment, refunds)
