"""Ctrl-C: finish what must not be interrupted first, and say what was sent."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from refundctl.output import Output


@contextmanager
def held_back(noticed: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Delay Ctrl-C until the body has ended; `noticed` is called at once.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed in the body; raised after its end.
    """
    if current_thread() is not main_thread():  # Ctrl-C interrupts the main thread only
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
    """Around all that is done before the first request: at Ctrl-C, say that nothing was sent."""
    try:
        yield
    except KeyboardInterrupt:
        output.say("This run has sent nothing.")
        raise
