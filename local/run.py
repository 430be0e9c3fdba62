"""`make run`: the whole system on this machine, and one refund all the way through it.

Variables of the environment:

- `ONCE=1`: stop after that refund; exit 0 only if Stripe's simulator shows exactly that refund.
- `SETTLE_SECONDS`, `HOLD_SECONDS`: the settle interval and the late-arrival window, in whole
  seconds, instead of samconfig.toml's values. Other stages do not allow such short times.
- `PROCESSOR=hitpay`, `hyperswitch`, `hedge` or `ccg`: whose demo payment is refunded.
- `HITPAY_URL`, `STRIPE_URL`, `HITPAY_API_KEY`, `STRIPE_SECRET_KEY` (all four): use these instead of
  the simulators. Set up other processors as well by, for example, `HEDGE_URL` and `HEDGE_API_KEY`,
  with their settings as docs/processors.md names them. Keys that are left out are asked for and not
  displayed; keys for real money are refused. Then `PAYMENT_RECORD` says what to refund, `AMOUNT`
  how much if not all of it, and `PROCESSOR` at which processor, if the record names several;
  without `PAYMENT_RECORD` nothing is refunded.
- `WEBHOOK_URL=http://127.0.0.1:…`: an address of this machine, or a public one, that gets a webhook
  for everything that happens, signed with a secret that is printed.
- `LOCAL_HOSTS`: one more value of `Host` that requests to the webhook's address may have: the name
  of a tunnel that HitPay's webhooks come through. Nothing else can be reached by that name.
"""

import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from deployed import paths
from deployed.polling import NotInTimeError, wait_for
from deploying.build import BuildError
from deploying.deploy import DeployError
from local.emulator import EmulatorError
from local.external_providers import (
    IncompleteProvidersError,
    LiveProvidersError,
    external_providers,
    told_on_makes_line,
)
from local.http_client import Answer, RefundApiClient
from local.providers import PROCESSORS
from local.simulators.payments import (
    CARD_JPY,
    CARD_SGD,
    OTHER_PROCESSORS,
    WITH_INTENT,
    demo_payments,
)
from local.stack import RunningStack, running_stack
from local.trail import calls_table, history_table, last_log_lines, ledger_history
from refund_bridge.delivering.where import AddressRefusedError, require_allowed_url
from refundctl.plain_text import json_text, seen

REPORT_SECONDS = 60.0
DEMO_PAYMENTS = {payment.processor: payment for payment in (CARD_SGD, *OTHER_PROCESSORS)}
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)
TIMES = {"SETTLE_SECONDS": "SettleSeconds", "HOLD_SECONDS": "HoldSeconds"}
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class UnclearWishError(ValueError):
    """A variable of the environment has a value that makes no sense."""


SAID_IN_ONE_SENTENCE = (
    BuildError,
    DeployError,
    EmulatorError,
    IncompleteProvidersError,
    LiveProvidersError,
    UnclearWishError,
)


@dataclass(frozen=True)
class Wish:
    """What to refund; no amount means all of it.

    Attributes:
        processor: the processor's name; without it, the Payment Record says which it is.
    """

    payment_record: str
    amount: int | None = None
    processor: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The request's body."""
        amount = {} if self.amount is None else {"amount": self.amount}
        processor = {} if self.processor is None else {"processor": self.processor}
        wanted = {"payment_record": self.payment_record, **amount, **processor}
        return {**wanted, "reason": "requested_by_customer"}


