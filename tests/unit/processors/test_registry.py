"""Which processors there are, what sets them up, and what they say of themselves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import refund_bridge
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.ports.processor import Dedupe, LookUp
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, build, set_up
from tests.unit.processors.doubles import StoredKey

CCG = {"CCG_URL": "https://api-stg.uhg.com", "CCG_MERCHANT_ID": "m-1", "CCG_AMOUNT_UNIT": "minor"}
ENV = {"PYTHONPATH": str(Path(refund_bridge.__file__).parent.parent)}
EVERY = {
    "HITPAY_URL": "https://api.sandbox.hit-pay.com",
    "HYPERSWITCH_URL": "https://sandbox.hyperswitch.io",
    "HEDGE_URL": "https://api-sandbox.hedgepayments.com",
    **CCG,
    "STRIPE_PAYMENTS_URL": "https://api.stripe.com",
}


def test_hitpay_is_one_of_five_and_the_first() -> None:
    # A payment reference without metadata is looked up at the first.
    assert list(REGISTRY) == ["hitpay", "hyperswitch", "hedge", "ccg", "stripe"]


def test_no_record_leads_to_stripe_itself() -> None:
    # What an outside Payment Record books is never refunded there, whatever its metadata say.
    assert list(OF_RECORDS) == ["hitpay", "hyperswitch", "hedge", "ccg"]


def test_that_stripe_is_told_of_refunds_does_not_say_that_it_makes_them() -> None:
    assert set_up({"STRIPE_URL": "https://api.stripe.com"}, Mode.TEST) == {}


@pytest.mark.parametrize("name", REGISTRY)
def test_an_adapter_goes_by_the_name_that_metadata_and_settings_have(name: str) -> None:
    adapter = REGISTRY[name]
    assert adapter.name == name
    assert re.fullmatch(r"[a-z]+", name)
    assert adapter.secret.startswith(f"{name}-")
    # Stripe has one address for both modes, and its key shows which it is of.
    assert adapter.live_host != adapter.sandbox_host or name == "stripe"


@pytest.mark.parametrize("name", REGISTRY)
def test_what_a_processor_can_do_is_enough_to_settle_by(name: str) -> None:
    can = REGISTRY[name].capabilities
    assert can.looks_up
    if can.dedupes is Dedupe.BY_LOOK_UP:
        # Without a key an instruction is found again only on its payment.
        assert LookUp.BY_PAYMENT in can.looks_up


def test_a_processor_is_set_up_by_its_url() -> None:
    assert list(set_up(EVERY, Mode.TEST)) == list(REGISTRY)
    assert list(set_up({"HEDGE_URL": "http://127.0.0.1:8080"}, Mode.TEST)) == ["hedge"]
    assert set_up({}, Mode.TEST) == {}


def test_an_empty_variable_counts_as_absent() -> None:
    empty = {**EVERY, "HEDGE_URL": "", "HYPERSWITCH_REFUND_ID_MAX": "", "CCG_UPSTREAM_ENV": ""}
    found = set_up(empty, Mode.TEST)
    assert list(found) == ["hitpay", "hyperswitch", "ccg", "stripe"]
    assert found["hyperswitch"].model_dump()["refund_id_max"] == 64
    assert found["ccg"].model_dump()["upstream_env"] is None


@pytest.mark.parametrize("name", REGISTRY)
def test_every_processor_is_built_from_its_settings(
    name: str, key: StoredKey, http: DeadlineHttp
) -> None:
    settings = set_up(EVERY, Mode.TEST)[name]
    processor = build(name, settings, key, http)
    assert processor.name == name
    assert processor.capabilities is REGISTRY[name].capabilities


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"CCG_AMOUNT_UNIT": ""}, "CCG_AMOUNT_UNIT"),
        ({"CCG_AMOUNT_UNIT": "cents"}, "CCG_AMOUNT_UNIT"),
        ({"CCG_MERCHANT_ID": ""}, "CCG_MERCHANT_ID"),
        ({"CCG_CURRENCY": "USD"}, "CCG_CURRENCY"),
        ({"CCG_REASONS": "some"}, "CCG_REASONS"),
        ({"HEDGE_URL": "ftp://hedge"}, "HEDGE_URL"),
        ({"HEDGE_OTHER_DECIMALS": "round"}, "HEDGE_OTHER_DECIMALS"),
        ({"HYPERSWITCH_REFUND_ID_MAX": "29"}, "HYPERSWITCH_REFUND_ID_MAX"),
        ({"HITPAY_ZERO_DECIMAL_FORM": "none"}, "HITPAY_ZERO_DECIMAL_FORM"),
    ],
)
def test_what_is_missing_or_out_of_range_is_named(changes: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        set_up({**EVERY, **changes}, Mode.TEST)


def test_the_gateways_amount_unit_has_no_default() -> None:
    # A wrong one moves a hundred times too much or too little.
    without = {name: value for name, value in CCG.items() if name != "CCG_AMOUNT_UNIT"}
    with pytest.raises(ConfigurationError, match="CCG_AMOUNT_UNIT: Field required"):
        set_up(without, Mode.TEST)


@pytest.mark.parametrize("name", OF_RECORDS)
class TestTheMode:
    """Real and play money are never mixed."""

    @staticmethod
    def with_url(name: str, url: str) -> dict[str, str]:
        return {**CCG, "CCG_URL": "", f"{name.upper()}_URL": url}

    def test_live_is_refused_where_money_is_not_real(self, name: str) -> None:
        host = REGISTRY[name].sandbox_host
        for url in (f"https://{host}", f"https://{host}.", f"https://{host.upper()}/v1"):
            with pytest.raises(ConfigurationError, match="MODE is live"):
                set_up(self.with_url(name, url), Mode.LIVE)
            assert list(set_up(self.with_url(name, url), Mode.TEST)) == [name]

    def test_test_is_refused_where_money_is_real(self, name: str) -> None:
        host = REGISTRY[name].live_host
        for url in (f"https://{host}", f"http://{host}.:443/x"):
            with pytest.raises(ConfigurationError, match="MODE is test"):
                set_up(self.with_url(name, url), Mode.TEST)
        assert list(set_up(self.with_url(name, f"https://{host}"), Mode.LIVE)) == [name]

    def test_live_money_goes_over_https(self, name: str) -> None:
        url = f"http://{REGISTRY[name].live_host}"
        with pytest.raises(ConfigurationError, match="MODE is live"):
            set_up(self.with_url(name, url), Mode.LIVE)


def test_stripes_live_money_goes_over_https_too() -> None:
    with pytest.raises(ConfigurationError, match="MODE is live"):
        set_up({"STRIPE_PAYMENTS_URL": "http://api.stripe.com"}, Mode.LIVE)
    for mode in Mode:
        assert list(set_up({"STRIPE_PAYMENTS_URL": "https://api.stripe.com"}, mode)) == ["stripe"]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.hit-pay.com.evil.example",
        "https://user@127.0.0.1:8080",
        "https://hitpay.example",
    ],
)
def test_hitpays_money_is_real_at_one_address_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="HITPAY_URL is not https://"):
        set_up({"HITPAY_URL": url}, Mode.LIVE)


@pytest.mark.parametrize(
    "url", ["https://API.hit-pay.com/", "https://api.hit-pay.com:443", "http://u@api.hit-pay.com"]
)
def test_however_its_live_address_is_spelt(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MODE is test"):
        set_up({"HITPAY_URL": url}, Mode.TEST)


def test_hyperswitch_may_be_installed_somewhere_of_ones_own() -> None:
    own = {"HYPERSWITCH_URL": "https://payments.example"}
    assert list(set_up(own, Mode.LIVE)) == ["hyperswitch"]


def test_who_starts_imports_those_that_are_set_up_and_no_other() -> None:
    program = (
        "import sys\n"
        "from refund_bridge.processors.registry import import_set_up\n"
        "import_set_up({'HEDGE_URL': 'http://h', 'CCG_URL': ''})\n"
        "names = ('hitpay', 'hyperswitch', 'hedge', 'ccg')\n"
        "print([n for n in names if f'refund_bridge.processors.{n}.adapter' in sys.modules])\n"
    )
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=ENV
    )
    assert done.stdout.strip() == "['hedge']"
