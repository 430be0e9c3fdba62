"""The simulators know no keys on their control routes: no page of a browser reaches them."""

import pytest
import urllib3

from local.simulators.client import SimulatorControl

FOREIGN = [
    ({"Host": "evil.example"}, 421),
    ({"Origin": "https://evil.example"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize("provider", ["hitpay", "stripe", "hyperswitch", "hedge", "ccg"])
@pytest.mark.parametrize("path", ["/_control/reset", "/v1/refunds", "/nowhere"])
@pytest.mark.parametrize(("headers", "status"), FOREIGN)
def test_a_post_of_another_sites_page_changes_nothing(
    control: SimulatorControl, provider: str, path: str, headers: dict[str, str], status: int
) -> None:
    before = control.state(provider), control.calls()
    plain = {"Content-Type": "text/plain"}  # which a browser sends without asking first
    with urllib3.PoolManager(retries=False) as pool:
        url = control.urls[provider] + path
        answer = pool.request("POST", url, body=b"{}", headers={**plain, **headers})
    assert answer.status == status
    assert (control.state(provider), control.calls()) == before


def test_its_own_address_is_answered(control: SimulatorControl) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        port = control.hitpay_url.rpartition(":")[2]
        url = f"http://localhost:{port}/_control/state"
        answer = pool.request("GET", url, headers={"Origin": f"http://localhost:{port}"})
    assert answer.status == 200
