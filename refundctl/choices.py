"""What a person may do about one refund, as commands; most refunds need nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from refundctl.checks.finding import Level
from refunds.refund import Refund, ReportCause
from refunds.state_machine import CreditNoteState, ReportState, State


@dataclass(frozen=True)
class Choice:
    """One thing that may be done.

    Attributes:
        level: how much somebody is needed; with `Level.OK` nobody is.
        when: in which case it is right.
        command: of `refundctl`, without its name and the deployment.
    """

    level: Level
    when: str
    command: str


def choices(refund: Refund) -> Iterator[Choice]:
    """What may be done about it as it stands; nothing if it goes on, or has ended, by itself."""
    one = refund.id
    if refund.awaits_handling:
        told = "The processor took it back. When the customer was paid otherwise, or need not be:"
        yield Choice(Level.FAIL, told, f"handle {one} --note '...'")
    if refund.state is State.REVIEW:
        yield Choice(
            Level.FAIL, "A person must decide, by the evidence of all sides:", f"review {one}"
        )
    if refund.state is State.REQUESTED:
        told = "It is sent by itself when its turn comes. Only if it must not be:"
        yield Choice(Level.OK, told, f"withdraw {one} --reason '...'")
    if refund.report.state is ReportState.FAILED and refund.report.parameters is not None:
        yield from _of_failed_report(refund)
    if refund.report.cause is ReportCause.BY_SUMS:
        told = "Stripe's sum alone says that others reported it. Only if nobody did:"
        yield Choice(Level.OK, told, f"report {one} --owed --reason '...'")
    if refund.credit_note.state is CreditNoteState.FAILED:
        told = "When the cause of the failed credit note is mended:"
        yield Choice(Level.WARN, told, f"notes replay {one}")


def _of_failed_report(refund: Refund) -> Iterator[Choice]:
    one = refund.id
    if refund.report.cause is not ReportCause.CANNOT_TELL:
        told = "When the cause of the failed report is mended:"
        yield Choice(Level.FAIL, told, f"dlq replay --id {one}")
    for told, answer in (
        ("If somebody else told Stripe of it, under whatever reference:", "told"),
        ("If nobody did, and Stripe is owed it whatever its sums say:", "owed"),
        ("If Stripe cannot be told it, or has no room for it, and never will:", "waive"),
    ):
        yield Choice(Level.FAIL, told, f"report {one} --{answer} --reason '...'")
