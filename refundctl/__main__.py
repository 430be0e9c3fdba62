"""`python -m refundctl`, as `.venv/bin/refundctl` runs it."""

import signal
import sys

from refundctl.command import main

# A shell starts what runs in its background with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
