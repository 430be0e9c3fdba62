import subprocess
import sys

import botocore
import pytest

from refund_bridge.adapters.aws_runtime import clients as aws_clients


@pytest.fixture(autouse=True)
def _somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws_clients.forget_clients()


def test_every_client_is_impatient_and_follows_the_environment() -> None:
    for client, attempts in (
        (aws_clients.dynamodb_client(), 3),
        (aws_clients.events_client(), 3),
        (aws_clients.sqs_client(), 3),
        (aws_clients.ssm_client(), 4),
    ):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 3)  # type: ignore[attr-defined]
        retries = config.retries  # type: ignore[attr-defined]
        assert (retries["mode"], retries["total_max_attempts"]) == ("standard", attempts)
        made_up_once = f"refund-bridge Botocore/{botocore.__version__}"
        assert config.user_agent == made_up_once  # type: ignore[attr-defined]
        assert client.meta.endpoint_url == "http://127.0.0.1:9"
        client.close()
    aws_clients.forget_clients()


def test_a_client_is_made_once_until_it_is_forgotten() -> None:
    first = aws_clients.sqs_client()
    assert aws_clients.sqs_client() is first
    aws_clients.forget_clients()
    second = aws_clients.sqs_client()
    assert second is not first
    first.close()
    second.close()
    aws_clients.forget_clients()


def test_priming_asks_nobody_and_leaves_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    aws_clients.prime()
    assert aws_clients._made == {}


def test_importing_costs_no_botocore() -> None:
    module = "refund_bridge.adapters.aws_runtime.clients"
    code = f"import sys, {module}; sys.exit('botocore' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", code], env={"PYTHONPATH": "layers/product"}, check=False
    )
    assert done.returncode == 0
