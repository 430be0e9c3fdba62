"""Replaces what a request said about a customer by a digest: comparable, but not readable. Pure.

If a key comes again, we must still see whether the request is the same, so a digest is kept. An
e-mail or a national id can be guessed. So each digest has its own salt and is slow to compute: a
billion guesses at one refund take about a year of one CPU.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

# 16 MB and some 50 ms, once for a payout. https://www.rfc-editor.org/rfc/rfc7914
COST: Final = 2**14
_BLOCK: Final = 8
_BYTES: Final = 16

Words = str | Mapping[str, str] | None


def digest_of(words: Words, salt: str) -> str:
    """The digest of a member of a request, with the salt that it was made with."""
    text = json.dumps(words if isinstance(words, str | None) else dict(words), sort_keys=True)
    made = hashlib.scrypt(
        text.encode("utf-8", "surrogatepass"),
        salt=salt.encode(),
        n=COST,
        r=_BLOCK,
        p=1,
        dklen=_BYTES,
    )
    return f"{salt}:{made.hex()}"


def is_of(digest: str, words: Words) -> bool:
    """Whether ``digest`` was made from exactly these words."""
    salt, _, _ = digest.rpartition(":")
    return hmac.compare_digest(digest, digest_of(words, salt))
