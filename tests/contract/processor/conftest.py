"""Every test of this folder runs in every world that has what it is about."""

from collections.abc import Iterator

import pytest

from local.simulators.server import RunningSimulators
from tests.contract.processor.memory_world import MemoryProcessorWorld
from tests.contract.processor.selection import ADAPTERS, EVERY_WORLD
from tests.contract.processor.simulated_worlds import WORLDS
from tests.contract.processor.worlds import ProcessorWorld


@pytest.fixture(scope="session")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.fixture(params=EVERY_WORLD)
def world(request: pytest.FixtureRequest) -> Iterator[ProcessorWorld]:
    name, _, kind = request.param.partition(" ")
    if kind == "in memory":
        yield MemoryProcessorWorld(name, ADAPTERS[name].capabilities)
        return
    running: RunningSimulators = request.getfixturevalue("simulators")
    running.control.reset()
    simulated = WORLDS[name](running.control)
    yield simulated
    simulated.close()
