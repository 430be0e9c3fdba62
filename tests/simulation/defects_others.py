"""Defects planted where others act and processors change their minds.

Each is what an earlier release did. If a second, later guard would hide the defect, the defect
removes that guard too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from refund_bridge.domain import evidence, listed_refunds, outcome, record_lines
from refund_bridge.domain import payment as arithmetic
from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.external_refund import Import
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.stripe_knows import Line, Refused, Standing
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import execute, follow_refund, look_up
from refund_bridge.refunding import learn_from_charge as learn
from refund_bridge.refunding import record_outcome as record
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.look_up import processor_refund_of
from refund_bridge.refunding.payment_links import PaymentLinks
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.reporting import report
from refund_bridge.reporting.look_at_sums import Looked
from refund_bridge.settling import find_out, follow_pending, run_scheduled, settle, tell_stripe
from refund_bridge.settling.settling import NOT_SET_UP, Settled, Settling
from refundctl.deciding.read_evidence import Evidence
from refundctl.deciding.resolve import ResolutionRefusedError, ResolveRefund
from tests.fakes.abilities import names_where
from tests.simulation.options import Options, Wish
from tests.simulation.planting import defect


@defect(caught_at=1)
def first_sight_is_in_the_book() -> Iterator[None]:
    """Refunds made until the second in which we first saw the payment count as reported."""
    imports, first = LearnFromCharge._imports, WeakKeyDictionary[Any, dict[PaymentKey, int]]()

    def by_clock(
        self: LearnFromCharge,
        payment: Payment,
        unclaimed: Sequence[ProcessorRefund],
        seen: PaymentSnapshot,
    ) -> Iterator[Refund]:
        since = first.setdefault(self.ledger, {})
        since_ms = since.setdefault(payment.key, self.clock.now_ms()) // 1000 * 1000 + 1

        def old(**facts: Any) -> Import:
            return Import(**{**facts, "since_ms": since_ms})

        with patch.object(learn, "Import", old):
            yield from [*imports(self, payment, unclaimed, seen)]

    with patch.object(LearnFromCharge, "_imports", by_clock):
        yield


@defect(caught_at=345)
def sums_not_asked() -> Iterator[None]:
    """An external refund is reported even if somebody else has reported it."""

    def at_once(line: Line) -> bool:
        return line.standing is Standing.DUE and not line.taken_back

    with patch.object(report, "told_at_once", at_once):
        yield


@defect(caught_at=1)
def others_have_no_time() -> Iterator[None]:
    """An external refund is reported as soon as it is seen, though its maker may report it."""
    lines = record_lines.line_of

    def impatient(refund: Refund, **more: Any) -> Line:
        return replace(lines(refund, **more), in_grace=False, forced=not refund.is_ours)

    hurried = replace_grace(tell_stripe._ring_again)
    with (
        patch.object(report, "line_of", impatient),
        patch.object(tell_stripe, "_ring_again", hurried),
    ):
        yield


def replace_grace(ring: Any) -> Any:
    """Wake the reporter without waiting for others who may report it themselves."""

    def at_once(settling: Settling, stored: Stored) -> Settled:
        settings = replace(settling.settings, grace_ms=0)
        return ring(replace(settling, settings=settings), stored)  # type: ignore[no-any-return]

    return at_once


@defect(caught_at=424)
def taken_reference_is_a_failure() -> Iterator[None]:
    """If Stripe refuses a reference because it has it, the report fails and waits for a person."""

    def refused(*_: Any, **__: Any) -> Refused:
        return Refused(no_room=False)

    with patch.object(report, "judge_refusal", refused):
        yield


def _ignoring(ignored: outcome.News) -> Any:
    news_of = outcome.news_of

    def blind(refund: Refund, processor_refund: ProcessorRefund) -> outcome.News | None:
        news = news_of(refund, processor_refund)
        return None if news is ignored else news

    return blind


@defect(caught_at=469)
def failed_is_failed_for_ever() -> Iterator[None]:
    """A refund that failed and succeeds after all stays failed, and its amount stays released."""

    def unguarded(*_: Any) -> bool:
        return False

    blind = _ignoring(outcome.News.MOVED_AFTER_ALL)
    with (
        patch.object(follow_refund, "news_of", blind),
        patch.object(outcome, "news_of", blind),
        patch.object(execute, "asks_for_more", unguarded),
    ):
        yield


@defect(caught_at=124)
def taken_back_is_for_ever() -> Iterator[None]:
    """A success that was shown as failed once, and as a success again, is not reported."""
    blind = _ignoring(outcome.News.RESTORED)
    with patch.object(follow_refund, "news_of", blind), patch.object(outcome, "news_of", blind):
        yield


@defect(caught_at=743)
def a_failure_of_others_is_ours() -> Iterator[None]:
    """A failed processor refund that may be somebody else's ends our unknown refund."""

    def alike(
        refund: Refund, processor_refunds: Sequence[ProcessorRefund], claimed: Any
    ) -> list[ProcessorRefund]:
        return [
            processor_refund
            for processor_refund in processor_refunds
            if processor_refund.instruction_id in (None, refund.id)
            and evidence.is_its_amount(processor_refund, refund)
            and processor_refund.id not in (refund.snapshot or ())
            and claimed.get(processor_refund.id, refund.id) == refund.id
        ]

    with patch.object(evidence, "alike", alike):
        yield


