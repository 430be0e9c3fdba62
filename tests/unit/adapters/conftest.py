"""A client of the Systems Manager that hears what a test scripts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.ssm_calls import Stub, scripted_client

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@pytest.fixture
def scripted() -> Iterator[tuple["SSMClient", Stub]]:
    with scripted_client() as both:
        yield both


@pytest.fixture
def client(scripted: tuple["SSMClient", Stub]) -> "SSMClient":
    return scripted[0]


@pytest.fixture
def stub(scripted: tuple["SSMClient", Stub]) -> Stub:
    return scripted[1]
