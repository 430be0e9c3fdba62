"""What the tests of the API's function start from."""

import pytest

from tests.unit.functions.api_in_memory import Api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
    return Api(monkeypatch)
