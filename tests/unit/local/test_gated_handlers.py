"""What listens in one process with the tour and the tests: no page of another site is answered."""

import urllib3

from local.webhook_receiver import WebhookReceiver
from tests.sdks.tls_proxy import TlsProxy
from tests.unit.local.foreign_callers import let_in


def test_a_receiver_of_webhooks_remembers_nothing_of_another_site() -> None:
    with WebhookReceiver() as receiver:
        # Given a delivery at its own address
        with urllib3.PoolManager(retries=False) as pool:
            assert pool.request("POST", receiver.url, body=b"{}").status == 200
        # When another site's pages call, then they are refused, and it remembers only its own
        assert list(let_in(receiver.url)) == []
        assert [one.body for one in receiver.deliveries] == [b"{}"]


def test_the_proxy_of_the_sdks_passes_nothing_of_another_site_on() -> None:
    with TlsProxy("http://127.0.0.1:1", lambda _: None) as proxy:
        assert list(let_in(f"https://127.0.0.1:{proxy.port}/v1/refunds")) == []
        assert proxy.calls == []
