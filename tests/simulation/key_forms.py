"""The form of keys in instructions: a process keeps the form that it was started with."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from tests.simulation.others import Span
from tests.simulation.schedule import BYSTANDER, Scheduler

OTHER_FORM: Final = "short-"


class KeyForms(Mapping[str, str]):
    """The form that the present actor was started with, by the processor's name."""

    def __init__(
        self,
        scheduler: Scheduler,
        names: Collection[str],
        keeping: Collection[str],
        span: Span | None,
    ) -> None:
        """``keeping``: processors that keep keys; ``span``: when another form is set up."""
        self._scheduler = scheduler
        self._names = names
        self._keeping = keeping
        self._begin_ms, self._end_ms = span or (0, 0)

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        actor, now_ms = self._scheduler.current, self._scheduler.now_ms
        began_ms = now_ms if actor is BYSTANDER else actor.began_ms
        is_other = name in self._keeping and self._begin_ms <= began_ms < self._end_ms
        return OTHER_FORM if is_other else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
