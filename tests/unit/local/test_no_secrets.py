"""No file of this project holds a secret: neither one that opens something, nor one that seems to.

A scanner from PyPI would bring its own exceptions file of line numbers; what can leak here has few
forms, and each stands below. Made-up keys of the tests are short or plainly made up.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployed import paths

# Where the tools write, and what git keeps; see .gitignore.
NOT_OURS = {".git", ".venv", ".local", ".aws-sam", "__pycache__", "node_modules"}
NOT_OURS |= {".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
# A form that always begins with the same letters is found ten times faster without `\b` before.
FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Stripe": r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{20,}\b",
    "a webhook's secret of Stripe": r"whsec_[A-Za-z0-9]{20,}\b",
    "a key of ours": r"rbk_[A-Za-z0-9_-]{40,}",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})\b",
    "a token of PyPI": r"pypi-[A-Za-z0-9_-]{40,}",
    "a token of Slack": r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a key of Google": r"AIza[0-9A-Za-z_-]{35}\b",
    "a signed token": r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.",
    "a password in an address": r"[a-z]+://[^/\s:@\"'{}<$]+:[^/\s:@\"'{}<$]+@",
}
# Something long and random that is called a secret.
NAMED = re.compile(
    r"(?i)(?:secret|password|passwd|token|salt|api[_-]?key)[\"']?\s*[:=]\s*[\"']([^\"'\s]{20,})[\"']"
)
RANDOM_BITS = 3.5  # a character; words and repetitions have less
ON_PURPOSE = {
    "tests/unit/processors/localhost.pem": "opens nothing: a test's own server on this machine",
}


def ours() -> Iterator[Path]:
    """Every file of the project, committed or about to be."""
    for directory, folders, files in os.walk(paths.ROOT):
        folders[:] = [one for one in folders if one not in NOT_OURS and ".venv" not in one]
        yield from (Path(directory) / name for name in files)


def secrets_in(text: str) -> list[str]:
    """What looks like a secret, by its kind; never the secret itself."""
    found = [kind for kind, form in FORMS.items() if re.search(form, text)]
    return found + [
        "something random that is called a secret"
        for value in NAMED.findall(text)
        if randomness(value) > RANDOM_BITS
    ]


def randomness(value: str) -> float:
    """Bits of information in a character of the value, if its characters came by chance."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


def test_no_file_holds_a_secret() -> None:
    found = {
        path.relative_to(paths.ROOT).as_posix(): kinds
        for path in ours()
        if (kinds := secrets_in(path.read_text(errors="replace")))
    }
    assert {name: kinds for name, kinds in found.items() if name not in ON_PURPOSE} == {}
    assert set(ON_PURPOSE) <= set(found)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (("-----BEGIN EC ", "PRIVATE KEY-----"), "a private key"),
        (("AKIA", "QWERTYUIOPASDFGH"), "an access key of AWS"),
        (("sk_live_", "51Hq8zKJx0vYtR3mN7bW2"), "a key of Stripe"),
        (("whsec_", "9xT4kQ2mZ8vB6nL0pR5sW"), "a webhook's secret of Stripe"),
        (("rbk_", "Zk8sQ2mX7vB4nL0pR5sWtZk8sQ2mX7vB4nL0pR5sWtK"), "a key of ours"),
        (("ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"), "a token of GitHub"),
        (("https://me:", "hunter2@example.com/"), "a password in an address"),
        (('salt = "', 'q8Zr1TtWb5Xc0VnM7Lk3Jh"'), "something random that is called a secret"),
    ],
)
def test_it_would_be_noticed(parts: tuple[str, str], kind: str) -> None:
    assert kind in secrets_in("".join(parts))


@pytest.mark.parametrize(
    "harmless",
    [
        "sk_test_simulated",
        'secret="aaaaaaaaaaaaaaaaaaaaaaaaaaaa"',
        "https://api.hit-pay.com/v1/refund",
        "parameter${SecretsPrefix}/stripe-secret-key",
    ],
)
def test_made_up_ones_are_let_be(harmless: str) -> None:
    assert secrets_in(harmless) == []
