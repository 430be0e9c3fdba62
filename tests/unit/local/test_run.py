import pytest

from local import paths
from local.providers import PROCESSORS
from local.run import UnclearWishError, Wish, webhook_host, wished, wished_times
from local.template_yaml import read_template


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


@pytest.mark.parametrize("host", ["", "bridge.example.com", "a1.tunnel.test:8443"])
def test_one_more_host_may_be_named_for_the_webhook(host: str) -> None:
    assert webhook_host({"LOCAL_HOSTS": host.upper()}) == host


@pytest.mark.parametrize("host", ["a,b", "*", "http://a", "a/b", "a:", ".a", "a b", "a:123456"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(UnclearWishError, match="LOCAL_HOSTS"):
        webhook_host({"LOCAL_HOSTS": host})