@defect(caught_at=36)
def pending_for_ever() -> Iterator[None]:
    """A refund that stays pending, or disappears, is checked for ever and no person is told."""

    def hold(settling: Settling, stored: Stored, *_: Any, **__: Any) -> Settled:
        return settling.hold(stored, "still pending")

    with (
        patch.object(follow_pending, "_gone", hold),
        patch.object(follow_pending, "_still_pending", hold),
    ):
        yield


@defect(caught_at=24)
def bound_for_ever() -> Iterator[None]:
    """If a refund in review is bound to a refund of another amount, no decision is accepted."""
    failed = ResolveRefund._failed

    def refusing(self: ResolveRefund, stored: Stored, *rest: Any) -> Any:
        if stored.refund.processor_refund_id is not None:
            raise ResolutionRefusedError("it is bound to a processor refund that is there")
        return failed(self, stored, *rest)

    with patch.object(ResolveRefund, "_failed", refusing):
        yield


@defect(caught_at=161)
def nothing_readable_nothing_decided() -> Iterator[None]:
    """If a payment's list cannot be read, a person's decision is not accepted either."""

    def read(self: Evidence, refund: Refund, processor_refund_id: str, deadline: Any) -> Any:
        processor = self.processors[refund.processor]
        return processor_refund_of(
            processor, processor_refund_id, refund.refunded_payment, deadline
        )

    with patch.object(Evidence, "processor_refund", read):
        yield


@defect(caught_at=15)
def handed_over_again_for_more_than_is_left() -> Iterator[None]:
    """An instruction is sent again though its payment's refundable balance is too small by now."""
    with patch.object(find_out, "asks_for_more", lambda *_: False):
        yield


@defect(caught_at=2)
def ids_taken_for_the_same() -> Iterator[None]:
    """Our own refund, which the payment lists under another id, is imported as an external one."""

    with patch.object(learn, "ids_fit", lambda *_: True):
        yield


@defect(caught_at=74919)
def a_list_from_before_is_believed() -> Iterator[None]:
    """An external refund is taken for a refund of ours that moved after the payment was read."""

    def once(_: LearnFromCharge, seen: PaymentSnapshot, held: Any, __: Deadline) -> Any:
        return seen, held

    with patch.object(LearnFromCharge, "_read_again", once):
        yield


@defect(caught_at=76697)
def an_instruction_under_another_id_is_somebody_elses() -> Iterator[None]:
    """A processor refund with our instruction is imported if its refund is bound to another id."""
    with patch.object(learn, "is_listed_otherwise", lambda *_: False):
        yield


@defect(caught_at=62454)
def failed_imports_are_not_looked_after() -> Iterator[None]:
    """An external refund that failed is never checked again."""
    wait_ms = record._wait_ms

    def wait(current: Stored, after: Refund) -> int | None:
        return None if after.attempt == 0 else wait_ms(current, after)

    with patch.object(record, "_wait_ms", wait):
        yield


@defect(caught_at=1179)
def a_list_that_does_not_name_it_tells_what_became_of_it() -> Iterator[None]:
    """A refund that its payment lists under another id is not looked up by its own id."""
    with patch.object(Looked, "followed", lambda looked, _: looked.listed is not None):
        yield


