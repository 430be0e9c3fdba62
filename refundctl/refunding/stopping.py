"""Ctrl-C: what must not be torn is finished first, and whoever pressed it reads what was sent."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from refundctl.output import Output


@contextmanager
def held_back(noticed: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let Ctrl-C wait until the body has ended; `noticed` is called at once.

    Raises:
        KeyboardInterrupt: it was pressed meanwhile, and the body has ended.
    """
    if current_thread() is not main_thread():  # only that one is interrupted
        yield
        return
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        noticed()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def nothing_sent(output: Output) -> Iterator[None]:
    """Around what comes before the first request: whoever stops it there is told so."""
    try:
        yield
    except KeyboardInterrupt:
        output.say("This run has sent nothing.")
        raise
