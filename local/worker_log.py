"""What one worker of the embedded cloud writes, taken whole at the end of each invocation.

A worker writes its lines to a pipe before it answers. Whoever waits some milliseconds for the lines
gives those that come later, on a busy machine, to the next invocation.
"""

import os
import select
import threading
from typing import IO

AT_ONCE_BYTES = 65_536


class WorkerLog:
    """The reading end of a worker's pipe, and what was read from it and not yet taken.

    Attributes:
        pipe: nobody else may read from it.
    """

    def __init__(self, pipe: IO[str]) -> None:
        self.pipe = pipe
        os.set_blocking(pipe.fileno(), False)
        self._read = bytearray()
        self._reading = threading.Lock()

    def follow(self) -> None:
        """Read until the worker ends, so that its pipe is never full."""
        readable = select.poll()
        readable.register(self.pipe, select.POLLIN)
        more = True
        while more:
            readable.poll()
            with self._reading:
                more = self._read_what_is_there()

    def take(self) -> str:
        """Return all that was written before this call and not taken, without the last newline."""
        with self._reading:
            self._read_what_is_there()
            text = self._read.decode(errors="replace")
            self._read.clear()
        return text.removesuffix("\n")

    def _read_what_is_there(self) -> bool:
        """Empty the pipe; False at its end."""
        try:
            while some := os.read(self.pipe.fileno(), AT_ONCE_BYTES):
                self._read += some
        except BlockingIOError:
            return True
        return False
