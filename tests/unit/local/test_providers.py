import pytest

from local.providers import OTHERS, IncompleteProvidersError, Providers, external_providers
from refundctl.processors import environment_of, parameter_of
from refunds.processors.registry import REGISTRY

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


@pytest.mark.parametrize(
    ("key", "mode"), [("sk_test_1", "test"), ("sk_live_1", "live"), ("rk_live_1", "live")]
)
def test_the_mode_is_that_of_stripes_key(key: str, mode: str) -> None:
    providers = Providers(hitpay_url="", stripe_url="", hitpay_key="", stripe_key=key)
    assert providers.mode == mode
