"""`python -m refundctl`, as `.venv/bin/refundctl` runs it."""

import signal
import sys

from refundctl.command import main

# A shell starts its background jobs with this signal ignored; handle it again.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
