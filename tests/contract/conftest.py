"""The embedded cloud on which the real adapters keep the contracts that the fakes keep."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from local.emulator import REGION, Emulator, running_emulator
from local.run_directory import run_directory
from refund_bridge.adapters.aws_runtime import clients as aws_clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="session")
def contract_cloud() -> Iterator[Emulator]:
    """One for all contracts: the tests that need it run in one process (tests/conftest.py)."""
    with run_directory() as directory, running_emulator(directory) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def new_client(contract_cloud: Emulator) -> Iterator[Callable[[], "DynamoDBClient"]]:
    """Makes clients of the embedded cloud, as the functions make theirs."""
    made: list[DynamoDBClient] = []

    def make() -> "DynamoDBClient":
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL", contract_cloud.url)
            environment.setenv("AWS_DEFAULT_REGION", REGION)
            for name, value in contract_cloud.root.environment.items():
                environment.setenv(name, value)
            aws_clients.forget_clients()
            made.append(aws_clients.dynamodb_client())
            aws_clients.forget_clients()
        return made[-1]

    yield make
    for client in made:
        client.close()
