"""`refundctl refund PAYMENT`: show the payment, ask, send, follow until Stripe knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from deployed.command_lines import Spelt, option, spelt
from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import IdempotencyKeyReusedError, RefundBridgeError
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund, refund_id_of
from refund_bridge.domain.state_machine import ReportState, State
from refund_bridge.ports.ledger import LedgerUnavailableError
from refundctl.amounts import AmountError, minor_units
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import money, refund_json, report_text, standing, why
from refundctl.options import Call
from refundctl.refunding.asking import NO_ANSWER_YET, Asking, NotTakenError, Result, Told, told_of
from refundctl.refunding.following import follow
from refundctl.refunding.preview import Preview, preview
from refundctl.refunding.stopping import nothing_sent
from refundctl.refunding.wish import Wish, is_key, is_payment
from refundctl.show import pairs


@dataclass(frozen=True)
class _Sent:
    """What is known of the request so far; it may not be sent yet.

    Attributes:
        replayed: whether the ledger knew a refund of this key before.
    """

    seen: Preview | None
    key: str | None
    replayed: bool = False


def refund_one(call: Call) -> Exit:
    """Refund one payment, as the command line says."""
    asked, output = call.arguments, call.output
    with nothing_sent(output), _code_told(call):
        seen = _seen(call)
        key = asked.key or f"desk:{seen.wish.digest}"
        known = call.world.ledger.refund(refund_id_of(key, call.world.stage))
        seen = _as_asked_before(call, seen, known)
        output.aside(pairs(f"Payment {asked.payment}", seen.facts | {"idempotency key": key}))
        if known is None:
            seen.require_room()
        else:
            output.say(_known(known, seen.wish, asked.key))
        sent = _Sent(seen, key, replayed=known is not None)
        if asked.dry_run:
            output.result(f"Nothing was sent to {seen.deployment}.", _json(call, sent))
            return Exit.DONE
        if not asked.yes and not output.confirm(f"Refund this at {seen.deployment}?"):
            raise RefusedError("Nothing was sent.")
    told = _asked_for(call, sent, key, seen.wish)
    if told.result is Result.UNKNOWN or not told.refund_id:
        if told.result is not Result.REFUSED:
            output.say(_with_the_same_key(call, key, seen.wish))
        return _unsettled(call, sent, told)
    refund = _followed(call, sent, told)
    if refund is not None and told.result is Result.PENDING:
        told = told_of(refund_object(refund, None))
    said = f"{seen.deployment}: {_says(refund, told)}"
    output.result(said, _json(call, sent, told, refund))
    return _exit(refund)


@contextmanager
def _code_told(call: Call) -> Iterator[None]:
    """Around all that is done before the first request: an error is also told in JSON."""
    try:
        yield
    except RefundBridgeError as error:
        _tell_machines(call, _not_sent_json(call, error.code, error.message))
        raise
    except LedgerUnavailableError as error:
        _tell_machines(call, _not_sent_json(call, "ledger_unavailable", str(error)))
        raise


def _tell_machines(call: Call, value: dict[str, Any]) -> None:
    """Give machines, in JSON, what people read from the error that ends the command."""
    if call.arguments.json:
        call.output.result("", value)


def _seen(call: Call) -> Preview:
    """The payment and the wish, with the amount that is shown (also with `--all`)."""
    asked = call.arguments
    if not is_payment(asked.payment):
        raise MisusedError("Name a Payment Record (pr_...), PaymentIntent (pi_...) or invoice.")
    if (asked.amount is None) == (not asked.all):
        raise MisusedError("Say --amount, or --all for everything that is left.")
    if asked.key is not None and not is_key(asked.key):
        raise MisusedError("--key: 1 to 255 printable characters, no space at either end.")
    wish = Wish(payment=asked.payment, reason=asked.reason, processor=asked.processor)
    seen = preview(call.world, replace(wish, currency=asked.currency))
    currency = seen.payment.currency
    if asked.all:
        amount = seen.payment.refundable
    else:
        try:
            amount = minor_units(asked.amount, currency)
        except AmountError as error:
            raise MisusedError(str(error)) from error
    return replace(seen, wish=replace(wish, amount=amount, currency=currency), amount=amount)


def _as_asked_before(call: Call, seen: Preview, known: Refund | None) -> Preview:
    """With `--all` and nothing left, take the amount of the refund that this key already made: that
    refund may be why nothing is left."""
    if known is None or not call.arguments.all or seen.payment.refundable > 0:
        return seen
    return replace(seen, wish=seen.wish.with_amount_of(known), amount=known.amount)


def _known(known: Refund, wish: Wish, key: str | None) -> str:
    """The sentence that says that this key has made a refund already.

    Raises:
        IdempotencyKeyReusedError: the wish is not for that refund.
    """
    if not wish.is_of(known):
        payment = known.request.reference_id
        raise IdempotencyKeyReusedError(
            f"This key names another refund, {known.id}: {money(known.amount, known.currency)} of "
            f"{payment} ({standing(known)}). Nothing was sent; name this one by another --key."
        )
    told = (
        f"Under this key {known.id} was asked for before ({standing(known)}): it is not made twice."
    )
    return told if key else f"{told} For another, equal refund name it: --key TEXT."


def _asked_for(call: Call, sent: _Sent, key: str, wish: Wish) -> Told:
    """Ask the service for the refund.

    Raises:
        NotTakenError: the service refused our first request without looking at it: it made nothing.
    """
    with call.service() as service:
        try:
            return Asking(service, call.arguments.patience, sleep=call.sleep)(key, wish)
        except NotTakenError as error:
            if error.was_asked_before:
                return replace(error.told, message=str(error))
            told = error.told
            _tell_machines(call, _not_sent_json(call, told.code, told.message, sent))
            raise
        except (Exception, KeyboardInterrupt) as error:
            is_stopped = isinstance(error, KeyboardInterrupt)
            ended = "Stopped" if is_stopped else "An error came"
            call.output.say(f"{ended} while it was sent: it is not known whether it was made.")
            call.output.say(_with_the_same_key(call, key, wish))
            if not is_stopped:
                _tell_machines(call, _json(call, sent, replace(NO_ANSWER_YET, message=str(error))))
            raise


def _followed(call: Call, sent: _Sent, told: Told) -> Refund | None:
    """Follow the refund to its end; if something interrupts that, say that it was asked for."""
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
    except (Exception, KeyboardInterrupt) as error:
        look = call.line(spelt("show", told.refund_id))
        output.say(f"It was asked for, and goes on by itself: {told.result}. See {look}")
        if not isinstance(error, KeyboardInterrupt):
            _tell_machines(call, _json(call, sent, told))
        raise


def _with_the_same_key(call: Call, key: str, wish: Wish) -> str:
    """What to do if it is not known whether the refund was made, with the command for it."""
    again = call.line(_again(call, key, wish))
    return f"Repeat it with the same key, and only with that; it is made once: {again}"


def _unsettled(call: Call, sent: _Sent, told: Told) -> Exit:
    """The result of a refund that was refused, or of which it is not known whether it was made."""
    value = _json(call, sent, told)
    if told.result is Result.REFUSED:
        said = f"{call.world.deployment}: Refused: {told.code}: {told.message}"
        call.output.result(said, value)
        return Exit.REFUSED
    said = f"{call.world.deployment}: Not known what became of it: {told.code}: {told.message}"
    call.output.result(said, value)
    return Exit.UNREACHABLE


def _again(call: Call, key: str, wish: Wish) -> Spelt:
    """The command that asks for the same refund under the same key; it asks before it sends."""
    asked = call.arguments
    amount = ["--all"]
    if wish.amount is not None and wish.currency is not None:
        amount = ["--amount", Money(wish.amount, wish.currency).decimal_string()]
    given = {"--currency": asked.currency, "--reason": wish.reason, "--processor": wish.processor}
    given["--key-file"] = asked.key_file
    options = chain(*(option(name, str(value)) for name, value in given.items() if value))
    return spelt("refund", wish.payment, *amount, *options, *option("--key", key))


def _says(refund: Refund | None, told: Told) -> str:
    if refund is None:
        return f"{told.refund_id}: {told.result}"
    said = told.message if refund.failure is None else refund.failure.message
    reason = ": ".join(filter(None, (why(refund), said)))
    reason = f" ({reason})" if reason else ""
    amount = money(refund.amount, refund.currency)
    return f"{refund.id}: {amount} {standing(refund)}{reason}; report: {report_text(refund)}"


def _exit(refund: Refund | None) -> Exit:
    """0 if the refund succeeded and Stripe knows, or need not know; else 1."""
    if refund is None or refund.public_status != "succeeded":
        return Exit.REFUSED
    is_told = refund.report.state in (ReportState.REPORTED, ReportState.NOT_DUE)
    return Exit.DONE if refund.state is State.SUCCEEDED and is_told else Exit.REFUSED


def _json(
    call: Call, sent: _Sent, told: Told | None = None, refund: Refund | None = None
) -> dict[str, Any]:
    return {
        "stage": call.world.deployment.stage,
        "mode": call.world.deployment.mode.value,
        **_payment_json(sent.seen),
        "idempotency_key": sent.key,
        "replayed": sent.replayed,
        "result": None if told is None else told.result.value,
        "code": None if told is None else told.code or None,
        "message": None if told is None else told.message or None,
        "refund": None if refund is None else refund_json(refund, None),
    }


def _not_sent_json(
    call: Call, code: str, message: str, sent: _Sent | None = None
) -> dict[str, Any]:
    return _json(call, sent or _Sent(None, None)) | {"code": code, "message": message}


def _payment_json(seen: Preview | None) -> dict[str, Any]:
    payment = None if seen is None else seen.payment
    return {
        "payment_record": None if seen is None else seen.located.report_to,
        "processor": None if payment is None else payment.key.processor,
        "processor_payment_id": None if payment is None else payment.key.charge_id,
        "currency": None if payment is None else payment.currency,
        "captured": None if payment is None else payment.captured,
        "refunded_before": None if payment is None else payment.refunded,
        "in_flight_before": None if seen is None else seen.in_flight,
        "refundable_before": None if payment is None else payment.refundable,
        "amount": None if seen is None else seen.amount,
    }
