"""Do the merchants' addresses accept the webhooks that we send?"""

from collections.abc import Iterator

from deployed.command_lines import spelt
from refund_bridge.delivering.ports import Status
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import Call
from refundctl.times import age
from refundctl.webhooks_out import AddressAtWork

# An address that works is never as late as this.
LATE_MS = 3_600_000


def check(call: Call) -> Iterator[Finding]:
    """Check each address; with `--webhooks`, send a test event to each one that is enabled."""
    out, now_ms = call.world.webhooks, call.world.clock.now_ms()
    stored = {address.id for address in out.store.all()}
    for one in out.at_work():
        if one.state.id not in stored:
            yield missing(one)
            continue
        yield at_work(one, now_ms)
        if call.arguments.webhooks and one.state.status is Status.ENABLED:
            yield tried(call, one.state.id)


def missing(one: AddressAtWork) -> Finding:
    """An address whose URL and secrets are gone."""
    return fail(
        _name(one),
        "its parameter is missing, and with it URL and secret",
        "Remove it, and add the URL anew.",
        spelt("webhooks", "remove", one.state.id),
    )


def at_work(one: AddressAtWork, now_ms: int) -> Finding:
    """Whether an address accepts what we send, by the attempts so far."""
    state, replay = one.state, spelt("webhooks", "replay", one.state.id, "--failed")
    if state.status is Status.DISABLED:
        todo = "If it is to hear again: enable it, and send what it missed."
        told = f"is disabled: {state.reason or 'no reason is kept'}"
        return warn(_name(one), told, todo, spelt("webhooks", "enable", state.id), replay)
    late_ms = 0 if one.oldest_owed_ms is None else now_ms - one.oldest_owed_ms
    if state.is_closed(now_ms) or late_ms > LATE_MS:
        told = f"owes {one.owed} refunds, the oldest for {age(late_ms)}: {state.last_error or '-'}"
        todo = "Tell whoever runs it; see what it answers."
        return warn(_name(one), told, todo, spelt("webhooks", "test", state.id))
    return fine(_name(one), f"took {state.delivered}, owes {one.owed}")


def tried(call: Call, address_id: str) -> Finding:
    """Send a test event, and say how the address answered."""
    function = call.target.stack.outputs["DeliverWebhooksFunctionName"]
    told = call.target.invoke(function, {"test_address": address_id})
    name = f"test event to {address_id}"
    if told.get("taken") is True:
        return fine(name, f"taken in {told['took_ms']} ms")
    reason = str(told.get("reason") or "the function failed; its log says why")
    return fail(name, reason, "Tell whoever runs it.")


def _name(one: AddressAtWork) -> str:
    return f"webhooks to {one.state.id}"