def main() -> int:
    """Run it, and say how it went by the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job ignores SIGINT
        signal.signal(number, _interrupt)
    once = os.environ.get("ONCE", "") not in ("", "0")
    try:
        external = external_providers()
        wish = wished(os.environ, simulated=external is None)
        times, host = wished_times(os.environ), webhook_host(os.environ)
        webhook_url = wished_webhook(os.environ)
        for name in told_on_makes_line(os.environ):
            console.print(
                f"[yellow]{name} on make's line is seen by `ps` and kept by the shell: leave it out"
                " and be asked, or export it.[/yellow]"
            )
        with running_stack(
            external=external,
            parameters=times,
            step=_step,
            announce=paths.STACK_FILE,
            webhook_host=host,
        ) as stack:
            if external is None:
                with _step("Seeding the simulators' demo payments"):
                    stack.control.seed(demo_payments())
            if webhook_url:
                _tell(stack, webhook_url)
            fine = wish is None or _refund(stack, wish)
            if once:
                return 0 if fine else 1
            if external is None:
                # From here on HitPay's simulator sends its webhooks to the stack, as HitPay does.
                # Earlier, they would only mix with what is shown of the first refund.
                stack.control.set_hitpay(webhook_url=stack.webhook_url)
            _explain(stack)
            _serve(stack)
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
    except SAID_IN_ONE_SENTENCE as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 2
    return 0


def wished(environment: Mapping[str, str], *, simulated: bool) -> Wish | None:
    """Read what to refund: by default a part of a demo payment; with real providers, nothing."""
    record, amount = environment.get("PAYMENT_RECORD", ""), environment.get("AMOUNT", "")
    processor = environment.get("PROCESSOR") or None
    if amount and not amount.isdecimal():
        raise UnclearWishError(f"AMOUNT is a whole number of minor units, not {amount!r}")
    if processor is not None and processor not in PROCESSORS:
        raise UnclearWishError(f"PROCESSOR is one of {', '.join(PROCESSORS)}, not {processor!r}")
    if record:
        return Wish(record, int(amount) if amount else None, processor)
    if not simulated:
        return None
    return Wish(DEMO_PAYMENTS[processor or "hitpay"].record_id, 2500)


def wished_times(environment: Mapping[str, str]) -> dict[str, str]:
    """Read the times that differ from the stage's, as template parameters."""
    given = {name: environment[name] for name in TIMES if environment.get(name)}
    for name, value in given.items():
        if not value.isdecimal() or not int(value):
            raise UnclearWishError(f"{name} is a whole number of seconds, not {value!r}")
    return {TIMES[name]: str(int(value)) for name, value in given.items()}


def wished_webhook(environment: Mapping[str, str]) -> str:
    """Read the address that gets webhooks; empty for none."""
    url = environment.get("WEBHOOK_URL", "")
    if url:
        try:
            require_allowed_url(url, local=True)
        except AddressRefusedError as error:
            raise UnclearWishError(f"WEBHOOK_URL: {error}") from None
    return url


def webhook_host(environment: Mapping[str, str]) -> str:
    """Read one more value of `Host` for the webhook's address; empty for none."""
    host = environment.get("LOCAL_HOSTS", "").lower()
    if host and not HOST.fullmatch(host):
        raise UnclearWishError(f"LOCAL_HOSTS is one name, perhaps with a port, not {host!r}")
    return host


def _refund(stack: RunningStack, wish: Wish) -> bool:
    """Refund, wait until Stripe knows, and show everything; True if all is as it should be."""
    client = RefundApiClient(stack.api_url, stack.api_key)
    of = "all" if wish.amount is None else str(wish.amount)
    with _step(f"POST /v1/refunds: {of} of {wish.payment_record}"):
        answer = client.create_refund(f"make-run-{uuid.uuid4()}", **wish.body)
    console.print(f"  answered {answer.status}")
    if answer.status not in (201, 202):
        console.print(Panel(escape(seen(answer.text)), title="Not refunded", title_align="left"))
        console.print("The end of the function's log:")
        print(last_log_lines(stack, stack.outputs["RefundApiLogGroup"]))
        return False
    refund_id = answer.body["id"]
    try:
        with _step("Waiting for the report to Stripe"):
            final = wait_for(
                # With sync, a refund that its processor finishes later is checked at once.
                lambda: _reported(client.request("GET", f"/v1/refunds/{refund_id}?sync=true")),
                "stripe_report.status reported",
                at_most=REPORT_SECONDS,
                every=0.1,
            )
    except NotInTimeError as error:
        console.print(f"[red]{error}[/red]")
        final = client.read_refund(refund_id).body
    _show(stack, final)
    return _as_it_should(stack, wish, final)


