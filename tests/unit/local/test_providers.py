import pytest

from local.providers import IncompleteProvidersError, Providers, external_providers

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


def test_keys_do_not_show_when_printed() -> None:
    assert "secret" not in repr(external_providers(ALL))


@pytest.mark.parametrize(
    ("key", "mode"), [("sk_test_1", "test"), ("sk_live_1", "live"), ("rk_live_1", "live")]
)
def test_the_mode_is_that_of_stripes_key(key: str, mode: str) -> None:
    providers = Providers(hitpay_url="", stripe_url="", hitpay_key="", stripe_key=key)
    assert providers.mode == mode