def _changes_its_mind_under_two_ids(options: Options) -> Options:
    others = replace(options.others, lists_other_ids=True, changes_mind=1.0)
    return replace(options, homes=(("hitpay",),), odd_conduct=1.0, others=others)


@defect(caught_at=28, worlds=_changes_its_mind_under_two_ids)
def what_failed_is_asked_for_no_more() -> Iterator[None]:
    """What a failed refund of ours moved after all, listed by another id, is somebody else's."""
    with patch.object(LearnFromCharge, "_ask_for_failed", lambda *_: False):
        yield


def _all_of_one_payment(wishes: Sequence[Wish], *, amount: int) -> tuple[Wish, ...]:
    return tuple(
        replace(wish, payment=0, amount=amount, processor=None, unlinked=None) for wish in wishes
    )


def _equal_ones_under_two_ids(options: Options) -> Options:
    return replace(
        options,
        homes=(("hitpay",),),
        wishes=_all_of_one_payment(options.wishes, amount=2500),
        loses_instructions=0.5,
        others=replace(options.others, lists_other_ids=True),
    )


@defect(caught_at=307, worlds=_equal_ones_under_two_ids)
def what_another_of_ours_moved_is_found() -> Iterator[None]:
    """What one refund of ours moved, listed by another id, is found to be the next one's."""
    with patch.object(look_up, "any_listed_otherwise", lambda *_: False):
        yield


def _a_repeat_beside_one_that_came_back(options: Options) -> Options:
    dashboard = tuple(replace(one, payment=0, amount=3000) for one in options.foreign)
    return replace(
        options,
        homes=(names_where(lambda can: can.keeps_keys and can.shows_payments)[:1],),
        wishes=_all_of_one_payment(options.wishes, amount=4000),
        foreign=dashboard,
        loses_instructions=0.5,
        odd_conduct=1.0,
        others=replace(options.others, changes_mind=1.0),
    )


@defect(caught_at=81, worlds=_a_repeat_beside_one_that_came_back)
def a_repeat_forgets_what_is_reserved() -> Iterator[None]:
    """What other refunds of ours may move yet counts as left for one that is repeated."""
    with patch.object(find_out, "_reserved_beside", lambda *_: 0):
        yield


@defect(caught_at=728)
def any_account_is_the_same() -> Iterator[None]:
    """An instruction is looked up, and sent again, with another form of key than at first."""

    def in_reach(self: Settling, refund: Refund) -> str | None:
        return None if refund.processor in self.processors else NOT_SET_UP

    with patch.object(Settling, "out_of_reach", in_reach):
        yield


@defect(caught_at=25)
def late_changes_unseen() -> Iterator[None]:
    """Without webhooks, a success is not checked again."""

    def never(settling: Settling, stored: Stored, *_: Any) -> Settled:
        settling.recorder.write(stored, replace(stored.refund, next_check_ms=None))
        return Settled.HELD

    with patch.object(settle, "look_after", never):
        yield


@defect(caught_at=22)
def linked_for_ever() -> Iterator[None]:
    """A record stays linked to a payment that metadata named by mistake, even when corrected."""

    def held(*_: Any) -> None:
        return None

    with patch.object(PaymentLinks, "mended", held):
        yield


@defect(caught_at=2)
def canceled_for_a_moment() -> Iterator[None]:
    """A scheduled refund is canceled if Stripe and the processor disagree once."""
    with patch.object(run_scheduled, "_refused", run_scheduled._cancel):
        yield


@defect(caught_at=56)
def sums_kept_as_maxima() -> Iterator[None]:
    """The sum refunded by others is never lowered, though each external refund is imported."""
    learnt = arithmetic.learn_foreign

    def most(payment: Payment, **seen: Any) -> Payment:
        now = learnt(payment, **seen)
        on_charge = max(payment.foreign_on_charge, now.foreign_on_charge)
        in_book = max(payment.foreign_in_book, now.foreign_in_book)
        return replace(now, foreign_on_charge=on_charge, foreign_in_book=in_book)

    with patch.object(listed_refunds, "learn_foreign", most):
        yield
