"""Invariant 18, over the models' own books: Stripe shows exactly what really moved.

Nothing here uses what the ledger believes. Three exceptions: others' refunds from before this
service was there may stay unreported; a refund that a processor never shows us cannot be reported;
and Stripe's record takes no more than was captured, whatever a processor refunded.

Stripe shows one sum, and no references. If somebody books a refund that we have reported or are
reporting, other refunds may add up to the same sum; then nobody can know better.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.refund import STRIPE, refund_id_of
from tests.fakes.abilities import ABILITIES
from tests.fakes.processor_books import FakeRefund
from tests.simulation.colleague import Colleague
from tests.simulation.liveness import is_ever_seen
from tests.simulation.money_watch import moves_less, owner_of
from tests.simulation.options import LONE_RECORD
from tests.simulation.others import DAY_MS, MINUTE_MS
from tests.simulation.stage import STAGE, Stage

Made = tuple[str, FakeRefund]


@dataclass(frozen=True, slots=True)
class Page:
    """A Payment Record, and what it should show; amounts in minor units.

    Attributes:
        moved: the sum of refunds that were not taken back, at most what the record can take.
        shown: what Stripe shows as refunded.
        may_show: the sums that Stripe may show.
        room: how much more Stripe's record can take.
        untold: refunds that moved and that nobody reported, each with its processor.
        taken_back: refunds that were reported and taken back.
    """

    record: str
    charge_ids: frozenset[str]
    moved: int
    shown: int
    may_show: frozenset[int]
    room: int
    untold: tuple[Made, ...]
    taken_back: tuple[Made, ...]


class TrueBooks:
    """The processors' books and Stripe's, side by side.

    Attributes:
        colleague: the person who refunds and reports by hand.
    """

    def __init__(self, stage: Stage, colleague: Colleague) -> None:
        self._stage = stage
        self.colleague = colleague
        self._told_by = {
            refund_id_of(wish.key, STAGE): wish.unlinked.report_to
            for wish in stage.options.wishes
            if wish.unlinked is not None
        }

    def pages(self) -> Iterator[Page]:
        """Every record."""
        for number in range(self._stage.options.payments):
            yield self._page(f"pr_{number}")
        yield self._page(LONE_RECORD)

    def differing(self) -> list[Page]:
        """The records that do not show what moved."""
        return [page for page in self.pages() if page.shown not in page.may_show]

    def _page(self, record: str) -> Page:
        stripe = self._stage.stripe.inner.books
        told = self.told(record)
        room = stripe.records[record].guaranteed
        mine = self.of(record)
        stayed = [
            one for one in mine if one[1].processor_refund.status is ProcessorRefundStatus.SUCCEEDED
        ]
        expected = [one for one in stayed if self._is_owed(one, told)]
        moved = sum_of(expected)
        # Stripe still shows reported refunds that were taken back: each has an alarm of its own.
        back = [one for one in mine if one not in stayed and one[1].processor_refund.id in told]
        others = [*stayed, *back] if self.is_told_twice(record) else []
        may_add = [one for one in stayed if one not in expected]
        shown, untold = (
            stripe.refunded(record),
            [one for one in expected if one[1].processor_refund.id not in told],
        )
        sums = {min(moved + more, room) for more in _sums(may_add)}
        if moved > room and all(sum_of([one]) > room - shown for one in untold):
            # More was refunded than paid, and none of the rest fits in the record.
            sums.add(shown)
        return Page(
            record=record,
            charge_ids=frozenset({"charge-" + record.removeprefix("pr_")}),
            moved=min(moved, room),
            shown=shown,
            room=room - shown,
            may_show=frozenset(sums | (_sums(others) if others else set())),
            untold=tuple(untold),
            taken_back=tuple(back),
        )

    def told(self, record: str) -> set[str]:
        """Ids of the processor refunds that anybody reported to Stripe, under any reference."""
        return {
            self._meant(item.parameters.refund_reference)
            for item in self._stage.stripe.inner.books.reports_of(record)
        }

    def is_told_twice(self, record: str) -> bool:
        """Whether somebody booked a refund that we had reported, or were reporting."""
        ours, tickets = self._stage.stripe.booked_ms, self.colleague.booked_ms
        for item in self._stage.stripe.inner.books.reports_of(record):
            if item.idempotency_key is None:
                continue
            made = self._stage.money.processor_refund(item.parameters.refund_reference)
            at_ms = ours.get(item.parameters.refund_reference, 0)
            if made is None or made.processor_refund.id not in tickets:
                continue
            if (
                made.instruction_id is not None
                or tickets[made.processor_refund.id] > at_ms - MINUTE_MS
            ):
                return True
        return False

    def of(self, record: str) -> list[Made]:
        """The processor refunds that belong on the record."""
        return [
            (name, made)
            for name, books in self._stage.money.books.items()
            if name != STRIPE  # nobody reports Stripe's own refunds
            for made in books.refunds.values()
            if self._record_of(made) == record
            and (
                made.processor_refund.id in self.colleague.booked_ms
                or self._is_booked_here(name, made)
            )
        ]

    def _record_of(self, made: FakeRefund) -> str | None:
        if not made.processor_refund.payment_id:
            return self._told_by.get(made.instruction_id or "")
        return "pr_" + made.processor_refund.payment_id.removeprefix("charge-")

    def _is_owed(self, one: Made, told: set[str]) -> bool:
        """Whether Stripe must show it; it need not show others' refunds that are old or unseen."""
        name, made = one
        if made.instruction_id is not None:
            form = self._stage.money.books[name].key_form
            is_strange = made.key not in (None, f"{form}{made.instruction_id}") and moves_less(made)
            return self._is_shown(name, made) and not is_strange
        if made.processor_refund.id in self.colleague.booked_ms:
            # Booked on another payment's record, it may be taken for an equal refund of that.
            return self._is_booked_here(name, made)
        owner = owner_of(self._stage.memory.processor_refunds, name, made)
        is_seen = is_ever_seen(ABILITIES[name]) or owner is not None
        # A refund that began long ago and ended in the world's first minute may count either way.
        is_old = made.executed_ms <= -DAY_MS and made.last_ms <= MINUTE_MS
        return is_seen and not is_old and not is_before_adoption(made)

    def _is_shown(self, name: str, made: FakeRefund) -> bool:
        """Whether it was shown as a success; a refund that had failed before is not looked for."""
        again = ProcessorRefundStatus.FAILED in made.been
        shown = made.processor_refund.id in self._stage.money.shown_as_succeeded
        is_missed = owner_of(self._stage.memory.processor_refunds, name, made) is None
        if self._stage.options.others.zone_ms and not is_ever_seen(ABILITIES[name]) and is_missed:
            # A late refund seems older than its instruction, and its payment is not read again.
            return False
        return shown or not again or is_ever_seen(ABILITIES[name])

    def _is_booked_here(self, name: str, made: FakeRefund) -> bool:
        """Whether the record books this payment: if it names two processors, it books one."""
        if not made.processor_refund.payment_id:
            return True
        number = int(made.processor_refund.payment_id.removeprefix("charge-"))
        if len(self._stage.options.named(number)) == 1:
            return True
        key = self._stage.memory.records.get(f"pr_{number}")
        return name == (self._stage.options.named(number)[0] if key is None else key.processor)

    def _meant(self, reference: str) -> str:
        made = self._stage.money.processor_refund(self.colleague.tickets.get(reference, reference))
        return reference if made is None else made.processor_refund.id


def is_before_adoption(made: FakeRefund) -> bool:
    """Whether it was made, and had ended, long before this service was there."""
    return made.executed_ms <= -DAY_MS and made.conduct.first is ProcessorRefundStatus.SUCCEEDED


def has_moved(made: FakeRefund) -> bool:
    return ProcessorRefundStatus.SUCCEEDED in made.been


def sum_of(made: Iterable[Made]) -> int:
    return sum(one.processor_refund.money.amount for _, one in made)


def _sums(made: Iterable[Made]) -> set[int]:
    """The sums of all subsets."""
    sums = {0}
    for _, one in made:
        sums |= {before + one.processor_refund.money.amount for before in sums}
    return sums
