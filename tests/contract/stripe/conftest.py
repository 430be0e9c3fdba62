"""Every test of this folder runs in both worlds."""

from collections.abc import Iterator

import pytest

from local.simulators.server import RunningSimulators
from tests.contract.stripe.note_worlds import MemoryNoteWorld, NoteWorld, SimulatedNoteWorld
from tests.contract.stripe.worlds import MemoryStripeWorld, SimulatedStripeWorld, StripeWorld


@pytest.fixture(scope="session")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.fixture(params=["memory", "simulator"])
def world(request: pytest.FixtureRequest) -> Iterator[StripeWorld]:
    if request.param == "memory":
        yield MemoryStripeWorld()
        return
    running: RunningSimulators = request.getfixturevalue("simulators")
    running.control.reset()
    simulated = SimulatedStripeWorld(running.control)
    yield simulated
    simulated.close()


@pytest.fixture(params=["memory", "simulator"])
def note_world(request: pytest.FixtureRequest) -> Iterator[NoteWorld]:
    if request.param == "memory":
        yield MemoryNoteWorld()
        return
    running: RunningSimulators = request.getfixturevalue("simulators")
    running.control.reset()
    simulated = SimulatedNoteWorld(running.control)
    yield simulated
    simulated.close()
