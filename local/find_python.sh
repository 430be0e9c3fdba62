#!/bin/sh
# Print where an interpreter is that runs: `sh local/find_python.sh python3.13`. It is looked for on PATH
# and among pyenv's, whose name on PATH may be a shim that leads nowhere. 1 if there is none.
for candidate in "$(command -v "$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/"$1"; do
    if [ -x "$candidate" ] && "$candidate" -c "" 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
done
echo "No $1 was found, neither on PATH nor among pyenv's." >&2
exit 1
