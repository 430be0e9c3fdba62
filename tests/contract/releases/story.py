"""One refund in every state, as a release leaves them, and what becomes of them in the end.

Runs on the code of whichever release is imported, this one or the former one: so it uses nothing
that not both of them have. As a program it prints what it did as a sample::

    python -P story.py tell                    what this release writes
    python -P story.py read < sample           what this release tells of what another wrote
    python -P story.py finish < sample         what this release makes of it in the end
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TextIO

from tests.fakes.processor_fates import (
    Answered,
    Conduct,
    Executed,
    Fate,
    NotSent,
    ReplyLost,
    RequestLost,
)
from tests.fakes.world import STAGE, World

try:
    from refund_bridge.adapters.dynamodb.items import (
        payment_item,
        payment_of,
        refund_item,
        refund_of,
    )
    from refund_bridge.adapters.dynamodb.keys import claim_holder, claim_key
    from refund_bridge.adapters.dynamodb.values import decode_item, encode_item
    from refund_bridge.contract.refund_object import refund_object
    from refund_bridge.domain.charge import ProcessorRefundStatus
    from refund_bridge.domain.payment import payment_key_of
    from refund_bridge.domain.refund import Refund, refund_id_of
    from refund_bridge.domain.refund_request import ReferenceType, RefundType
    from refund_bridge.domain.state_machine import ReportState
    from refund_bridge.ports.ledger import ProcessorRefundClaim, RecordClaim
    from refund_bridge.reporting.report import ReportFailedError
    from tests.fakes.stripe_fates import ReportLost

    CLAIMED, SHOWN, ASKED_BY = "processor_refunds", "processor_refund", "instruction_id"
    AT_STRIPE = "stripe"
except ModuleNotFoundError:  # the former release has it all elsewhere, by other names
    from refunds.adapters.attribute_values import decode_item, encode_item  # type: ignore[no-redef,import-not-found]
    from refunds.adapters.ledger_items import payment_item, payment_of, refund_item, refund_of  # type: ignore[no-redef,import-not-found]
    from refunds.adapters.ledger_keys import claim_holder, claim_key  # type: ignore[no-redef,import-not-found]
    from refunds.answers import refund_object  # type: ignore[no-redef,import-not-found]
    from refunds.payment import payment_key_of  # type: ignore[no-redef,import-not-found]
    from refunds.ports import MovementClaim as ProcessorRefundClaim  # type: ignore[no-redef,import-not-found]
    from refunds.ports import MovementStatus as ProcessorRefundStatus  # type: ignore[no-redef]
    from refunds.ports import RecordClaim  # type: ignore[no-redef]
    from refunds.refund import ReferenceType, Refund, RefundType, refund_id_of  # type: ignore[no-redef,import-not-found]
    from refunds.report import ReportFailedError  # type: ignore[no-redef,import-not-found]
    from refunds.state_machine import ReportState  # type: ignore[no-redef,import-not-found]
    from tests.fakes.book_fates import ReportLost  # type: ignore[no-redef,import-not-found]

    CLAIMED, SHOWN, ASKED_BY = "movements", "movement", "order_id"
    AT_STRIPE = "book"

Sample = dict[str, Any]

MINUTE_MS = 60_000
# Long enough for every hold, which is a day, and for the look-ups after its end.
LONG_MS = 30 * 60 * MINUTE_MS
HALF_AN_HOUR_MS = 30 * MINUTE_MS
# What each refund is in the end, whichever release wrote it and whichever ended it.
ENDS: Mapping[str, tuple[str, str]] = {
    "due": ("succeeded", "reported"),
    "reported": ("succeeded", "reported"),
    "report_failed": ("succeeded", "failed"),
    "by_intent": ("succeeded", "reported"),
    "by_invoice": ("succeeded", "reported"),
    "rejected": ("rejected", "not_due"),
    "aborted": ("succeeded", "reported"),
    "lost_but_executed": ("succeeded", "reported"),
    "never_executed": ("review", "not_due"),
    "killed_while_sending": ("review", "not_due"),
    "pending": ("succeeded", "reported"),
    "failed_at_hitpay": ("failed", "not_due"),
    "two_alike": ("review", "not_due"),
    "scheduled": ("succeeded", "reported"),
    "behind_another": ("succeeded", "reported"),
    "beside_an_older_one": ("succeeded", "reported"),
}


class Killed(BaseException):
    """The worker stops at whatever instruction it is."""


def known_to(then: Any, now: Any) -> Any:
    """Of what is told now the members that were told then: a release may add some."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return {name: known_to(value, now[name]) for name, value in then.items()}
    return now


