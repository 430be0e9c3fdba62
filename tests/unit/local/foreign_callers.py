"""Calls as a page of another site makes them: no listener of this machine answers one."""

from collections.abc import Iterator

import urllib3

from tests.sdks.tls_proxy import CERTIFICATE

FOREIGN = {
    "another host": ({"Host": "evil.example"}, 421),
    "another origin": ({"Origin": "https://evil.example"}, 403),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403),
}


def let_in(url: str) -> Iterator[tuple[str, str, str, int]]:
    """Those that a listener does not refuse, and what each is answered."""
    with urllib3.PoolManager(retries=False, timeout=10, ca_certs=str(CERTIFICATE)) as pool:
        for what, (headers, status) in FOREIGN.items():
            for method in ("GET", "POST", "OPTIONS"):
                answer = pool.request(method, url, headers=headers, redirect=False)
                if answer.status != status or "Access-Control-Allow-Origin" in answer.headers:
                    yield url, what, method, answer.status
