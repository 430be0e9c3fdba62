import pytest

from refunds.adapters.mode_check import ModeCheckedKey, require_mode
from refunds.config import ConfigurationError, Mode

LIVE_URL = "https://api.hit-pay.com"
TEST_URL = "https://api.sandbox.hit-pay.com"


class Key:
    def __init__(self, current: str, refreshed: str | None) -> None:
        self._current, self._refreshed = current, refreshed

    def current(self) -> str:
        return self._current

    def refreshed(self) -> str | None:
        return self._refreshed


@pytest.mark.parametrize(
    ("key", "url", "mode"),
    [
        ("sk_live_1", LIVE_URL, Mode.LIVE),
        ("rk_live_1", LIVE_URL + "/", Mode.LIVE),
        ("sk_test_1", TEST_URL, Mode.TEST),
        ("rk_test_1", TEST_URL, Mode.TEST),
        ("sk_test_1", "http://127.0.0.1:8080", Mode.TEST),
    ],
)
def test_what_belongs_together_passes(key: str, url: str, mode: Mode) -> None:
    require_mode(key, url, mode)


@pytest.mark.parametrize(
    ("key", "url", "mode"),
    [
        ("sk_live_secret", TEST_URL, Mode.TEST),
        ("rk_live_secret", TEST_URL, Mode.TEST),
        ("sk_test_secret", LIVE_URL, Mode.LIVE),
        ("rk_test_secret", LIVE_URL, Mode.LIVE),
        ("pk_live_secret", LIVE_URL, Mode.LIVE),
        ("pk_test_secret", TEST_URL, Mode.TEST),
        ("secret", TEST_URL, Mode.TEST),
        ("", TEST_URL, Mode.TEST),
        ("SK_LIVE_secret", LIVE_URL, Mode.LIVE),
        ("sk_test_secret", LIVE_URL, Mode.TEST),
        ("sk_test_secret", "https://API.hit-pay.com/", Mode.TEST),
        ("sk_test_secret", "https://api.hit-pay.com.", Mode.TEST),
        ("sk_test_secret", "https://api.hit-pay.com:443", Mode.TEST),
        ("sk_test_secret", "http://user@api.hit-pay.com", Mode.TEST),
        ("sk_live_secret", TEST_URL, Mode.LIVE),
        ("sk_live_secret", "http://api.hit-pay.com", Mode.LIVE),
        ("sk_live_secret", "https://api.hit-pay.com.evil.example", Mode.LIVE),
        ("sk_live_secret", "http://127.0.0.1:8080", Mode.LIVE),
    ],
)
def test_a_mix_refuses_to_start_in_a_sentence_without_the_key(
    key: str, url: str, mode: Mode
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_mode(key, url, mode)
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
