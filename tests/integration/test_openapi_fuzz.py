"""Schemathesis calls the deployed system as it calls the functions in memory, but less often.

All generated calls are tried in memory (``tests/contract/test_openapi_fuzz.py``). Here some of each
operation go through the gateway, the functions' permissions and the real ledger. It has a stack of
its own, since no other test expects the refunds that are made here.
"""

from collections.abc import Iterator

import pytest

from local.simulators.payments import fresh_payments, seed_of
from local.stack import RunningStack, running_stack
from tests.openapi.document import operations
from tests.openapi.fuzzing import ANSWERED_2XX_AT_LEAST, Fuzzed, Run, fuzz

# One payment for each refund that can succeed.
PAYMENTS = fresh_payments(200, prefix="fuzz")
CARD = "pm_fuzz"
LESS_OFTEN = ("--phases", "examples,fuzzing", "--max-examples", "6")


@pytest.fixture(scope="module")
def fuzzed_stack() -> Iterator[RunningStack]:
    """A stack with enough payments for all calls."""
    with running_stack(parameters={"ThrottleRate": "500", "ThrottleBurst": "500"}) as running:
        running.control.seed(seed_of(*PAYMENTS))
        running.control.seed_processor("ccg", {"payment_methods": [{"id": CARD}]})
        yield running


@pytest.fixture(scope="module")
def run(fuzzed_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Run:
    fuzzed = Fuzzed(
        api_url=fuzzed_stack.api_url,
        api_key=fuzzed_stack.payout_key,
        payments=[payment.name for payment in PAYMENTS],
        charges=[payment.charge_id for payment in PAYMENTS],
        card=CARD,
        salt=fuzzed_stack.providers.webhook_salt or "",
    )
    return fuzz(fuzzed, tmp_path_factory.mktemp("fuzz"), *LESS_OFTEN)


def test_no_answer_breaks_the_document(run: Run) -> None:
    assert run.exit_code == 0, run.output


def test_no_call_fails_here(run: Run) -> None:
    assert run.failed_here == {}


@pytest.mark.parametrize("operation", [operation.name for operation in operations()])
def test_enough_of_the_calls_get_through(run: Run, operation: str) -> None:
    assert run.share_of_2xx(operation) >= ANSWERED_2XX_AT_LEAST, str(run)