def tell(world: World) -> None:
    """Bring one refund into every state."""
    _told_at_once(world)
    _not_told_yet(world)
    _uncertain(world)
    _to_come(world)


def _told_at_once(world: World) -> None:
    _pay_and_refund(world, "reported")
    world.report(_id("reported"))
    world.processor.fates.append(Answered(422, "Refund window exceeded"))
    _pay_and_refund(world, "rejected")
    world.processor.fates.append(NotSent())
    _pay_and_refund(world, "aborted")
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    for name in ("failed_at_hitpay", "pending"):
        _pay_and_refund(world, name)
    world.processor.books.conduct = Conduct()
    _end(world, "failed_at_hitpay", ProcessorRefundStatus.FAILED)


def _not_told_yet(world: World) -> None:
    _pay_and_refund(world, "due", reason="duplicate", metadata={"order": "1007", "empty": ""})
    getattr(world, AT_STRIPE).fates.append(ReportLost())
    _pay_and_refund(world, "report_failed")
    with suppress(ReportFailedError):
        world.report(_id("report_failed"), receive=8, last=True)
    for name, kind in (
        ("by_intent", ReferenceType.PAYMENT_INTENT),
        ("by_invoice", ReferenceType.INVOICE),
    ):
        record = world.pay(name)
        link = {"hitpay_payment_id": f"charge-{name}", "stripe_payment_record_id": record}
        getattr(world, AT_STRIPE).add_reference(f"ref_{name}", link)
        world.refund(name, record=f"ref_{name}", reference_type=kind)
    # What was refunded before this service saw the payment is imported with the first refund.
    world.pay("beside_an_older_one")
    world.processor.refund_in_dashboard("charge-beside_an_older_one", 1000)
    world.refund("beside_an_older_one", record="pr_beside_an_older_one", amount=2500)


def _uncertain(world: World) -> None:
    world.processor.fates.append(ReplyLost())
    _pay_and_refund(world, "lost_but_executed")
    world.processor.fates.append(RequestLost())
    _pay_and_refund(world, "never_executed")
    world.processor.fates.append(RequestLost())
    _pay_and_refund(world, "two_alike")
    for _ in range(2):
        world.processor.refund_in_dashboard("charge-two_alike", 2500)
    world.clock.advance(2 * MINUTE_MS)
    world.settle(_id("two_alike"), world.deadline())
    world.processor.decide = _kill
    with suppress(Killed):
        _pay_and_refund(world, "killed_while_sending")
    world.processor.decide = _execute


def _to_come(world: World) -> None:
    _pay_and_refund(world, "scheduled", refund_type=RefundType.SCHEDULED)
    record = "pr_lost_but_executed"
    world.refund("behind_another", record=record, amount=1000, refund_type=RefundType.SCHEDULED)


def finish(world: World) -> None:
    """Let everything that can end do so: a day and more passes, callers repeat, Stripe is told."""
    _set_status(world, "pending", ProcessorRefundStatus.SUCCEEDED)
    world.refund("aborted", record="pr_aborted", amount=2500)
    world.settle_for(LONG_MS, every_ms=HALF_AN_HOUR_MS)
    for refund in list(_refunds(world)):
        if refund.report.state is ReportState.DUE:
            world.report(refund.id)


# --- samples -------------------------------------------------------------------------------------


