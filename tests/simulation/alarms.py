"""The notes that alarm a person, and the command that each of them names.

An alarm is open as long as its subject waits for a person. That is decided by the state of the
refund and of its report, never by what the ledger believes to be booked at Stripe.
"""

from collections.abc import Collection, Mapping
from typing import Final

from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState, State
from tests.fakes.ledger import MemoryLedger

ALARMS: Final[Mapping[str, str]] = {
    "refund_needs_review": "refundctl resolve REFUND",
    "report_failed": "refundctl report REFUND",
    "stripe_higher": "refundctl record RECORD --accept-excess",
    "stripe_lower": "refundctl report REFUND --owed",
    "refund_taken_back": "refundctl show REFUND",
    "refunds_not_listed": "refundctl record RECORD --accept-excess, once it is booked by hand",
    "ids_do_not_fit": "refundctl record RECORD --accept-excess, once it is booked by hand",
    "sent_to_another_account": "refundctl record RECORD --accept-excess, after both dashboards",
}
# Alarms about refunds that a payment does not list, or lists in a form that we cannot use.
UNLISTED: Final = ("refunds_not_listed", "ids_do_not_fit")

Rung = Mapping[str, Collection[object]]


def is_open(
    rung: Rung,
    memory: MemoryLedger,
    record: str,
    charge_ids: Collection[str],
    *,
    shows_too_little: bool,
) -> bool:
    """Whether an alarm is open about the record, one of the payments, or a refund of them."""
    if record in rung["stripe_lower" if shows_too_little else "stripe_higher"]:
        return True
    if any(charge_id in rung[event] for event in UNLISTED for charge_id in charge_ids):
        return True
    return any(_waits(rung, one) for one in refunds_of(memory, record, charge_ids))


def refunds_of(memory: MemoryLedger, record: str, charge_ids: Collection[str]) -> list[Refund]:
    """The refunds of the record or of the payments."""
    return [
        one
        for one in memory.refunds.values()
        if one.payment_record == record or payment_key_of(one).charge_id in charge_ids
    ]


def _waits(rung: Rung, refund: Refund) -> bool:
    if refund.id in rung["sent_to_another_account"]:
        return True
    if refund.state is State.REVIEW:
        return refund.id in rung["refund_needs_review"]
    return refund.report.state is ReportState.FAILED and refund.id in rung["report_failed"]
