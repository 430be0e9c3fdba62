"""`refundctl resolve`: a person decides whether a refund in review, or pending for too long,
succeeded or failed.

The evidence is read first, and the command says what each decision would change before it writes
anything.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from deployed.command_lines import spelt
from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import ReportState, State
from refundctl import options, who
from refundctl.deciding.resolve import (
    Decision,
    EvidenceChangedError,
    ItFailed,
    ItSucceeded,
    Resolution,
    ResolutionRefusedError,
)
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import money
from refundctl.options import Call, Groups
from refundctl.times import shown_with_zone


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    resolve = options.command(
        groups, "resolve", _resolve, "Decide what became of a refund in review."
    )
    resolve.add_argument("id", help="the refund's id: rfd_...")
    answer = resolve.add_mutually_exclusive_group(required=True)
    answer.add_argument(
        "--succeeded", metavar="REFUND_ID", help="the processor's refund that is this one"
    )
    answer.add_argument("--failed", action="store_true", help="no money moved, and none will")
    resolve.add_argument(
        "--reason",
        type=who.reason,
        help="how you know; needed by --failed. Kept for ever: no customer's data",
    )
    resolve.add_argument(
        "--despite-evidence",
        action="store_true",
        help="decide against what the processor shows: --failed while it lists a refund that could "
        "be this one; or either answer while nothing it shows can be read, while it has shown this "
        "one as pending for too long, or while it has given no answer for long",
    )
    who.declare(resolve)
    resolve.add_argument("--dry-run", action="store_true", help="say what it would do, and end")
    resolve.add_argument("--yes", action="store_true", help="do not ask")


def _resolve(call: Call) -> Exit:
    world, asked, output = call.world, call.arguments, call.output
    decision, actor = _decision(asked), who.actor_of(call)
    resolve = world.resolve(actor)
    try:
        agreed = resolve.weigh(asked.id, decision, world.deadline())
        for line in _told(agreed, decision):
            output.say(line)
        if agreed.is_done or asked.dry_run:
            output.result("Nothing was written.", _json(agreed, actor, written=False))
            return Exit.DONE
        if not asked.yes and not output.confirm("Write this?"):
            raise RefusedError("Nothing was written.")
        done = resolve.carry_out(asked.id, decision, agreed, world.deadline())
    except (ResolutionRefusedError, EvidenceChangedError) as error:
        raise RefusedError(f"Refused: {error}") from error
    output.result(_done(call, done), _json(done, actor, written=not done.is_done))
    return Exit.DONE


def _decision(asked: argparse.Namespace) -> Decision:
    if asked.succeeded is not None:
        if asked.despite_evidence and not asked.reason:
            raise MisusedError("--despite-evidence needs --reason: how do you know?")
        return ItSucceeded(asked.succeeded, asked.reason, despite_evidence=asked.despite_evidence)
    if not asked.reason:
        raise MisusedError("--failed needs --reason: how do you know that no money moved?")
    return ItFailed(asked.reason, despite_evidence=asked.despite_evidence)


# --- what each decision changes -------------------------------------------------------------------


def _told(resolution: Resolution, decision: Decision) -> Iterator[str]:
    """The decision, what it changes, and what the other decision would change."""
    before, after = resolution.before.refund, resolution.after
    yield f"{before.id}: {money(before.amount, before.currency)} of {_of(before)}"
    if resolution.is_done:
        yield _as_it_is(resolution)
        return
    if isinstance(decision, ItSucceeded):
        processor_refund = resolution.processor_refund
        if processor_refund is not None:
            yield _shown(before, processor_refund)
        yield f"> succeeded: {_success(after)}"
        left = resolution.before.payment.refundable_beside(before.amount)
        yield f"  failed would mean: {_failure(before, left)}"
    else:
        yield f"> failed: {_failure(before, resolution.payment.refundable)}"
        if resolution.processor_refund is not None:
            yield _let_go(resolution, resolution.processor_refund)
        for processor_refund in resolution.left_over:
            yield (
                f"  {processor_refund.id} is then imported, "
                "by the next look at the payment, as a refund "
                "that others made; Stripe is told of it unless it knows of it."
            )
        yield "  succeeded would mean: Stripe is told of it, once, and its amount stays spent."


def _shown(refund: Refund, processor_refund: ProcessorRefund) -> str:
    """What the processor shows of its refund, or that only the person knows that it succeeded."""
    moved_ms = processor_refund.refunded_at_ms or processor_refund.created_at_ms
    if moved_ms is None:
        return (
            f"  {refund.processor} does not show {processor_refund.id} as succeeded; you know it."
        )
    moved = f"{processor_refund.processor_status}, {shown_with_zone(moved_ms)}"
    return f"  {refund.processor} shows {processor_refund.id}: {moved}"


def _let_go(resolution: Resolution, processor_refund: ProcessorRefund) -> str:
    """What happens to the processor refund that the refund was bound to until now."""
    shown = f"  It is separated from {processor_refund.id}"
    if resolution.imported is None:
        return f"{shown}. What the payment lists is imported by the next look at it."
    amount = money(resolution.imported.amount, resolution.imported.currency)
    return f"{shown}, which is imported as {resolution.imported.id}, of {amount}."


def _of(refund: Refund) -> str:
    return refund.payment_record or f"charge {refund.processor_payment_id}"


def _as_it_is(resolution: Resolution) -> str:
    refund = resolution.after
    if refund.state is State.REVIEW:
        return f"  It is bound to {refund.processor_refund_id} already, and followed to its end."
    return f"  It is {refund.state.value} already; there is nothing to decide."


def _success(after: Refund) -> str:
    if after.state is State.REVIEW:
        return (
            f"it is bound to {after.processor_refund_id}, which is not final yet; from now on it "
            "is followed to its end by itself, and Stripe is told when it succeeds."
        )
    parameters = after.report.parameters
    if after.report.state is not ReportState.DUE or parameters is None:
        return f"Stripe is told nothing (report {after.report.state.value})."
    return (
        f"Stripe is told of {money(parameters.amount, parameters.currency)} on "
        f"{parameters.payment_record}, reference {parameters.refund_reference}, refunded at "
        f"{shown_with_zone(parameters.refunded_at_s * 1000)}."
    )


def _failure(refund: Refund, left: int) -> str:
    """What "failed" changes; `left` is the refundable balance then, minor units."""
    currency = refund.currency
    return (
        f"Stripe is told nothing; {money(refund.amount, currency)} may be refunded again "
        f"({money(left, currency)} in all), under another key: this one is spent."
    )


def _done(call: Call, resolution: Resolution) -> str:
    refund = resolution.after
    told = {
        ReportState.DUE: "; the report to Stripe is on its way.",
        ReportState.FAILED: f"; its report failed: {call.line(spelt('show', refund.id))}",
    }.get(refund.report.state, ".")
    return f"{refund.id} is {refund.state.value}{told}"


def _json(resolution: Resolution, actor: str, *, written: bool) -> dict[str, Any]:
    refund = resolution.after
    return {
        "id": refund.id,
        "written": written,
        "actor": actor,
        "state": refund.state.value,
        "processor_refund_id": refund.processor_refund_id,
        "report": refund.report.state.value,
        "refundable": resolution.payment.refundable,
        "left_over": [processor_refund.id for processor_refund in resolution.left_over],
    }
