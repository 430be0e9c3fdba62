"""`refundctl refund PAYMENT`: show the payment, ask, send, follow until Stripe knows."""

from dataclasses import replace
from itertools import chain
from typing import Any

from local.lines import Spelt, spelt
from refundctl.amounts import AmountError, minor_units
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import money, refund_json, report_text, standing, why
from refundctl.options import Call
from refundctl.refunding.asking import Asking, Result, Told
from refundctl.refunding.following import follow
from refundctl.refunding.preview import Preview, preview
from refundctl.refunding.stopping import nothing_sent
from refundctl.refunding.wish import Wish, is_key, is_payment
from refundctl.show import pairs
from refunds.refund import Refund, refund_id_of
from refunds.state_machine import ReportState, State


def refund_one(call: Call) -> Exit:
    """Refund one payment, as the command line says."""
    asked, output = call.arguments, call.output
    with nothing_sent(output):
        seen = _seen(call)
        key = asked.key or f"desk:{seen.wish.digest}"
        known = call.world.ledger.refund(refund_id_of(key, call.world.stage))
        output.aside(pairs(f"Payment {asked.payment}", seen.facts | {"idempotency key": key}))
        if known is None:
            seen.require_room()
        else:
            output.say(_known(known, asked.key))
        if asked.dry_run:
            output.result(f"Nothing was sent to {seen.deployment}.", _json(seen, key, None, None))
            return Exit.DONE
        if not asked.yes and not output.confirm(f"Refund this at {seen.deployment}?"):
            raise RefusedError("Nothing was sent.")
    told = _asked_for(call, key, seen.wish)
    if told.result is Result.UNKNOWN or not told.refund_id:
        return _unsettled(call, seen, key, told)
    refund = _followed(call, told)
    output.result(f"{seen.deployment}: {_says(refund, told)}", _json(seen, key, told, refund))
    return _exit(refund)


def _seen(call: Call) -> Preview:
    """The payment, and what of it is wanted."""
    asked = call.arguments
    if not is_payment(asked.payment):
        raise MisusedError("Name a Payment Record (pr_...), PaymentIntent (pi_...) or invoice.")
    if (asked.amount is None) == (not asked.all):
        raise MisusedError("Say --amount, or --all for everything that is left.")
    if asked.key is not None and not is_key(asked.key):
        raise MisusedError("--key: 1 to 255 printable characters, no space at either end.")
    wish = Wish(payment=asked.payment, reason=asked.reason, processor=asked.processor)
    seen = preview(call.world, replace(wish, currency=asked.currency))
    if asked.all:
        return replace(seen, wish=wish)
    try:
        amount = minor_units(asked.amount, seen.payment.currency)
    except AmountError as error:
        raise MisusedError(str(error)) from error
    wanted = replace(wish, amount=amount, currency=seen.payment.currency)
    return replace(seen, wish=wanted, amount=amount)


def _known(known: Refund, key: str | None) -> str:
    told = (
        f"Under this key {known.id} was asked for before ({standing(known)}): it is not made twice."
    )
    return told if key else f"{told} For another, equal refund name it: --key TEXT."


def _asked_for(call: Call, key: str, wish: Wish) -> Told:
    try:
        with call.service() as service:
            return Asking(service, call.arguments.patience, sleep=call.sleep)(key, wish)
    except KeyboardInterrupt:
        call.output.say("Stopped while it was being sent: whether it was made is not known.")
        call.output.say(_with_the_same_key(call, key, wish))
        raise


def _followed(call: Call, told: Told) -> Refund | None:
    asked, output = call.arguments, call.output
    try:
        with output.progress(f"Following {told.refund_id}", None) as advance:
            return follow(
                call.world,
                told.refund_id,
                wait_s=asked.wait,
                saw=lambda _: advance(1),
                sleep=call.sleep,
            )
    except KeyboardInterrupt:
        look = call.line(spelt("show", told.refund_id))
        output.say(f"It was asked for, and goes on by itself: {told.result}. See {look}")
        raise


def _with_the_same_key(call: Call, key: str, wish: Wish) -> str:
    """What to do about a refund of which nothing is known, with the line that does it."""
    again = call.line(_again(call, key, wish))
    return f"Repeat it with the same key, and only with that; it is made once: {again}"


def _unsettled(call: Call, seen: Preview, key: str, told: Told) -> Exit:
    """Refused, or it is not known what became of it: the same key finds out."""
    if told.result is Result.REFUSED:
        said = f"{seen.deployment}: Refused: {told.code}: {told.message}"
        call.output.result(said, _json(seen, key, told, None))
        return Exit.REFUSED
    call.output.say(_with_the_same_key(call, key, seen.wish))
    said = f"{seen.deployment}: Not known what became of it: {told.code}: {told.message}"
    call.output.result(said, _json(seen, key, told, None))
    return Exit.UNREACHABLE


def _again(call: Call, key: str, wish: Wish) -> Spelt:
    """The same refund under the same key. It asks before it sends."""
    asked = call.arguments
    amount = ["--all"] if asked.all else ["--amount", asked.amount]
    given = {"--currency": asked.currency, "--reason": wish.reason, "--processor": wish.processor}
    given["--key-file"] = asked.key_file
    options = chain(*((name, str(value)) for name, value in given.items() if value is not None))
    return spelt("refund", wish.payment, *amount, *options, "--key", key)


def _says(refund: Refund | None, told: Told) -> str:
    if refund is None:
        return f"{told.refund_id}: {told.result}"
    reason = f" ({why(refund)})" if why(refund) else ""
    amount = money(refund.amount, refund.currency)
    return f"{refund.id}: {amount} {standing(refund)}{reason}; report: {report_text(refund)}"


def _exit(refund: Refund | None) -> Exit:
    """Done once Stripe knows; what failed, waits or needs a person is said by 1."""
    if refund is None or refund.public_status != "succeeded":
        return Exit.REFUSED
    is_told = refund.report.state in (ReportState.REPORTED, ReportState.NOT_DUE)
    return Exit.DONE if refund.state is State.SUCCEEDED and is_told else Exit.REFUSED


def _json(seen: Preview, key: str, told: Told | None, refund: Refund | None) -> dict[str, Any]:
    return {
        "stage": seen.deployment.stage,
        "mode": seen.deployment.mode.value,
        "payment_record": seen.seen.report_to,
        "processor": seen.payment.key.processor,
        "processor_payment_id": seen.payment.key.charge_id,
        "currency": seen.payment.currency,
        "captured": seen.payment.captured,
        "refunded_before": seen.payment.refunded,
        "refundable_before": seen.payment.refundable,
        "amount": seen.amount,
        "idempotency_key": key,
        "result": None if told is None else told.result.value,
        "code": None if told is None else told.code or None,
        "message": None if told is None else told.message or None,
        "refund": None if refund is None else refund_json(refund, None),
    }
