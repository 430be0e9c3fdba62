"""`python -m refundctl`, as `.venv/bin/refundctl` runs it."""

import sys

from refundctl.command import main

sys.exit(main())
