"""What each step of a report changes of its refund, and how steps are written with the payment."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.payment import Payment, follow
from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.report import Report, ReportCause, ReportParameters
from refund_bridge.domain.state_machine import Event, ReportState, State
from refund_bridge.domain.transitions import Why
from refund_bridge.ports.ledger import Commit, LedgerConflictError, PaymentWrite, RefundWrite
from refund_bridge.reporting.report_steps import (
    ReportsChangedError,
    Step,
    WriteReports,
    about_to_be_sent,
    all_reports_of,
    canceled,
    confirmed,
    given_up,
    owed,
    parameters_again,
    put_off,
    released,
    taken,
)
from tests.contract.ledger.examples import NOW, a_full_refund, a_payment, a_refund, a_refund_of
from tests.fakes.ledger import MemoryLedger

LATER = NOW + 86_400_000
WHY = Why(at_ms=LATER, cause="decided", actor="test", evidence={"ticket": "4711"})


def worked_on(**report: Any) -> Refund:
    """A refund whose report is due, and has been tried, put off and rung for."""
    full = a_full_refund()
    worn = {"forced": True, "rings": 2, "waits": 3, **report}
    return replace(full, looks=5, report=replace(full.report, **worn))


def after_step(before: Refund, state: ReportState, *, looks: int = 5, **report: Any) -> Refund:
    """The refund as a step leaves it that moves its report to that state; nothing else changes."""
    line = Entry(
        seq=2,
        at_ms=LATER,
        before=f"report:{before.report.state}",
        after=f"report:{state}",
        cause="decided",
        actor="test",
        evidence={"ticket": "4711"},
    )
    return replace(
        before,
        report=replace(before.report, state=state, **report),
        updated_at_ms=LATER,
        looks=looks,
        history=(*before.history, line),
    )


class TestSteps:
    """Nothing but what is said here is changed."""

    @pytest.mark.parametrize(
        ("cause", "told_at_ms"), [(ReportCause.BY_US, LATER), (ReportCause.BY_SUMS, None)]
    )
    def test_a_report_that_is_made(self, cause: ReportCause, told_at_ms: int | None) -> None:
        before = worked_on()
        made = after_step(
            before,
            ReportState.REPORTED,
            looks=0,
            cause=cause,
            lease_until_ms=None,
            forced=False,
            last_error=None,
            reported_at_ms=told_at_ms,
        )
        assert confirmed(before, WHY, cause, LATER + 7) == replace(made, next_check_ms=LATER + 7)

    def test_a_report_that_is_given_up(self) -> None:
        before = worked_on()
        failed = after_step(
            before,
            ReportState.FAILED,
            cause=ReportCause.NO_ROOM,
            last_error="no room",
            lease_until_ms=None,
            forced=False,
        )
        given = given_up(before, WHY, ReportCause.NO_ROOM, "no room")
        assert given == replace(failed, next_check_ms=None)

    def test_a_report_of_which_there_is_nothing_to_tell(self) -> None:
        before = worked_on()
        none = after_step(
            before,
            ReportState.NOT_DUE,
            looks=0,
            cause=ReportCause.WAIVED,
            lease_until_ms=None,
            forced=False,
        )
        given = canceled(before, WHY, ReportCause.WAIVED, LATER + 7)
        assert given == replace(none, next_check_ms=LATER + 7)

    @pytest.mark.parametrize("state", [ReportState.REPORTED, ReportState.FAILED])
    @pytest.mark.parametrize(("attempts", "epoch"), [(0, 1), (1, 2)])
    @pytest.mark.parametrize("forced", [True, False])
    def test_a_report_that_is_owed_again(
        self, state: ReportState, attempts: int, epoch: int, *, forced: bool
    ) -> None:
        # Given a report that was believed or has failed, and was or was not sent
        before = worked_on(state=state, cause=ReportCause.BY_SUMS, attempts=attempts)
        due = after_step(
            before,
            ReportState.DUE,
            looks=0,
            cause=None,
            forced=forced,
            epoch=epoch,
            lease_until_ms=None,
            last_error=None,
            last_ring_ms=None,
            reported_at_ms=None,
            waits=0,
        )
        # Then it is due at once, and what was sent is sent anew under another key
        assert owed(before, WHY, forced=forced) == replace(due, next_check_ms=LATER)

    def test_one_that_is_due_already_is_begun_anew(self) -> None:
        before = worked_on()
        after = owed(before, WHY)
        assert after.report == replace(
            before.report,
            forced=False,
            epoch=2,
            lease_until_ms=None,
            last_error=None,
            last_ring_ms=None,
            reported_at_ms=None,
            waits=0,
        )
        line = after.history[-1]
        assert (line.before, line.after, line.cause) == (before.state, before.state, "decided")
        assert (after.looks, after.next_check_ms) == (0, LATER)

    def test_a_report_that_is_put_off(self) -> None:
        before = worked_on()
        report = replace(
            before.report, lease_until_ms=None, last_error="later", last_ring_ms=None, waits=4
        )
        expected = replace(before, report=report, next_check_ms=LATER)
        assert put_off(before, "later", LATER) == expected

    @pytest.mark.parametrize(("new_epoch", "epoch"), [(True, 2), (False, 1)])
    def test_a_report_whose_message_comes_back(self, *, new_epoch: bool, epoch: int) -> None:
        before = worked_on()
        report = replace(before.report, lease_until_ms=None, last_error="later", epoch=epoch)
        assert released(before, "later", new_epoch=new_epoch) == replace(before, report=report)

    def test_a_report_that_is_taken_and_about_to_be_sent(self) -> None:
        before = worked_on()
        report = replace(before.report, lease_until_ms=LATER)
        assert taken(before, LATER) == replace(before, report=report)
        report = replace(before.report, attempts=3)
        assert about_to_be_sent(before) == replace(before, report=report)


class TestParametersAgain:
    """What Stripe is told of a refund for which a former release did not freeze it."""

    def told(self, started_at_ms: int | None, evidence: dict[str, int | None]) -> Refund:
        """A refund that succeeded on that evidence."""
        made = a_refund(
            Event.IMPORT_SUCCEEDED, started_at_ms=started_at_ms, processor_refund_id="hp_1"
        )
        first = replace(made.history[0], at_ms=NOW + 3_000, evidence=evidence)
        earlier = replace(first, after=State.PENDING, at_ms=NOW - 9_000)
        return replace(made, created_at_ms=4_000_999, history=(earlier, first))

    @pytest.mark.parametrize(
        ("started_at_ms", "evidence", "initiated_at_s", "refunded_at_s"),
        [
            (5_000_999, {"refunded_at_ms": 9_000_500, "created_at_ms": 7_000_000}, 5000, 9000),
            (5_000_999, {"refunded_at_ms": None, "created_at_ms": 7_000_999}, 5000, 7000),
            (None, {"refunded_at_ms": 9_000_500}, 9000, 9000),
            (9_500_000, {"refunded_at_ms": 9_000_000}, 9500, 9500),
            (None, {}, NOW // 1000 + 3, NOW // 1000 + 3),
        ],
    )
    def test_its_times_are_those_of_its_success(
        self,
        started_at_ms: int | None,
        evidence: dict[str, int | None],
        initiated_at_s: int,
        refunded_at_s: int,
    ) -> None:
        refund = self.told(started_at_ms, evidence)
        assert parameters_again(refund) == ReportParameters(
            payment_record=refund.payment_record or "",
            amount=2500,
            currency="sgd",
            refund_reference="hp_1",
            initiated_at_s=initiated_at_s,
            refunded_at_s=refunded_at_s,
        )

    def test_without_a_success_in_its_history_they_are_that_of_its_birth(self) -> None:
        refund = replace(self.told(None, {"refunded_at_ms": 9_000_500}), history=())
        told = parameters_again(refund)
        assert told is not None
        assert (told.initiated_at_s, told.refunded_at_s) == (4000, 4000)

    @pytest.mark.parametrize("lacking", ["payment_record", "processor_refund_id"])
    def test_without_a_record_or_a_processor_refund_there_is_nothing_to_tell(
        self, lacking: str
    ) -> None:
        refund = self.told(None, {})
        assert parameters_again(replace(refund, **{lacking: None})) is None  # type: ignore[arg-type]

    def test_what_was_frozen_stays_and_what_was_not_is_added_when_it_is_owed(self) -> None:
        before = worked_on(state=ReportState.FAILED)
        assert owed(before, WHY).report.parameters == before.report.parameters
        former = replace(self.told(None, {}), report=Report())
        assert owed(former, WHY).report.parameters == parameters_again(former)


class Books:
    """A ledger with one payment and one refund of it, whose report is due."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.write = WriteReports(ledger=self.ledger)
        plain = a_payment()
        refund = a_refund_of(
            plain,
            event=Event.IMPORT_SUCCEEDED,
            amount=2500,
            payment_record=plain.payment_record,
            processor_refund_id="hp_1",
            report=Report(state=ReportState.DUE),
        )
        self.ledger.commit(
            Commit(
                refunds=(RefundWrite(None, refund),),
                payments=(PaymentWrite(None, follow(plain, None, refund)),),
            )
        )
        self.key, self.refund_id = plain.key, refund.id

    @property
    def payment(self) -> Payment:
        return self.ledger.payments[self.key]

    @property
    def refund(self) -> Refund:
        return self.ledger.refunds[self.refund_id]

    def meanwhile(self, **facts: Any) -> None:
        """Another worker writes the refund."""
        now = self.refund
        self.ledger.refunds[now.id] = replace(now, revision=now.revision + 1, **facts)

    def leased_meanwhile(self, until_ms: int | None) -> None:
        """Another worker leases the payment's reports."""
        now = self.payment
        self.ledger.payments[self.key] = replace(
            now, report_lease_until_ms=until_ms, revision=now.revision + 1
        )


