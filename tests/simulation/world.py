"""One world from beginning to end: first with faults, then without, then all is checked."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from unittest.mock import patch

from refund_bridge.domain import forgotten
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import FINAL, FREED, ReportState, State
from refund_bridge.observing.sweep_payments import PAGE_TRIES
from refund_bridge.ports.processor import News
from tests.fakes.processor_books import FakeRefund
from tests.simulation.book_watch import BookWatch
from tests.simulation.closing import Operator
from tests.simulation.colleague import Colleague
from tests.simulation.faults import Fault
from tests.simulation.liveness import Ending, awaits_a_person, is_behind_a_review, waits_for_another
from tests.simulation.options import Options, Wish
from tests.simulation.others import DAY_MS, HOUR_MS, MINUTE_MS, Theme
from tests.simulation.people import Caller, observe, read_now, report, settle_due, sweep, work
from tests.simulation.processor import SimulatedProcessor
from tests.simulation.report_queue import Message
from tests.simulation.schedule import SkewedClock
from tests.simulation.stage import Stage
from tests.simulation.true_books import TrueBooks
from tests.simulation.violation import InvariantViolation, require

# Long enough for the longest late-arrival window, for the last check, and until pending refunds are
# given up.
PEACE_MS: Final = 40 * DAY_MS
# How often a person starts again: closing one thing may open another.
ROUNDS_MAX: Final = 4


@dataclass(slots=True)
class Result:
    """The result of one world.

    Attributes:
        processors: the processors that were set up.
        failure: the violated invariant, in words; ``None`` if none was violated.
        unlinked: how many of the refunds had no payment.
        repeated: how many instructions were sent again.
        themes: its themes.
        commands: what a person did in it, and how often.
    """

    seed: int
    processors: tuple[str, ...] = ()
    failure: str | None = None
    kind: str | None = None
    calls: int = 0
    faults: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    steps: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    themes: frozenset[Theme] = frozenset()
    commands: Counter[str] = field(default_factory=Counter)
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
        self.colleague = Colleague(self.stage)
        self.books = TrueBooks(self.stage, self.colleague)
        self.watch = BookWatch(self.stage, self.books)
        self.stage.stripe.on_telling = self.watch.check_telling
        self.operator = Operator(self.stage, self.books, self.watch)
        self.stage.queue.deliver = self._deliver
        for processor in self.stage.processors.values():
            processor.on_news = self._news
        self.stage.ledger.on_due = self._due
        self._tick_ms: int | None = None
        self._calm_ms = options.calm_ms
        self._moved: object = None
        self._rest_ms = 0

    def run(self) -> Result:
        """Live this world; whatever goes wrong in it is in the result."""
        result = Result(self.options.seed, self.options.processors)
        stage = self.stage
        # How long a guess takes is not simulated.
        cheap = patch.object(forgotten, "COST", 2)
        try:
            cheap.start()
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
        finally:
            cheap.stop()
        result.calls = stage.dice.calls
        result.faults = stage.dice.met
        result.steps = stage.writes.steps
        result.themes = self.options.others.themes
        result.commands = self.operator.did
        return result

    def _live(self) -> None:
        stage, options = self.stage, self.options
        for wish in options.wishes:
            stage.scheduler.at(wish.start_ms, Caller(stage, wish).ask)
        for wish in options.wishes * options.readers:
            when_ms = wish.start_ms + stage.random.randrange(2 * options.trouble_ms)
            task = partial(read_now, stage, wish.key)
            stage.scheduler.at(when_ms, partial(work, stage, "reader", "call", task))
        if options.forgets_keys:
            for _ in range(3):
                when_ms = stage.random.randrange(2 * options.trouble_ms)
                stage.scheduler.at(when_ms, stage.stripe.inner.forget_keys)
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
        stage.scheduler.at(options.calm_ms, self._sweep)
        stage.scheduler.run(options.calm_ms)
        self._until_quiet(options.calm_ms + PEACE_MS)

    def _peace(self) -> None:
        self.stage.dice.is_on = False

    def _until_quiet(self, horizon_ms: int) -> None:
        """Let time pass until only reviews are open, or until the given time."""
        stage = self.stage
        while (next_ms := stage.scheduler.next_ms) is not None and next_ms <= horizon_ms:
            stage.scheduler.run(next_ms)
            if next_ms >= self._calm_ms and self._is_quiet():
                return

    def _is_quiet(self) -> bool:
        """Whether nothing happens any more by itself, and all that happened has been checked."""
        stage = self.stage
        if stage.scheduler.alive or stage.queue.waiting or self.colleague.plans:
            return False
        if any(one.inner.late_instructions or one.plans for one in stage.processors.values()):
            return False
        processor_refunds = list(stage.money.processor_refunds())
        if any(one.last is not None for one in processor_refunds):
            return False
        moved = (
            sum(one.changes for one in processor_refunds),
            len(stage.stripe.inner.books.reports),
        )
        if moved != self._moved:
            self._moved, self._rest_ms = moved, stage.scheduler.now_ms
        return all(map(self._rests, stage.memory.refunds.values()))

    def _rests(self, refund: Refund) -> bool:
        """Whether nothing of the refund is due by itself, except routine checks."""
        if refund.next_check_ms is None or awaits_a_person(refund):
            return True
        has_ended = refund.state in FINAL | FREED
        if has_ended and refund.report.state is not ReportState.DUE:
            in_ms = refund.next_check_ms - self.stage.true_clock.now_ms()
            looked = self.stage.ledger.looked_ms.get(refund.id, -1) >= self._rest_ms
            return looked and in_ms > 2 * HOUR_MS
        memory = self.stage.memory
        return is_behind_a_review(refund, memory) or waits_for_another(refund, memory)

    def _clear_up(self, ending: Ending) -> None:
        """Require that the books agree or an alarm is open; then a person does what alarms say."""
        stage, operator = self.stage, self.operator
        if ending.reviews:
            # Nobody decides before the last late-arrival window is over.
            stage.scheduler.run(stage.scheduler.now_ms + self.options.hold_ms)
        self._days()
        self.watch.check_alarmed()
        self.watch.check_failures()
        for number in range(self.options.payments):
            stage.link(number)
        # From now on no command fails.
        stage.dice.stop()
        self._close_all()
        if self._ask_once_more(ending) or operator.waiting():
            # Also refunds that were asked for again meanwhile.
            self._close_all()
        ending.check_processor_refunds()
        require(not operator.waiting(), "every_refund_is_closed", operator.waiting())
        ending.check_accepted()
        self.watch.check_nothing_old_is_told()
        self.watch.check_refundable()
        self.watch.check_closed()

    def _close_all(self) -> None:
        """A person does what the alarms say, until there is nothing left to do."""
        for _ in range(ROUNDS_MAX):
            self._days()
            if not self.operator.act():
                break
            if any(one.state is State.REVIEW for one in self.stage.memory.refunds.values()):
                # An instruction may still arrive: the person tries again when none can any more.
                self.stage.scheduler.run(self.stage.scheduler.now_ms + self.options.hold_ms)
            self._look_ahead()
        self._until_quiet(self.stage.scheduler.now_ms + PEACE_MS)

    def _ask_once_more(self, ending: Ending) -> bool:
        """After wrong metadata were corrected, the next refund must find the right payment."""
        if self.options.others.wrong_link_ms is None or len(self.options.named(0)) > 1:
            return False
        wish = Wish(
            key="key-mended",
            payment=0,
            amount=100,
            refund_type=RefundType.INSTANT,
            start_ms=0,
            tries=1,
        )
        Caller(self.stage, wish).ask()
        self._until_quiet(self.stage.scheduler.now_ms + PEACE_MS)
        ending.check_mended(wish.key)
        return True

    def _days(self) -> None:
        """Run the daily sweep twice, after it has passed the page that can never be read.

        And again, if somebody made another refund during a sweep.
        """
        made = -1
        while made != (now := sum(1 for _ in self.stage.money.processor_refunds())):
            made = now
            for _ in range(2 + self.options.others.bad_page * PAGE_TRIES):
                self._sweep()
                self._until_quiet(self.stage.scheduler.now_ms + PEACE_MS)

    # --- settling, every minute ------------------------------------------------------------------

    def _due(self, refund: Refund) -> None:
        """Settling runs every minute; only runs that can find something to do are simulated."""
        due_ms = self._due_ms(refund)
        if due_ms is not None:
            soonest_ms = max(due_ms, self.stage.scheduler.now_ms)
            self._tick_at((soonest_ms // MINUTE_MS + 1) * MINUTE_MS)

    def _due_ms(self, refund: Refund) -> int | None:
        """From when on settling finds something to do for the refund; ``None``: never for now."""
        at_ms, stage = refund.next_check_ms, self.stage
        is_calm = stage.scheduler.now_ms > self._calm_ms
        if at_ms is None or (is_calm and is_behind_a_review(refund, stage.memory)):
            return None
        return at_ms - SkewedClock.EPOCH_MS - self.options.skew_ms

    def _tick_at(self, when_ms: int) -> None:
        if self._tick_ms is None or when_ms < self._tick_ms:
            self._tick_ms = when_ms
            self.stage.scheduler.at(when_ms, partial(self._tick, when_ms))

    def _tick(self, when_ms: int) -> None:
        if self._tick_ms != when_ms:
            return
        self._tick_ms = None
        stage = self.stage
        due_ms = [self._due_ms(refund) for refund in stage.memory.refunds.values()]
        if not any(one is not None and one <= when_ms for one in due_ms):
            # The next check of a refund that settling took was put off meanwhile.
            self._look_ahead()
            return
        runs = 2 if self.options.double_runs and stage.random.random() < 0.5 else 1
        for number in range(runs):
            work(stage, f"settle-{number}", "settle", partial(settle_due, stage))
        self._look_ahead()

    def _look_ahead(self) -> None:
        for refund in self.stage.memory.refunds.values():
            self._due(refund)

    def _sweep(self) -> None:
        work(self.stage, "sweep", "observe", partial(sweep, self.stage))

    # --- what others do --------------------------------------------------------------------------

    def _deliver(self, message: Message) -> None:
        stage = self.stage
        work(stage, f"report-{message.refund_id[4:8]}", "report", partial(report, stage, message))

    def _news(self, processor: SimulatedProcessor, made: FakeRefund) -> None:
        """A new processor refund: plan the processor's webhooks, and reports by others."""
        if processor.capabilities.learns_by is News.WEBHOOK:
            self._webhooks(processor, made)
        self.colleague.saw(made)

    def _webhooks(self, processor: SimulatedProcessor, made: FakeRefund) -> None:
        """Send webhooks for its beginning, and for each of its changes."""
        stage, random = self.stage, self.stage.random
        expected, key = (
            self.options.webhook_rate,
            PaymentKey(processor.name, made.processor_refund.payment_id),
        )
        for at_ms in (stage.scheduler.now_ms, *made.changes_ms):
            for _ in range(int(expected) + (random.random() < expected % 1)):
                wait_ms = random.choice((0, random.randrange(500), 10_000, MINUTE_MS, 4 * HOUR_MS))
                task = partial(observe, stage, key)
                stage.scheduler.at(
                    at_ms + wait_ms, partial(work, stage, "webhook", "observe", task)
                )
