import pytest

from local.external_providers import (
    IncompleteProvidersError,
    LiveProvidersError,
    external_providers,
    told_on_makes_line,
)
from local.providers import OTHERS, PROCESSORS, SimulatedProcessor
from refund_bridge.processors.registry import REGISTRY
from refundctl.processors import environment_of, parameter_of

ALL = {
    "HITPAY_URL": "https://api.sandbox.hit-pay.com/",
    "STRIPE_URL": "https://api.stripe.com",
    "HITPAY_API_KEY": "hp_secret",
    "STRIPE_SECRET_KEY": "sk_test_secret",
}


def test_nothing_given_means_the_simulators() -> None:
    assert external_providers({"HITPAY_URL": ""}) is None


def test_all_four_name_real_endpoints() -> None:
    providers = external_providers(ALL)
    assert providers
    assert providers.hitpay_url == "https://api.sandbox.hit-pay.com"
    assert providers.control is None


@pytest.mark.parametrize("left_out", ALL)
def test_half_of_it_is_refused_without_showing_a_key(left_out: str) -> None:
    given = {name: value for name, value in ALL.items() if name != left_out}
    with pytest.raises(IncompleteProvidersError, match=left_out) as refused:
        external_providers(given)
    assert "secret" not in str(refused.value)


CCG = {
    "CCG_URL": "https://api-stg.uhg.com",
    "CCG_ACCESS_TOKEN": "ccg_secret",
    "CCG_MERCHANT_ID": "m-1",
    "CCG_AMOUNT_UNIT": "minor",
}


def test_other_processors_are_set_up_beside_them() -> None:
    providers = external_providers({**ALL, **CCG, "CCG_REASONS": ""})
    assert providers
    assert providers.others == {
        "CcgUrl": "https://api-stg.uhg.com",
        "CcgMerchantId": "m-1",
        "CcgAmountUnit": "minor",
    }
    assert providers.other_keys == {"ccg-access-token": "ccg_secret"}
    assert "ccg_secret" not in repr(providers)
    assert not external_providers(ALL).others  # type: ignore[union-attr]


@pytest.mark.parametrize("left_out", ["CCG_URL", "CCG_ACCESS_TOKEN"])
def test_half_of_one_is_refused_without_showing_its_key(left_out: str) -> None:
    given = {name: value for name, value in {**ALL, **CCG}.items() if name != left_out}
    with pytest.raises(IncompleteProvidersError, match=left_out) as refused:
        external_providers(given)
    assert "secret" not in str(refused.value)


def test_another_processor_alone_is_refused() -> None:
    with pytest.raises(IncompleteProvidersError, match="CCG_URL given"):
        external_providers(CCG)


def test_every_variable_of_another_processor_is_one_of_the_functions() -> None:
    declared = [
        parameter_of(name, field)
        for name in OTHERS
        for field in REGISTRY[name].settings_form.model_fields
    ]
    variables = environment_of({parameter: parameter for parameter in declared})
    given = {name: value for name, value in variables.items() if value}
    keys = {one.secret.replace("-", "_").upper(): "k" for one in OTHERS.values()}
    providers = external_providers({**ALL, **given, **keys})
    assert providers
    assert providers.others == {parameter: parameter for parameter in declared}


def test_keys_do_not_show_when_printed() -> None:
    assert "secret" not in repr(external_providers(ALL))


@pytest.mark.parametrize("key", ["sk_live_secret", "rk_live_secret"])
def test_a_live_key_of_stripes_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(LiveProvidersError, match="STRIPE_SECRET_KEY is a live key") as refused:
        external_providers({**ALL, "STRIPE_SECRET_KEY": key})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("name", "processor"), PROCESSORS.items())
def test_an_address_where_money_is_real_is_refused(
    name: str, processor: SimulatedProcessor
) -> None:
    assert processor.live_host == REGISTRY[name].live_host
    key = {processor.secret.replace("-", "_").upper(): "k"}
    # With a dot at its end, and in capitals, it is the same host
    for host in (processor.live_host, f"{processor.live_host}.", processor.live_host.upper()):
        url = environment_of({processor.url_parameter: f"https://{host}/v1"})
        with pytest.raises(LiveProvidersError, match="where money is real"):
            external_providers({**ALL, **key, **{k: v for k, v in url.items() if v}})


class TestKeys:
    """Where they come from."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Somebody at a terminal who types `typed` whenever they are asked."""
        questions: list[str] = []

        def answer(question: str) -> str:
            questions.append(question)
            return " typed "

        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("local.external_providers.getpass", answer)
        return questions

    def test_those_that_are_left_out_are_asked_for_unseen(self, asked: list[str]) -> None:
        urls = {name: ALL[name] for name in ("HITPAY_URL", "STRIPE_URL")}
        given = {**urls, "STRIPE_SECRET_KEY": "sk_test_1", "HEDGE_URL": "https://hedge"}
        providers = external_providers(given)
        assert providers is not None
        assert (providers.hitpay_key, providers.stripe_key) == ("typed", "sk_test_1")
        assert providers.other_keys == {"hedge-api-key": "typed"}
        assert [question.partition(" ")[0] for question in asked] == [
            "HITPAY_API_KEY",
            "HEDGE_API_KEY",
        ]

    def test_nobody_is_asked_for_the_simulators(self, asked: list[str]) -> None:
        assert external_providers({}) is None
        assert asked == []

    def test_on_makes_line_they_go_on_working_and_are_told_of(self) -> None:
        line = "s -j2 -- ONCE=1 STRIPE_SECRET_KEY=sk_test_1 CCG_ACCESS_TOKEN=t"
        told = told_on_makes_line({"MAKEFLAGS": line, "HITPAY_API_KEY": "exported"})
        assert told == ["CCG_ACCESS_TOKEN", "STRIPE_SECRET_KEY"]
        assert told_on_makes_line({"HITPAY_API_KEY": "exported"}) == []
