"""What a person may do about one refund, as commands; most refunds need nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

from refundctl.checks.finding import Level
from refunds.refund import Refund
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
    if refund.state is State.REVIEW:
        yield Choice(
            Level.FAIL, "A person must decide, by the evidence of all sides:", f"review {one}"
        )
    if refund.state is State.REQUESTED:
        told = "It is sent by itself when its turn comes. Only if it must not be:"
        yield Choice(Level.OK, told, f"withdraw {one} --reason '...'")
    if refund.report.state is ReportState.FAILED and refund.report.parameters is not None:
        told = "When the cause of the failed report is mended:"
        yield Choice(Level.FAIL, told, f"dlq replay --id {one}")
    if refund.credit_note.state is CreditNoteState.FAILED:
        told = "When the cause of the failed credit note is mended:"
        yield Choice(Level.WARN, told, f"notes replay {one}")
