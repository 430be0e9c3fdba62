"""The long walk: ``python -m tests.model FAULTS COMMANDS TURNS`` (1 0 0 is the least)."""

import sys

from tests.model.settings import every
from tests.model.stripe_worker import Rule
from tests.model.walk import told, walk

BAD = 1


def main() -> int:
    """Walk every setting; the exit code says whether a bad end was found."""
    faults, commands, turns = (int(word) for word in sys.argv[1:])
    code = 0
    for setting in every(faults, commands, turns):
        found = walk(setting, Rule())
        sys.stdout.write(f"{setting}\n    {told(found)}\n")
        sys.stdout.flush()
        code = BAD if found.bad else code
    return code


if __name__ == "__main__":
    sys.exit(main())
