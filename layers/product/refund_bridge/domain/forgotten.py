"""What a request said about a customer, as a digest: it can be compared, and not be read. Pure.

A repeated key must still be told from another request under the same key, so what is forgotten
leaves a digest. An e-mail or a national id can be guessed, so each digest has a salt of its own and
takes a while: trying a billion guesses at one refund takes about a year of one processor.
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
    """Whether ``digest`` is that of these very words."""
    salt, _, _ = digest.rpartition(":")
    return hmac.compare_digest(digest, digest_of(words, salt))
