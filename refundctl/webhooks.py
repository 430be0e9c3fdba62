"""`refundctl webhooks`: the merchants' addresses that events are sent to.

An address's secret is shown once, when it is made. To change it without an interruption: run
`webhooks rotate`, and give the new secret to the people who run the address; webhooks are signed
with both secrets for a day. A secret is written to its file before it is stored: if writing fails,
nothing has changed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deployed.command_lines import spelt
from deployed.webhook_addresses import TooManyAddressesError, new_address, new_secret
from refund_bridge.delivering import schedule
from refund_bridge.delivering.address import (
    ADDRESS_ID,
    API_VERSION,
    DEFAULT_API_VERSION,
    TYPES,
    WebhookAddress,
)
from refund_bridge.delivering.message import PoisonMessageError, parse_message
from refund_bridge.delivering.ports import Status
from refund_bridge.delivering.where import AddressRefusedError, require_allowed_url
from refundctl import options
from refundctl.dead_letters import DeadLetterQueue
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.options import Call, Groups
from refundctl.secret_file import keep_secret
from refundctl.target import LOCAL
from refundctl.times import age, rfc3339, shown_with_zone
from refundctl.webhooks_out import AddressAtWork, WebhooksOut, word_of

HOURS_DEFAULT = 24
HOURS_MAX = 168
LETTERS_MAX = 10_000
COLUMNS = ("address", "url", "is", "types", "taken", "failed", "owed", "oldest", "last error")


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    webhooks = options.group(groups, "webhooks", "The addresses that events are sent to.")
    add = options.command(webhooks, "add", _add, "Add an address; its secret is shown this once.")
    add.add_argument("url", help="https://…, reachable from the internet")
    add.add_argument(
        "--type",
        dest="types",
        action="append",
        choices=TYPES,
        help="an event type that it wants, once for each; left out: all",
    )
    add.add_argument(
        "--api-version",
        type=_version,
        default=DEFAULT_API_VERSION,
        metavar="VERSION",
        help=f"Stripe's, shown in each event; {DEFAULT_API_VERSION}",
    )
    _declare_output(add)
    options.command(webhooks, "list", _list, "Show the addresses, and how they do.")
    for name, run, summary in (
        ("test", _test, "Send a test event, from where the others are sent."),
        (
            "disable",
            _disable,
            "Send nothing to an address; what happens meanwhile is not kept for it.",
        ),
        ("enable", _enable, "Send to an address again, and what it was owed when it was disabled."),
    ):
        _declare_address(options.command(webhooks, name, run, summary))
    rotate = options.command(webhooks, "rotate", _rotate, "Give an address another secret.")
    _declare_address(rotate)
    rotate.add_argument(
        "--hours",
        type=options.whole(0, HOURS_MAX),
        default=HOURS_DEFAULT,
        help=f"how long the old one signs beside it; {HOURS_DEFAULT}",
    )
    rotate.add_argument(
        "--lost",
        action="store_true",
        help="nobody has the newest secret of two that sign: replace that one",
    )
    _declare_output(rotate)
    remove = options.command(webhooks, "remove", _remove, "Remove an address and its secrets.")
    _declare_address(remove)
    remove.add_argument("--yes", action="store_true", help="do not ask")
    replay = options.command(webhooks, "replay", _replay, "Send again what happened to refunds.")
    _declare_address(replay)
    replay.add_argument("refund", nargs="*", help="a refund's id; may be repeated")
    replay.add_argument(
        "--failed", action="store_true", help="all that lies among the dead letters for it"
    )
    replay.add_argument(
        "--from",
        dest="from_sequence",
        type=options.whole(1, 100_000),
        metavar="SEQUENCE",
        help="from that line of the history on; left out: all, or with --failed from what failed",
    )


def _declare_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", help="the address's id, we_…")


def _declare_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the secret there, for its owner alone; - for stdout, whatever reads it",
    )


# --- addresses ------------------------------------------------------------------------------------


def _add(call: Call) -> Exit:
    asked, out = call.arguments, call.world.webhooks
    try:
        require_allowed_url(asked.url, local=_is_local(call))
    except AddressRefusedError as error:
        raise RefusedError(f"Webhooks may not go there: {error}. Nothing was added.") from error
    _require_place(call)
    address = new_address(
        asked.url, types=tuple(dict.fromkeys(asked.types or ())), api_version=asked.api_version
    )
    _put(call, address)
    out.states.set_status(address.id, Status.ENABLED, now_ms=call.world.clock.now_ms())
    call.output.say(f"The address {address.id}. Its secret is shown this once.")
    _show_secret(call, address)
    try_it = call.line(spelt("webhooks", "test", address.id))
    call.output.say(f"It is told of what happens from now on. Try it: {try_it}")
    return Exit.DONE


def _rotate(call: Call) -> Exit:
    address, now_ms = _stored(call), call.world.clock.now_ms()
    _require_place(call)
    until_ms = address.rotating_until_ms(now_ms)
    if until_ms is not None and not call.arguments.lost:
        raise RefusedError(
            f"It was rotated before, and both secrets sign until {shown_with_zone(until_ms)}."
            " If nobody has the newest one, say --lost. Nothing was changed."
        )
    hours = call.arguments.hours
    rotated = address.rotated(new_secret(), now_ms=now_ms, old_until_ms=now_ms + hours * 3_600_000)
    _put(call, rotated)
    call.output.say(f"The new secret of {address.id}. It is shown this once.")
    _show_secret(call, rotated)
    call.output.say(
        f"Both sign for {hours} h: a receiver that knows one of them is served."
        if hours
        else "The old one signs no more."
    )
    return Exit.DONE


def _require_place(call: Call) -> None:
    """Refuse, before anything is made, if the secret would go to no terminal or to an existing
    file."""
    output = call.arguments.output
    if output is None and not sys.stdout.isatty():
        raise MisusedError(
            "Nobody sees it, and a log would keep it: say --output FILE, or --output - if what"
            " reads it keeps secrets."
        )
    if (file := _file(call)) is not None and file.exists():
        raise RefusedError(f"{file} is there already. Nothing was changed.")


def _file(call: Call) -> Path | None:
    """The file that the secret goes to; `None`: it goes to stdout."""
    output = call.arguments.output
    return None if output in (None, "-") else Path(output)


def _put(call: Call, address: WebhookAddress) -> None:
    """Write the newest secret to its file, then store the address."""
    file = _file(call)
    if file is not None:
        keep_secret(file, address.secrets[-1].text)
    try:
        call.world.webhooks.store.put(address)
    except TooManyAddressesError as error:
        if file is not None:
            file.unlink()
        raise RefusedError(str(error)) from error
    except (BotoCoreError, ClientError):
        if file is not None:
            call.output.say(
                f"The secret in {file} may not be used. How many secrets sign is shown by: "
                f"{call.line(spelt('webhooks', 'list'))}"
            )
        raise


def _show_secret(call: Call, address: WebhookAddress) -> None:
    secret, file = address.secrets[-1].text, _file(call)
    told = {"id": address.id, "url": address.url, "types": list(address.types)}
    if file is None:
        call.output.result(secret, {**told, "secret": secret})
    else:
        call.output.result(f"Written to {file}.", {**told, "file": str(file)})


def _list(call: Call) -> Exit:
    out, now_ms = call.world.webhooks, call.world.clock.now_ms()
    stored = {address.id: address for address in out.store.all()}
    rows, values = [], []
    for one in out.at_work():
        address = stored.get(one.state.id)
        rows.append(_row(one, address, now_ms))
        values.append(_json(one, address, now_ms))
    call.output.table(COLUMNS, rows, values, empty="There are no addresses.")
    return Exit.DONE


def _row(one: AddressAtWork, address: WebhookAddress | None, now_ms: int) -> tuple[str, ...]:
    state = one.state
    return (
        state.id,
        address.url if address else "(its parameter is missing)",
        word_of(one, now_ms),
        ", ".join(address.types) or "all" if address else "",
        str(state.delivered),
        str(state.failed),
        str(one.owed),
        "" if one.oldest_owed_ms is None else age(now_ms - one.oldest_owed_ms),
        state.reason or state.last_error or "",
    )


def _json(one: AddressAtWork, address: WebhookAddress | None, now_ms: int) -> dict[str, object]:
    state = one.state
    last = state.last_delivered_at_ms
    return {
        "id": state.id,
        "url": address.url if address else None,
        "status": word_of(one, now_ms),
        "types": list(address.types) if address else None,
        "api_version": address.api_version if address else None,
        "secrets": len(address.signing(now_ms)) if address else 0,
        "delivered": state.delivered,
        "failed": state.failed,
        "failures_running": state.failures,
        "owed": one.owed,
        "oldest_owed_at": None if one.oldest_owed_ms is None else rfc3339(one.oldest_owed_ms),
        "last_delivered_at": None if last is None else rfc3339(last),
        "last_error": state.reason or state.last_error,
    }


def _test(call: Call) -> Exit:
    address = _stored(call)
    function = call.target.stack.outputs["DeliverWebhooksFunctionName"]
    told = call.target.invoke(function, {"test_address": address.id})
    if told.get("taken") is True:
        call.output.result(f"{address.id} took the test event in {told['took_ms']} ms.", told)
        return Exit.DONE
    reason = told.get("reason") or "the function failed; its log says why"
    call.output.result(f"{address.id} did not take the test event: {reason}.", told)
    return Exit.REFUSED


def _disable(call: Call) -> Exit:
    return _set(
        call,
        Status.DISABLED,
        "by an operator",
        "Nothing is sent to {} any more. Unsent events are kept for " + _kept_for(call) + ".",
    )


def _kept_for(call: Call) -> str:
    """For how long we try to deliver an event: three days, and less on local stages."""
    return age(schedule.GIVE_UP_STEPS * call.world.webhooks.step_ms)


def _enable(call: Call) -> Exit:
    _stored(call)
    done = _set(call, Status.ENABLED, None, "{} gets new events from now on.")
    out, now_ms = call.world.webhooks, call.world.clock.now_ms()
    if owed := out.hurry(call.arguments.address, now_ms):
        call.output.say(f"It is owed events of {owed} refunds; settling sends them within minutes.")
    return done


def _remove(call: Call) -> Exit:
    address_id = _known(call)
    if not call.arguments.yes and not call.output.confirm(
        f"Remove {address_id} with its secrets for good?"
    ):
        raise RefusedError("Nothing was removed.")
    done = _set(call, Status.REMOVED, "by an operator", "{} is removed.")
    call.world.webhooks.store.remove(address_id)
    return done


def _set(call: Call, status: Status, reason: str | None, sentence: str) -> Exit:
    address_id, now_ms = _known(call), call.world.clock.now_ms()
    call.world.webhooks.states.set_status(address_id, status, now_ms=now_ms, reason=reason)
    told = {"id": address_id, "status": status.value}
    call.output.result(sentence.format(address_id), told)
    return Exit.DONE


def _known(call: Call) -> str:
    """The id that was given, if there is such an address."""
    asked: str = call.arguments.address
    state = call.world.webhooks.states.state(asked) if ADDRESS_ID.fullmatch(asked) else None
    if state is None or state.status is Status.REMOVED:
        shown_by = call.line(spelt("webhooks", "list"))
        raise RefusedError(f"There is no address {asked}. They are shown by: {shown_by}")
    return asked


def _stored(call: Call) -> WebhookAddress:
    """The address that was given, with its URL and secrets."""
    asked = _known(call)
    for address in call.world.webhooks.store.all():
        if address.id == asked:
            return address
    raise RefusedError(
        f"The parameter of {asked} is missing, and its secret with it: remove it, and add the URL"
        " anew."
    )


def _is_local(call: Call) -> bool:
    return call.target.stack.parameters.get("Stage") == LOCAL


def _version(text: str) -> str:
    if not API_VERSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}: as in {DEFAULT_API_VERSION}")
    return text


# --- replay ---------------------------------------------------------------------------------------


def _replay(call: Call) -> Exit:
    asked, out = call.arguments, call.world.webhooks
    if bool(asked.refund) == asked.failed:
        raise MisusedError("Name refunds, or say --failed.")
    address_id = _known(call)
    state = out.states.state(address_id)
    if state is None or state.status is not Status.ENABLED:
        raise RefusedError(f"{address_id} is not enabled: webhooks enable {address_id}.")
    first = _failed(call, address_id) if asked.failed else dict.fromkeys(asked.refund, 1)
    unknown = sorted(first.keys() - call.world.listing.refunds(list(first)).keys())
    if unknown:
        raise RefusedError(f"The ledger has no {', '.join(unknown)}. Nothing was sent.")
    for refund_id, sequence in first.items():
        _rewind(call, out, refund_id, (asked.from_sequence or sequence) - 1)
    missed = out.bell.ring([(refund_id, address_id) for refund_id in first])
    told = f"What happened to {len(first)} refunds is sent to {address_id} again."
    call.output.result(told, {"address": address_id, "refunds": sorted(first)})
    if missed:
        call.output.say("The queue did not answer; settling sends the messages within minutes.")
    if first:
        call.output.say("A receiver knows what it has had by the event's id.")
    return Exit.DONE


def _rewind(call: Call, out: WebhooksOut, refund_id: str, after_sequence: int) -> None:
    now_ms = call.world.clock.now_ms()
    out.cursors.rewind(
        refund_id,
        call.arguments.address,
        after_sequence=after_sequence,
        now_ms=now_ms,
        check_at_ms=now_ms + schedule.CLOSED_STEPS[0] * out.step_ms,
    )


def _failed(call: Call, address_id: str) -> dict[str, int]:
    """The refunds in an address's dead letters, each with the first line of history it missed."""
    queue = DeadLetterQueue(
        sqs=call.target.client("sqs"),
        name="webhooks",
        url=call.target.stack.outputs["WebhookDeadLetterQueueUrl"],
        destination_url=None,
    )
    first: dict[str, int] = {}
    for body in _bodies(queue):
        try:
            message = parse_message(body)
        except PoisonMessageError:
            continue
        if message.address_id == address_id:
            sequence = message.sequence or 1
            before = first.get(message.refund_id, sequence)
            first[message.refund_id] = min(before, sequence)
    return first


def _bodies(queue: DeadLetterQueue) -> Sequence[str]:
    return [letter.body for letter in queue.peek(LETTERS_MAX)] if queue.depth() else []
