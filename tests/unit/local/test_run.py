from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deployed import paths
from deployed.webhook_addresses import new_address
from deploying.template_yaml import read_template
from local import run
from local.providers import PROCESSORS
from local.run import UnclearWishError, Wish, webhook_host, wished, wished_times, wished_webhook
from refund_bridge.delivering.address import DEFAULT_API_VERSION


def test_times_are_those_of_the_stage_unless_they_are_named() -> None:
    assert wished_times({"HOLD_SECONDS": ""}) == {}


def test_times_that_are_named_become_parameters_of_the_template() -> None:
    times = wished_times({"SETTLE_SECONDS": "1", "HOLD_SECONDS": "30", "OTHER_SECONDS": "3"})
    assert times == {"SettleSeconds": "1", "HoldSeconds": "30"}
    assert times.keys() <= read_template(paths.TEMPLATE)["Parameters"].keys()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1m", "\u00b2"])
def test_a_time_that_is_not_a_whole_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(UnclearWishError, match="SETTLE_SECONDS"):
        wished_times({"SETTLE_SECONDS": value})


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_demo_payment_of_the_processor_that_is_named_is_refunded(processor: str) -> None:
    wish = wished({"PROCESSOR": processor}, simulated=True)
    assert wish is not None
    assert processor == "hitpay" or wish.payment_record.startswith(f"pr_{processor}_")
    # The record alone says which processor it is
    assert "processor" not in wish.body


def test_of_real_payments_none_is_refunded_that_is_not_named() -> None:
    assert wished({"PROCESSOR": "ccg"}, simulated=False) is None
    named = {"PAYMENT_RECORD": "pr_1", "AMOUNT": "12", "PROCESSOR": "ccg"}
    assert wished(named, simulated=False) == Wish("pr_1", 12, "ccg")
    assert wished({"PAYMENT_RECORD": "pr_1"}, simulated=False) == Wish("pr_1")


@pytest.mark.parametrize("given", [{"PROCESSOR": "paypal"}, {"AMOUNT": "1.5"}])
def test_what_cannot_be_meant_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(UnclearWishError, match=next(iter(given))):
        wished(given, simulated=True)


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1:4242/hooks", "https://127.0.0.1/", "https://shop.example.com/hooks"],
)
def test_events_may_go_to_this_machine_or_to_a_public_address(url: str) -> None:
    assert wished_webhook({"WEBHOOK_URL": url}) == url


def test_without_an_address_events_go_nowhere_besides() -> None:
    assert wished_webhook({}) == ""


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:4242",
        "http://shop.example.com/",
        "http://localhost:4242/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "ftp://127.0.0.1/",
        "https://tok3n@shop.example.com/",
    ],
)
def test_an_address_that_events_may_not_go_to_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(UnclearWishError, match="WEBHOOK_URL: ") as error:
        wished_webhook({"WEBHOOK_URL": url})
    assert "tok3n" not in str(error.value)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_secret_is_shown_at_a_terminal_alone(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a stack to which an address is added, and a terminal or a log
    address = new_address("http://127.0.0.1:4242/", api_version=DEFAULT_API_VERSION)
    stack: Any = SimpleNamespace(add_webhook=lambda _url: address)
    monkeypatch.setattr(run, "console", Console(force_terminal=is_terminal, width=200))
    # When it is told, then it names the address, and its secret to a terminal alone
    run._tell(stack, address.url)
    told = capsys.readouterr().out
    assert address.id in told
    assert (address.secrets[0].text in told) is is_terminal


@pytest.mark.parametrize("host", ["", "bridge.example.com", "a1.tunnel.test:8443"])
def test_one_more_host_may_be_named_for_the_webhook(host: str) -> None:
    assert webhook_host({"LOCAL_HOSTS": host.upper()}) == host


@pytest.mark.parametrize("host", ["a,b", "*", "http://a", "a/b", "a:", ".a", "a b", "a:123456"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(UnclearWishError, match="LOCAL_HOSTS"):
        webhook_host({"LOCAL_HOSTS": host})
