"""The expanded template, once per stage; each test gets a copy that it may break."""

import pytest

from deployed.stages import stage_names
from tests.template.expansion import Expanded, expand


@pytest.fixture(params=stage_names())
def template(request: pytest.FixtureRequest) -> Expanded:
    """Every stage: a rule holds for all of them."""
    return expand(request.param)


@pytest.fixture
def to_break() -> Expanded:
    """One stage: enough to show that a check notices when its rule is broken."""
    return expand("sandbox")