def _tell(stack: RunningStack, url: str) -> None:
    """Send webhooks to the address, and print the secret that signs them."""
    address = stack.add_webhook(url)
    # A log would keep the secret.
    secret = address.secrets[-1].text if console.is_terminal else "<shown at a terminal only>"
    console.print(f"Webhooks go to {url} as {address.id}, signed with")
    print(f"  {secret}")


def _reported(answer: Answer) -> Any:
    report = answer.body["stripe_report"]["status"] if answer.status == 200 else None
    return answer.body if report in ("reported", "failed") else None


def _show(stack: RunningStack, refund: dict[str, Any]) -> None:
    print(json_text(refund))
    if stack.providers.control:
        console.print(calls_table(stack.control.calls()))
    console.print(history_table(ledger_history(stack, refund["id"])))


def _as_it_should(stack: RunningStack, wish: Wish, refund: dict[str, Any]) -> bool:
    if stack.providers.control is None:
        return bool(refund["stripe_report"]["status"] == "reported")
    reports = stack.control.reports(wish.payment_record)
    told = [f"{report.amount} {report.currency}" for report in reports]
    console.print(f"Stripe was told of {len(told)} refund(s) of {wish.payment_record}: {told}")
    return [report.amount for report in reports] == [refund["amount"]]


def _explain(stack: RunningStack) -> None:
    record = CARD_JPY.record_id if stack.providers.control else "pr_..."
    console.rule("Ready")
    console.print("Refund something yourself:\n")
    # Printed without rich's wrapping, so that people can copy it. A log would keep the key.
    key = stack.api_key if console.is_terminal else "<api_key of .local/stack.json>"
    print(f"""curl -sS '{stack.api_url}/v1/refunds' \\
  -H 'Authorization: Bearer {key}' \\
  -H 'Idempotency-Key: order-1007' \\
  -H 'Content-Type: application/json' \\
  -d '{{"payment_record": "{record}", "amount": 1200}}'
""")
    named = {**stack.providers.urls, "stripe": stack.providers.stripe_url}
    for name, url in named.items():
        console.print(f"{name:<12} {url}")
    console.print(f"{'AWS':<12} {stack.emulator.url}  (described in .local/stack.json)")
    if stack.providers.control:
        print(f"""
Or refund it in HitPay's dashboard, and see it reach Stripe:

curl -sS '{stack.providers.hitpay_url}/_control/dashboard-refunds' \\
  -H 'Content-Type: application/json' \\
  -d '{{"payment_id": "{WITH_INTENT.charge_id}", "amount": "10.00"}}'
curl -sS '{stack.api_url}/v1/payments/{WITH_INTENT.record_id}' \\
  -H 'Authorization: Bearer {key}'
""")
    console.print(
        "settle_refunds is started again and again (SETTLE_SECONDS): it runs scheduled refunds and"
        " finds out about pending ones."
    )
    console.print("Serving until Ctrl-C.")


def _serve(stack: RunningStack) -> None:
    waiting = threading.Event()
    while not waiting.wait(1):
        if (code := stack.emulator.process.exit_code) is not None:
            console.print(f"[red]The embedded cloud ended with {code}.[/red]")
            console.print(stack.emulator.process.last_words())
            sys.exit(1)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Show what is being done, and afterwards how long it took."""
    started = time.monotonic()
    with console.status(what):
        if not console.is_terminal:
            console.print(f"{what} ...")
        yield
    console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - started:.1f} s[/dim]")


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """End the program; the context managers stop everything that was started."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
