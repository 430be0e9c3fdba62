"""A day at a shop, made by the production use cases in a world in memory, for the console to show.

It is the same every time: its hours, amounts and problems are fixed, not random.
"""

from collections.abc import Sequence

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.reading.listing import ListRefunds
from refund_bridge.reporting.report import ReportDeferredError, ReportFailedError
from refundctl.console.sources import Sources
from refundctl.depths import Depths
from tests.fakes.processor import AnyInstruction
from tests.fakes.processor_fates import Answered, Conduct, Executed, Fate, NotSent, RequestLost
from tests.fakes.stripe_fates import ReportLost
from tests.fakes.world import STAGE, World

# 2026-03-13T03:07:31Z; the console is opened a little more than a day later.
BEGINS_MS = 1_773_371_251_000
SECOND_MS = 1000
MINUTE_MS = 60_000
REFUNDS = 168
# The number of refunds made in each hour of UTC, for a shop in Singapore.
_BUSY = (9, 12, 11, 10, 13, 10, 9, 8, 10, 12, 11, 8, 9, 7, 5, 4, 2, 2, 1, 1, 2, 3, 4, 5)
_CURRENCIES = ("sgd", "sgd", "myr", "sgd", "php", "sgd", "jpy", "sgd")
# Stripe is unavailable from the 97th refund to the 108th, and available again after 20 minutes.
_STRIPE_AWAY = range(97, 109)
DEPTHS = (Depths("reports", 3, 1, 2), Depths("requests", 0, 0, 0), Depths("events", None, None, 0))


class ShopDay:
    """The world after that day.

    Attributes:
        hostile: text that a malicious caller wrote.
    """

    hostile = '"><img src=x onerror="document.title=\'owned\'"><script>alert(1)</script>\u202edlog'

    def __init__(self) -> None:
        self.world = World()
        self.world.clock.advance(BEGINS_MS - self.world.clock.now_ms())
        self.world.processor.decide = self._decide
        self._number = 0
        self._to_report: list[tuple[int, str]] = []
        for number in range(REFUNDS):
            self._number = number
            self._refund(number)
            self._let_pass(self._pause_ms(number))
        self._let_pass(2 * MINUTE_MS)
        self._troubles()

    def sources(self, depths: Sequence[Depths] = DEPTHS) -> Sources:
        """The console's sources, on this world."""
        world = self.world
        lists = ListRefunds(ledger=world.ledger, listing=world.listing, clock=world.clock)
        return Sources(
            stage=STAGE,
            deployment="production (refund-bridge-production)",
            line="refundctl {} --stage production".format,
            ledger=world.ledger,
            listing=world.listing,
            list_refunds=lists,
            newest_of=lists.newest_of,
            depths=lambda: depths,
            processors=("hitpay",),
            clock=world.clock,
        )

    # --- the day --------------------------------------------------------------------------------

    def _refund(self, number: int) -> None:
        currency = _CURRENCIES[number % len(_CURRENCIES)]
        amount = (1290 + number * 7919 % 18_000) // 10 * 10
        record = self.world.pay(f"{number:03d}", amount, currency)
        asked = amount if number % 3 else amount // 20 * 10
        answer = self.world.refund(
            f"order-{number}",
            record=record,
            amount=asked,
            reason="requested_by_customer",
            metadata={"order": str(4000 + number)},
        )
        self._to_report.append((self.world.clock.now_ms() + 1200, answer.refund.id))

    def _decide(self, instruction: AnyInstruction) -> Fate:
        number = self._number
        self.world.clock.advance(700 + number * number * 37 % 1900 + (number % 29 == 0) * 9000)
        if number % 23 == 5:
            return Answered(422, "The payment method does not allow refunds.")
        if number % 41 == 17:
            return NotSent()
        return Executed()

    def _pause_ms(self, number: int) -> int:
        hour = self.world.clock.now_ms() // 3_600_000 % 24
        return 3_600_000 // _BUSY[hour] - 4000 + number * 131 % 900

    def _let_pass(self, milliseconds: int) -> None:
        """Let time pass, and make the reports that are due meanwhile."""
        clock = self.world.clock
        ends_ms = clock.now_ms() + milliseconds
        while self._to_report and self._to_report[0][0] <= ends_ms:
            at_ms, refund_id = self._to_report.pop(0)
            clock.advance(max(0, at_ms - clock.now_ms()))
            if self._number in _STRIPE_AWAY:
                self._to_report.append((at_ms + 20 * MINUTE_MS, refund_id))
            else:
                self.world.report(refund_id)
        clock.advance(max(0, ends_ms - clock.now_ms()))

    # --- what is not over when somebody looks ---------------------------------------------------

    def _troubles(self) -> None:
        world = self.world
        self._give_up("given-up")
        self._in_review("two-alike")
        self._unknown("no-answer")
        self._pending("paynow")
        self._number = 1
        record = world.pay("hostile", 8800)
        told = world.refund(
            "hostile", record=record, amount=4400, reason=self.hostile,
            metadata={self.hostile[:40]: self.hostile},
        )  # fmt: skip
        world.clock.advance(900)
        world.report(told.refund.id)
        due = world.pay("due", 5600)
        world.refund("due", record=due, amount=5600)
        world.clock.advance(41 * SECOND_MS)

    def _give_up(self, name: str) -> None:
        told = self.world.refund(name, record=self.world.pay(name, 9990), amount=9990)
        for last in (False, True):
            self.world.stripe.fates.append(ReportLost())
            self.world.clock.advance(MINUTE_MS)
            try:
                self.world.report(told.refund.id, receive=2, last=last)
            except (ReportDeferredError, ReportFailedError):
                continue

    def _in_review(self, name: str) -> None:
        self.lose(name, 12_000)
        for _ in range(2):
            self.world.processor.refund_in_dashboard(f"charge-{name}", 3000)
        self.world.settle_for(2 * MINUTE_MS)

    def _unknown(self, name: str) -> None:
        self.lose(name, 24_900)
        self.world.settle_for(17 * MINUTE_MS)

    def lose(self, name: str, amount: int) -> None:
        """A refund that gets no answer."""
        record = self.world.pay(name, amount)
        self.world.processor.fates.append(RequestLost())
        self.world.refund(name, record=record, amount=amount // 4)

    def _pending(self, name: str) -> None:
        self.world.processor.books.conduct = Conduct(first=ProcessorRefundStatus.PENDING)
        self.world.refund(name, record=self.world.pay(name, 7700), amount=7700)
        self.world.processor.books.conduct = Conduct()