@pytest.fixture
def books() -> Books:
    return Books()


class TestWriting:
    """All steps are written, or none, and only over the report that they were decided on."""

    @pytest.mark.parametrize(
        "step",
        [
            lambda refund: confirmed(refund, WHY, ReportCause.BY_US, LATER),
            lambda refund: put_off(refund, "later", LATER),
        ],
    )
    @pytest.mark.parametrize("lease", [None, (None, LATER)])
    def test_what_is_returned_is_what_the_ledger_holds(
        self, books: Books, step: Step, lease: tuple[int | None, int | None] | None
    ) -> None:
        # When a step is written that changes the payment's sums too, or does not
        written = books.write(books.payment, [(books.refund, step)], lease=lease)
        # Then refund and payment are returned with the revisions that they have
        assert written.refunds == (books.refund,)
        assert written.payment == books.payment
        assert books.payment.report_lease_until_ms == (None if lease is None else LATER)

    def test_a_payment_of_which_nothing_changes_is_not_written(self, books: Books) -> None:
        before = books.payment
        step: Step = lambda refund: put_off(refund, "later", LATER)  # noqa: E731
        books.write(before, [(books.refund, step)])
        assert books.payment.revision == before.revision

    @pytest.mark.parametrize(
        "changed",
        [
            {"state": ReportState.FAILED},
            {"cause": ReportCause.CANNOT_TELL},
            {"epoch": 1},
            {"attempts": 1},
            {"forced": True},
            None,
        ],
    )
    def test_a_report_that_was_decided_on_otherwise_is_not_written(
        self, books: Books, changed: dict[str, Any] | None
    ) -> None:
        # Given a refund whose report somebody changes, or whose money comes back, meanwhile
        payment, refund = books.payment, books.refund
        if changed is None:
            books.meanwhile(late_failure_at_ms=LATER)
        else:
            books.meanwhile(report=replace(refund.report, **changed))
        left = books.refund
        with pytest.raises(ReportsChangedError, match=refund.id):
            books.write(payment, [(refund, lambda one: put_off(one, "later", LATER))])
        assert books.refund == left

    def test_what_others_wrote_beside_the_report_is_kept(self, books: Books) -> None:
        payment, refund = books.payment, books.refund
        books.meanwhile(last_look="others", next_check_ms=1)
        written = books.write(payment, [(refund, lambda one: put_off(one, "later", LATER))])
        assert written.refunds == (books.refund,)
        assert (books.refund.last_look, books.refund.report.last_error) == ("others", "later")

    @pytest.mark.parametrize("missing", ["refunds", "payments"])
    def test_what_is_not_there_any_more_is_not_written(self, books: Books, missing: str) -> None:
        payment, refund = books.payment, books.refund
        getattr(books.ledger, missing).clear()
        with pytest.raises(ReportsChangedError):
            books.write(
                payment, [(refund, lambda one: confirmed(one, WHY, ReportCause.BY_US, LATER))]
            )


