"""A provider's words without the key, in whatever form it comes back."""

import base64
from urllib.parse import quote

import pytest

from refund_bridge.adapters.http.api_key import TEXT_MAX, sentence

KEY = "sk_test_51/Hq+Zx9 Wv8Ut7Sr6Qp5On4Ml3Kj2".replace(" ", "")


def encodings() -> dict[str, str]:
    return {
        "as it is": KEY,
        "in an address": quote(KEY, safe=""),
        "in an address, small": quote(KEY, safe="").lower(),
        "of a Basic header": base64.b64encode(f"{KEY}:".encode()).decode(),
        "behind a name": base64.b64encode(f"user:{KEY}".encode()).decode(),
        "behind two letters": base64.b64encode(f"ab{KEY}".encode()).decode(),
        "for an address": base64.urlsafe_b64encode(f"a{KEY}".encode()).decode(),
        "in hex": KEY.encode().hex(),
        "its beginning": KEY[:20],
        "its end": KEY[-12:],
        "its middle": KEY[10:25],
        "in large letters": KEY.upper(),
    }


@pytest.mark.parametrize("form", encodings())
def test_no_part_of_the_key_is_repeated(form: str) -> None:
    echo = encodings()[form]
    told = sentence(f"The credential {echo} is not valid here.", secret=KEY)
    assert told.startswith("The credential ")
    assert told.endswith(" is not valid here.")
    assert "***" in told
    for start in range(len(echo) - 7):
        assert echo[start : start + 8] not in told


def test_words_that_are_no_part_of_it_stay() -> None:
    words = "A test key is sk_test, and this charge is fully refunded: İstanbul."
    assert sentence(words, secret=KEY) == words
    assert sentence(words, secret="") == words


def test_a_short_key_is_masked_whole() -> None:
    assert sentence("key abc, abcd and xabc", secret="abc") == "key ***, ***d and x***"


def test_it_is_one_short_line() -> None:
    told = sentence(f"a\r\n\x1b[2K{'long ' * 1000}", secret=KEY)
    assert told.startswith("a [2Klong long")
    assert len(told) <= TEXT_MAX
