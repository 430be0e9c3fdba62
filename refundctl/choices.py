"""What a person may do about one refund, as commands; most refunds need nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from deployed.command_lines import WORDS, Spelt, spelt
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refundctl.checks.finding import Level


@dataclass(frozen=True)
class Choice:
    """One thing that a person may do about a refund.

    Attributes:
        level: how urgently a person is needed; with `Level.OK`, nobody is.
        when: in which case this is the right thing to do.
        command: a command of `refundctl`, with `--dry-run` if it changes something.
    """

    level: Level
    when: str
    command: Spelt


def choices(refund: Refund) -> Iterator[Choice]:
    """What a person may do about a refund in its present state."""
    one = refund.id
    if refund.awaits_handling:
        told = "The processor took it back. When the customer was paid otherwise, or need not be:"
        yield Choice(Level.FAIL, told, spelt("handle", one, "--note", WORDS, "--dry-run"))
    if refund.state is State.REVIEW:
        yield Choice(
            Level.FAIL, "A person must decide, by the evidence of all sides:", spelt("review", one)
        )
    if refund.state in (State.SUBMITTING, State.UNKNOWN, State.PENDING):
        told = "It is looked up by itself. To have the processor asked about it now:"
        yield Choice(Level.OK, told, spelt("sync", one))
    if refund.state is State.REQUESTED:
        told = "It is sent by itself when its turn comes. Only if it must not be:"
        yield Choice(Level.OK, told, spelt("withdraw", one, "--reason", WORDS, "--dry-run"))
    if refund.report.state is ReportState.FAILED and refund.report.parameters is not None:
        yield from _of_failed_report(refund)
    if refund.report.cause is ReportCause.BY_SUMS:
        told = "Stripe's sum alone says that others reported it. Only if nobody did:"
        yield Choice(Level.OK, told, _reported(one, "--owed"))
    if refund.credit_note.state is CreditNoteState.FAILED:
        told = "When the cause of the failed credit note is mended:"
        yield Choice(Level.WARN, told, spelt("notes", "replay", one, "--dry-run"))


def _of_failed_report(refund: Refund) -> Iterator[Choice]:
    one = refund.id
    if refund.report.cause is not ReportCause.CANNOT_TELL:
        told = "When the cause of the failed report is mended:"
        yield Choice(Level.FAIL, told, spelt("dlq", "replay", "--id", one, "--dry-run"))
    for told, answer in (
        ("If somebody else told Stripe of it, under whatever reference:", "--told"),
        ("If nobody did, and Stripe is owed it whatever its sums say:", "--owed"),
        ("If Stripe cannot be told it, or has no room for it, and never will:", "--waive"),
    ):
        yield Choice(Level.FAIL, told, _reported(one, answer))


def _reported(refund_id: str, answer: str) -> Spelt:
    return spelt("report", refund_id, answer, "--reason", WORDS, "--dry-run")