class TestLease:
    """One worker at a time has the reports of a payment."""

    def lease(self, books: Books, during: Callable[[], object], now_ms: int = NOW) -> Payment:
        with all_reports_of(books.payment, books.write, now_ms=now_ms, lease_ms=90_000) as payment:
            assert payment == books.payment
            during()
        return payment

    def test_it_lasts_until_the_work_is_done(self, books: Books) -> None:
        leased = self.lease(books, lambda: None)
        assert leased.report_lease_until_ms == NOW + 90_000
        assert books.payment.report_lease_until_ms is None

    def test_or_until_the_work_fails(self, books: Books) -> None:
        def fails() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.lease(books, fails)
        assert books.payment.report_lease_until_ms is None

    @pytest.mark.parametrize(("left_ms", "is_free"), [(1, False), (0, True)])
    def test_while_another_worker_has_them_they_are_not_taken(
        self, books: Books, left_ms: int, *, is_free: bool
    ) -> None:
        books.leased_meanwhile(NOW + left_ms)
        if is_free:
            assert self.lease(books, lambda: None).report_lease_until_ms == NOW + 90_000
            return
        with pytest.raises(ReportsChangedError, match="is being reported"):
            self.lease(books, lambda: None)
        assert books.payment.report_lease_until_ms == NOW + left_ms

    def test_nor_when_another_one_takes_them_first(self, books: Books) -> None:
        read = books.payment
        books.leased_meanwhile(LATER)
        with (
            pytest.raises(ReportsChangedError, match="another worker has"),
            all_reports_of(read, books.write, now_ms=NOW, lease_ms=90_000),
        ):
            pytest.fail("two workers have the payment's reports")
        assert books.payment.report_lease_until_ms == LATER

    def test_a_lease_that_has_ended_and_is_anothers_now_is_left_alone(self, books: Books) -> None:
        self.lease(books, lambda: books.leased_meanwhile(LATER))
        assert books.payment.report_lease_until_ms == LATER

    def test_a_ledger_that_refuses_every_write_has_its_time(self, books: Books) -> None:
        asked = list[Commit]()

        def raced(commit: Commit) -> None:
            asked.append(commit)
            raise LedgerConflictError("race")

        books.ledger.commit = raced  # type: ignore[method-assign]
        with pytest.raises(ReportsChangedError, match=f"{books.key.charge_id} is too busy"):
            books.write(books.payment, [(books.refund, lambda one: taken(one, LATER))])
        assert len(asked) == 25
