"""Invariants of reports to Stripe: only successes, each once, with the right amount and seconds."""

from collections import Counter
from typing import Final

from refund_bridge.domain.payment import PaymentKey, payment_key_of
from refund_bridge.domain.refund import STRIPE, Refund
from refund_bridge.domain.report import ReportParameters
from refund_bridge.domain.state_machine import State
from tests.fakes.ledger import MemoryLedger
from tests.fakes.stripe_records import StripeRecords
from tests.simulation.money_watch import MoneyWatch
from tests.simulation.options import GRACE_MS
from tests.simulation.schedule import SKEW_MAX_MS, Actor, Scheduler, SkewedClock
from tests.simulation.violation import require

# The tolerance for different clocks, for whole seconds, and for the end of a pending refund.
SECONDS_OFF_MAX: Final = 10


class ReportWatch:
    """Checks every report that is sent, and everything that Stripe books."""

    def __init__(
        self,
        stripe: StripeRecords,
        memory: MemoryLedger,
        money: MoneyWatch,
        scheduler: Scheduler,
        clock: SkewedClock,
        *,
        off_ms: int = 0,
    ) -> None:
        """``off_ms``: how wrong the processor's times are."""
        self._stripe = stripe
        self._memory = memory
        self._money = money
        self._scheduler = scheduler
        self._clock = clock
        self._off_s = off_ms // 1000
        self._seen = 0
        self._first: dict[str, ReportParameters] = {}
        self._in_flight: dict[PaymentKey, Actor] = {}
        self._sent: Counter[str] = Counter()
        self._kept: set[str] = set()

    def telling(self, parameters: ReportParameters, key: str) -> None:
        """A report is about to be sent."""
        refund_id, _, _ = key.rpartition(":")
        refund = self._memory.refunds.get(refund_id)
        require(refund is not None, "only_successes_are_reported", key)
        assert refund is not None
        require(refund.state is State.SUCCEEDED, "only_successes_are_reported", refund)
        require(refund.processor != STRIPE, "of_stripes_own_nothing_is_reported", refund)
        record = self._stripe.records.get(parameters.payment_record)
        own = record is not None and record.reported_by == "stripe"
        require(not own, "on_a_record_of_stripes_own_nothing_is_reported", refund)
        self._same_every_time(refund, parameters)
        self._sent[refund.id] += 1
        counted = refund.report.attempts >= self._sent[refund.id]
        require(counted, "a_report_is_counted_before_it_is_sent", (refund, self._sent))
        self._others_had_time(refund, parameters)
        self._one_worker_at_a_time(refund)

    def told(self, key: str) -> None:
        """The answer to a report has come."""
        refund = self._memory.refunds[key.rpartition(":")[0]]
        self._in_flight.pop(payment_key_of(refund), None)

    def told_in_vain(self, key: str) -> None:
        """Stripe repeated a failure that it stored under the key, though there is no fault now."""
        require(key not in self._kept, "a_key_that_keeps_a_failure_is_given_up", key)
        self._kept.add(key)

    def look(self) -> None:
        """Check what Stripe has booked since the last call."""
        for item in self._stripe.reports[self._seen :]:
            if item.idempotency_key is not None:
                self._booked_rightly(item.parameters)
            reference = item.parameters.refund_reference
            times = [one.parameters.refund_reference for one in self._stripe.reports]
            require(times.count(reference) == 1, "reported_once_per_reference", item)
        self._seen = len(self._stripe.reports)

    def _booked_rightly(self, parameters: ReportParameters) -> None:
        """Invariant 7, over the true processor refund."""
        reference = parameters.refund_reference
        processor_refund = self._money.processor_refund(reference)
        moved = (
            processor_refund is not None
            and processor_refund.processor_refund.id in self._money.ever_succeeded
        )
        require(moved, "only_successes_are_reported", parameters)
        assert processor_refund is not None
        right = processor_refund.processor_refund.money.amount == parameters.amount
        require(right, "the_right_amount_is_reported", (processor_refund, parameters))
        now_s = self._clock.now_ms() // 1000
        executed_s = (SkewedClock.EPOCH_MS + processor_refund.executed_ms) // 1000
        off_s = SECONDS_OFF_MAX + self._off_s
        seconds = (
            executed_s - off_s <= parameters.refunded_at_s <= now_s + off_s
            and parameters.initiated_at_s <= parameters.refunded_at_s
        )
        require(seconds, "the_right_seconds_are_reported", (processor_refund, parameters, now_s))

    def _same_every_time(self, refund: Refund, parameters: ReportParameters) -> None:
        first = self._first.setdefault(refund.id, parameters)
        require(first == parameters, "report_parameters_are_frozen", (first, parameters))
        stored = refund.report.parameters
        require(stored == parameters, "report_parameters_are_frozen", (stored, parameters))

    def _others_had_time(self, refund: Refund, parameters: ReportParameters) -> None:
        """Others get some time to report an external refund of theirs before we do."""
        made = self._money.processor_refund(parameters.refund_reference)
        if made is None or made.instruction_id is not None or refund.report.forced:
            return
        waited_ms = self._scheduler.now_ms - made.executed_ms
        enough = waited_ms + SKEW_MAX_MS >= GRACE_MS
        require(enough, "others_have_time_to_report", (waited_ms, made, refund))

    def _one_worker_at_a_time(self, refund: Refund) -> None:
        """Two workers may report one payment at a time only if one was paused beyond its lease."""
        actor, now_ms = self._scheduler.current, self._clock.now_ms()
        key = payment_key_of(refund)
        until_ms = actor.leases.get(key)
        require(until_ms is not None, "one_worker_reports_a_payment", (actor, refund))
        assert until_ms is not None
        other = self._in_flight.get(key, actor)
        live = now_ms + SKEW_MAX_MS < min(until_ms, other.leases[key])
        require(other is actor or not live, "one_worker_reports_a_payment", (other, actor, refund))
        self._in_flight[key] = actor