def sample_of(world: World) -> Sample:
    """Everything that the ledger holds, as stored, and what is told of each refund."""
    ledger = world.ledger
    records = [RecordClaim(record, key) for record, key in ledger.records.items()]
    processor_refunds = [
        ProcessorRefundClaim(processor, name, refund_id)
        for (processor, name), refund_id in getattr(ledger, CLAIMED).items()
    ]
    held: list[RecordClaim | ProcessorRefundClaim] = [*records, *processor_refunds]
    claims = [
        claim_key(claim) | {"holder": claim_holder(claim), "schema_version": 1} for claim in held
    ]
    return {
        "refunds": [_stored(refund_item(refund)) for refund in ledger.refunds.values()],
        "payments": [_stored(payment_item(payment)) for payment in ledger.payments.values()],
        "claims": [_stored(claim) for claim in claims],
        "told": [
            refund_object(refund, ledger.payments.get(payment_key_of(refund)))
            for refund in ledger.refunds.values()
        ],
        "moved": moved(world),
        "booked": booked(world),
        "ends": [[name, *end] for name, end in ends(world).items()],
    }


def load(world: World, sample: Sample) -> None:
    """Put what another release wrote in place of what this one wrote."""
    ledger = world.ledger
    refunds = [refund_of(decode_item(item)) for item in sample["refunds"]]
    payments = [payment_of(decode_item(item)) for item in sample["payments"]]
    ledger.refunds = {refund.id: refund for refund in refunds}
    ledger.payments = {payment.key: payment for payment in payments}


def ends(world: World) -> dict[str, tuple[str, str]]:
    """What each refund of the story is now, and its report."""
    found = {name: world.ledger.refund(_id(name)) for name in ENDS}
    return {
        name: ("gone", "gone")
        if refund is None
        else (refund.state.value, refund.report.state.value)
        for name, refund in found.items()
    }


def moved(world: World) -> list[list[Any]]:
    """Every refund at HitPay: id, charge, minor units, status, and which of ours asked for it."""
    return [
        [
            shown.id,
            shown.payment_id,
            shown.money.amount,
            shown.status.value,
            getattr(refund, ASKED_BY),
        ]
        for refund in world.processor.books.refunds.values()
        for shown in [getattr(refund, SHOWN)]
    ]


def booked(world: World) -> list[list[Any]]:
    """Every report at Stripe: record, minor units, reference."""
    return [
        [one.parameters.payment_record, one.parameters.amount, one.parameters.refund_reference]
        for one in getattr(world, AT_STRIPE).books.reports
    ]


def write(sample: Sample, out: TextIO) -> None:
    """Print a sample, each item on a line of its own, so that a difference can be seen."""
    parts = []
    for name, found in sorted(sample.items()):
        shown = ",\n".join(json.dumps(line, sort_keys=True) for line in found)
        parts.append(f"{json.dumps(name)}: [\n{shown}\n]")
    out.write("{\n" + ",\n".join(parts) + "\n}\n")


# --- inside --------------------------------------------------------------------------------------


def _id(name: str) -> str:
    return refund_id_of(name, STAGE)


def _pay_and_refund(world: World, name: str, **asked: Any) -> None:
    world.refund(name, record=world.pay(name), **({"amount": 2500} | asked))


def _refunds(world: World) -> Iterator[Refund]:
    """All of them: those of callers, and those that were imported."""
    for refund_id in sorted({*map(_id, ENDS), *_imported(world)}):
        refund = world.ledger.refund(refund_id)
        if refund is not None:
            yield refund


def _imported(world: World) -> list[str]:
    claimed = world.ledger.claimed("hitpay", list(world.processor.books.refunds))
    return list(claimed.values())


def _set_status(world: World, name: str, status: ProcessorRefundStatus) -> None:
    (made,) = world.processor.books.of(f"charge-{name}")
    world.processor.books.set_status(getattr(made, SHOWN).id, status)


def _end(world: World, name: str, status: ProcessorRefundStatus) -> None:
    _set_status(world, name, status)
    world.clock.advance(2 * MINUTE_MS)
    world.settle(_id(name), world.deadline())


def _execute(_instruction: Any) -> Fate:
    return Executed()


def _kill(_instruction: Any) -> Fate:
    raise Killed


def _stored(item: Mapping[str, Any]) -> Any:
    return encode_item(dict(item))


def main(verb: str) -> None:
    """Tell the story, or go on with that of another release."""
    world = World()
    tell(world)
    if verb in ("read", "finish"):
        load(world, json.load(sys.stdin))
    if verb == "finish":
        finish(world)
    write(sample_of(world), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
