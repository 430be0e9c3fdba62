import pytest

from refund_bridge.adapters.stripe.key_of_mode import ModeCheckedKey, require_stripe_key
from refund_bridge.config import ConfigurationError, Mode


class Key:
    def __init__(self, current: str, refreshed: str | None) -> None:
        self._current, self._refreshed = current, refreshed

    def current(self) -> str:
        return self._current

    def refreshed(self) -> str | None:
        return self._refreshed


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("sk_live_1", Mode.LIVE),
        ("rk_live_1", Mode.LIVE),
        ("sk_test_1", Mode.TEST),
        ("rk_test_1", Mode.TEST),
    ],
)
def test_what_belongs_together_passes(key: str, mode: Mode) -> None:
    require_stripe_key(key, mode)


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("sk_live_secret", Mode.TEST),
        ("rk_live_secret", Mode.TEST),
        ("sk_test_secret", Mode.LIVE),
        ("rk_test_secret", Mode.LIVE),
        ("pk_live_secret", Mode.LIVE),
        ("pk_test_secret", Mode.TEST),
        ("secret", Mode.TEST),
        ("", Mode.TEST),
        ("SK_LIVE_secret", Mode.LIVE),
    ],
)
def test_a_mix_is_refused_in_a_sentence_without_the_key(key: str, mode: Mode) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_stripe_key(key, mode)
    assert str(refused.value).startswith(f"MODE is {mode}")
    assert "secret" not in str(refused.value).replace("stripe-secret-key", "").replace(
        "a test secret key", ""
    )


def test_a_rotated_key_is_checked_too() -> None:
    assert ModeCheckedKey(Key("sk_test_1", "sk_test_2"), Mode.TEST).current() == "sk_test_1"
    assert ModeCheckedKey(Key("sk_test_1", "sk_test_2"), Mode.TEST).refreshed() == "sk_test_2"
    assert ModeCheckedKey(Key("sk_test_1", None), Mode.TEST).refreshed() is None
    with pytest.raises(ConfigurationError):
        ModeCheckedKey(Key("sk_live_1", None), Mode.TEST).current()
    with pytest.raises(ConfigurationError):
        ModeCheckedKey(Key("sk_test_1", "sk_live_2"), Mode.TEST).refreshed()
