"""Every fault that a simulator knows, at the call that moves money, for every real adapter.

Whatever happens, one instruction arrives at most, and the outcome is the one that is true: what was
executed is never called aborted or rejected, and what was not is never called accepted.
"""

import pytest

from local.simulators.faults import DECISIVE, VARIANTS
from refund_bridge.domain.instruction import (
    Aborted,
    Accepted,
    CredentialRefused,
    Outcome,
    Rejected,
    Unknown,
)
from tests.contract.processor.instructions import PAID, instruction
from tests.contract.processor.selection import ADAPTERS
from tests.contract.processor.simulated_worlds import SimulatedWorld

OWN_REFUSALS = (400, 402, 403, 404, 422)
# fault, its details, the outcome, and what has moved when all is over
Case = tuple[str, dict[str, object], type[Outcome], list[int]]
_NOW: list[Case] = [
    ("lost_request", {}, Unknown, []),
    ("commit_then_timeout", {}, Unknown, [2500]),
    ("commit_then_reset", {}, Unknown, [2500]),
    ("late_commit", {"seconds": 0, "hold_seconds": 0}, Unknown, [2500]),
    ("late_commit", {"seconds": 0.2}, Unknown, [2500]),
    ("drip", {"seconds": 0.05}, Unknown, [2500]),
    ("drip", {"seconds": 0}, Accepted, [2500]),
]
_ERRORS: list[Case] = [
    ("status", {"status": status}, outcome, [])
    for status, outcome in [
        (301, Unknown),
        (307, Unknown),
        (401, CredentialRefused),
        (405, Aborted),
        (408, Unknown),
        (409, Unknown),
        (410, Unknown),
        (418, Unknown),
        (429, Aborted),
        (500, Unknown),
        (502, Unknown),
        (503, Unknown),
        (504, Unknown),
        (599, Unknown),
    ]
]
_REFUSALS: list[Case] = [
    ("status", {"status": status, "body": "refusal"}, Rejected, []) for status in OWN_REFUSALS
]
_STRANGERS: list[Case] = [
    ("status", {"status": status, "body": body}, outcome, [])
    for body in ("<h1>No</h1>", "No", {"fault": "no"}, ["no"])
    for status, outcome in [
        (400, Unknown),
        (402, Unknown),
        (403, Aborted),
        (404, Aborted),
        (422, Unknown),
    ]
]
_AFTER_COMMIT: list[Case] = [
    ("status_after_commit", {"status": status}, Unknown, [2500])
    for status in (301, 408, 409, 500, 502, 503, 504)
]
_BODIES: list[Case] = [("body", {"variant": one}, Unknown, [2500]) for one in VARIANTS]
CASES = [*_NOW, *_ERRORS, *_REFUSALS, *_STRANGERS, *_AFTER_COMMIT, *_BODIES]


def test_the_sweep_knows_every_fault() -> None:
    assert {fault for fault, _, _, _ in CASES} == set(DECISIVE)


@pytest.mark.parametrize("world", [f"{name} simulated" for name in ADAPTERS], indirect=True)
@pytest.mark.parametrize(
    ("fault", "details", "expected", "moved"),
    CASES,
    ids=[f"{fault}-{'-'.join(map(str, details.values()))}" for fault, details, _, _ in CASES],
)
def test_the_outcome_is_what_is_true(
    world: SimulatedWorld,
    fault: str,
    details: dict[str, object],
    expected: type[Outcome],
    moved: list[int],
) -> None:
    # Given a payment, and what is about to happen to its refund
    world.add_charge("pay-1", PAID)
    if details.get("body") == "refusal":
        status = details["status"]
        assert isinstance(status, int)
        details = {**details, "body": world.error_body(status, "Insufficient balance.")}
        expected = world.traits.no_refusals.get(status, expected)
    world.strike(fault, **details)

    # When it is asked for
    outcome = world.processor.refund(instruction(), world.deadline())

    # Then it was asked for once, and what is said of it is true, also when all has arrived
    world.wait_for_late()
    assert type(outcome) is expected
    assert world.moved("pay-1") == moved
    assert world.asked() == 1
