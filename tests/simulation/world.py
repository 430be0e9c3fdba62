"""The life of one world: trouble, then peace, then a look at what has become of everything."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from refunds.payment import PaymentKey
from refunds.ports import MovementStatus, News
from refunds.refund import ReportParameters
from refunds.state_machine import ReportState
from tests.fakes.processor_books import FakeRefund
from tests.simulation.faults import Fault
from tests.simulation.liveness import Ending, awaits_a_person, is_behind_a_review, settle_by_hand
from tests.simulation.options import HOUR_MS, MINUTE_MS, Foreign, Options
from tests.simulation.people import Caller, observe, read_now, report, settle_due, sweep, work
from tests.simulation.processor import SimulatedProcessor
from tests.simulation.report_queue import Message
from tests.simulation.stage import Stage
from tests.simulation.violation import InvariantViolation

# Long enough after the trouble for the longest hold, its backoff, and a sweep of what is left.
PEACE_MS: Final = 60 * HOUR_MS


@dataclass(slots=True)
class Result:
    """What one world came to.

    Attributes:
        processors: which were set up.
        failure: what was violated, in words; ``None`` if nothing was.
        unlinked: how many of the refunds had no payment.
        repeated: how many orders were handed over again.
    """

    seed: int
    processors: tuple[str, ...] = ()
    failure: str | None = None
    kind: str | None = None
    calls: int = 0
    faults: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    steps: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    refunds: int = 0
    unlinked: int = 0
    repeated: int = 0
    reviews: int = 0
    unexplained_reviews: int = 0
    trace: str = ""


class World:
    """Runs one world to its end."""

    def __init__(self, options: Options, *, script: dict[int, Fault] | None = None) -> None:
        self.options = options
        self.stage = Stage(options, script=script)
        self.stage.queue.deliver = self._deliver
        for processor in self.stage.processors.values():
            processor.on_news = self._news
        self._tick_ms: int | None = None

    def run(self) -> Result:
        """Live this world; whatever goes wrong in it is in the result."""
        result = Result(self.options.seed, self.options.processors)
        stage = self.stage
        try:
            self._live()
            ending = Ending(stage)
            ending.check()
            result.refunds, result.reviews = len(stage.memory.refunds), len(ending.reviews)
            result.unlinked = sum(
                refund.request.is_unlinked for refund in stage.memory.refunds.values()
            )
            result.repeated = stage.money.repeated.total()
            result.unexplained_reviews = len(ending.unexplained)
            self._clear_up(ending)
        except (Exception, InvariantViolation) as error:  # noqa: BLE001 - all are findings
            result.failure = f"{type(error).__name__}: {error}"
            result.kind = getattr(error, "name", type(error).__name__)
            result.trace = str(stage.trace)
        result.calls = stage.dice.calls
        result.faults = stage.dice.met
        result.steps = stage.writes.steps
        return result

    def _live(self) -> None:
        stage, options = self.stage, self.options
        for wish in options.wishes:
            stage.scheduler.at(wish.start_ms, Caller(stage, wish).ask)
        for wish in options.wishes * options.readers:
            when_ms = wish.start_ms + stage.random.randrange(2 * options.trouble_ms)
            task = partial(read_now, stage, wish.key)
            stage.scheduler.at(when_ms, partial(work, stage, "reader", "call", task))
        for foreign in options.foreign:
            stage.scheduler.at(foreign.at_ms, partial(self._dashboard, foreign))
        if options.forgets_keys:
            for _ in range(3):
                when_ms = stage.random.randrange(2 * options.trouble_ms)
                stage.scheduler.at(when_ms, stage.book.inner.forget_keys)
        if options.redrives:
            for when_ms in (options.trouble_ms // 2, options.trouble_ms + HOUR_MS):
                stage.scheduler.at(when_ms, stage.queue.redrive)
        for number, when in enumerate(options.links_ms):
            if when is not None:
                stage.scheduler.at(when, partial(stage.link, number))
        for _ in range(options.sweeps):
            when_ms = stage.random.randrange(2 * options.trouble_ms)
            stage.scheduler.at(when_ms, self._sweep)
        stage.scheduler.at(options.trouble_ms, self._peace)
        self._tick_at(MINUTE_MS)
        stage.scheduler.at(options.calm_ms, self._sweep)
        stage.scheduler.run(options.calm_ms)
        self._until_quiet(options.calm_ms + PEACE_MS)

    def _peace(self) -> None:
        self.stage.dice.is_on = False

    def _until_quiet(self, horizon_ms: int) -> None:
        """Let time pass until nothing is open any more but reviews, or patience ends."""
        stage = self.stage
        while (next_ms := stage.scheduler.next_ms) is not None and next_ms <= horizon_ms:
            stage.scheduler.run(next_ms)
            if next_ms >= self.options.calm_ms and self._is_quiet():
                return

    def _is_quiet(self) -> bool:
        stage = self.stage
        if stage.scheduler.alive or stage.queue.waiting:
            return False
        if any(processor.inner.late_orders for processor in stage.processors.values()):
            return False
        if any(one.last is not None for one in stage.money.movements()):
            return False
        return all(
            refund.next_check_ms is None
            or awaits_a_person(refund)
            or is_behind_a_review(refund, stage.memory)
            for refund in stage.memory.refunds.values()
        )

    def _clear_up(self, ending: Ending) -> None:
        """A person decides reviews by what really happened; a sweep; failed reports again."""
        stage = self.stage
        if ending.reviews:
            # Nobody decides before the last order must have arrived.
            stage.scheduler.run(stage.scheduler.now_ms + self.options.hold_ms)
        settle_by_hand(stage, list(filter(awaits_a_person, stage.memory.refunds.values())))
        for number in range(self.options.payments):
            stage.link(number)
        for _ in range(2):
            self._sweep()
            self._until_quiet(stage.scheduler.now_ms + PEACE_MS)
        for refund in stage.memory.refunds.values():
            if refund.report.state is ReportState.FAILED:
                stage.queue.send_by_hand(refund.id)
        self._until_quiet(stage.scheduler.now_ms + PEACE_MS)
        ending.check_movements()
        ending.check_redriven()
        ending.check_linked()

    # --- settling, every minute ------------------------------------------------------------------

    def _tick_at(self, when_ms: int) -> None:
        if self._tick_ms is None or when_ms < self._tick_ms:
            self._tick_ms = when_ms
            self.stage.scheduler.at(when_ms, partial(self._tick, when_ms))

    def _tick(self, when_ms: int) -> None:
        """A minute has begun; minutes at which nothing can be due are skipped."""
        if self._tick_ms != when_ms:
            return
        self._tick_ms = None
        stage = self.stage
        times = [refund.next_check_ms for refund in stage.memory.refunds.values()]
        next_ms = min((time for time in times if time is not None), default=None)
        now_ms = stage.true_clock.now_ms()
        if next_ms is not None and next_ms <= now_ms + self.options.skew_ms:
            runs = 2 if self.options.double_runs and stage.random.random() < 0.5 else 1
            for number in range(runs):
                work(stage, f"settle-{number}", "settle", partial(settle_due, stage))
        wait_ms = MINUTE_MS
        if stage.scheduler.now_ms > self.options.trouble_ms and not stage.scheduler.alive:
            until_ms = HOUR_MS if next_ms is None else max(0, next_ms - now_ms)
            wait_ms = max(MINUTE_MS, min(HOUR_MS, until_ms // MINUTE_MS * MINUTE_MS))
        self._tick_at(stage.scheduler.now_ms + wait_ms)

    def _sweep(self) -> None:
        work(self.stage, "sweep", "observe", partial(sweep, self.stage))

    # --- what others do --------------------------------------------------------------------------

    def _deliver(self, message: Message) -> None:
        stage = self.stage
        work(stage, f"report-{message.refund_id[4:8]}", "report", partial(report, stage, message))

    def _news(self, processor: SimulatedProcessor, made: FakeRefund) -> None:
        """A movement has begun: what the processor tells us of it, and others tell Stripe."""
        stage, random = self.stage, self.stage.random
        if processor.capabilities.learns_by is News.WEBHOOK:
            self._webhooks(processor, made)
        others = self.options.reports_of_others and made.movement.payment_id
        if others and random.random() < 0.5:
            wait_ms = random.choice((0, 5_000, HOUR_MS))
            stage.scheduler.after(wait_ms, partial(self._report_elsewhere, made))

    def _webhooks(self, processor: SimulatedProcessor, made: FakeRefund) -> None:
        """Webhooks come for its begin, and for its end if that is another."""
        stage, random = self.stage, self.stage.random
        expected, key = (
            self.options.webhook_rate,
            PaymentKey(processor.name, made.movement.payment_id),
        )
        for at_ms in (stage.scheduler.now_ms, *([made.last_ms] if made.last is not None else [])):
            for _ in range(int(expected) + (random.random() < expected % 1)):
                wait_ms = random.choice((0, random.randrange(500), 10_000, MINUTE_MS, 4 * HOUR_MS))
                task = partial(observe, stage, key)
                stage.scheduler.at(
                    at_ms + wait_ms, partial(work, stage, "webhook", "observe", task)
                )

    def _dashboard(self, foreign: Foreign) -> None:
        stage = self.stage
        charge_id, processor = f"charge-{foreign.payment}", stage.home(foreign.payment)
        made = processor.refund_in_dashboard(charge_id, foreign.amount, fails=foreign.fails)
        stage.gate.note("dashboard refund", "" if made else "not possible", made or foreign)
        if made is not None and foreign.reported:
            stage.scheduler.after(MINUTE_MS, partial(self._report_elsewhere, made))

    def _report_elsewhere(self, made: FakeRefund) -> None:
        """Somebody else tells Stripe of a movement that succeeded, by its own reference."""
        stage, movement = self.stage, made.movement
        if movement.status is not MovementStatus.SUCCEEDED:
            return
        now_s = stage.true_clock.now_ms() // 1000
        outcome = stage.book.inner.report_elsewhere(
            ReportParameters(
                payment_record="pr_" + movement.payment_id.removeprefix("charge-"),
                amount=movement.money.amount,
                currency=movement.money.currency,
                refund_reference=movement.id,
                initiated_at_s=now_s,
                refunded_at_s=now_s,
            )
        )
        stage.gate.note("reported elsewhere", type(outcome).__name__, movement.id)
