"""Check a build: is every file in it made for the runtime's Python version and machine?"""

from collections.abc import Iterator
from pathlib import Path

from deploying.build import Build, Target

# The first bytes of bytecode, by Python version. At best Python ignores a .pyc of another version.
MAGIC = {"3.11": b"\xa7\r", "3.12": b"\xcb\r", "3.13": b"\xf3\r", "3.14": b"\x2b\x0e"}
ELF = b"\x7fELF"
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
COMPILED_AHEAD = 0b01  # PEP 552: not checked against the source, so valid wherever it is unpacked


def artifact_problems(build: Build, target: Target) -> list[str]:
    """Name every file that does not fit the target."""
    problems = []
    for path in sorted(build.directory.rglob("*")):
        name = path.relative_to(build.directory)
        if path.suffix == ".so":
            problems += [f"{name}: {what}" for what in _library_problems(path, target)]
        elif path.suffix == ".pyc":
            problems += [f"{name}: {what}" for what in _bytecode_problems(path, target)]
    return problems


def _library_problems(path: Path, target: Target) -> Iterator[str]:
    tag = f"cpython-{target.python.replace('.', '')}"
    if ".cpython-" in path.name and tag not in path.name:
        yield f"not for Python {target.python}"
    with path.open("rb") as file:
        header = file.read(20)
    if not header.startswith(ELF):
        if target.machine:
            yield "not a Linux library"
        return  # built for a developer's machine that is not Linux
    if int.from_bytes(header[18:20], "little") != MACHINES[target.architecture]:
        yield f"not for {target.architecture}"


def _bytecode_problems(path: Path, target: Target) -> Iterator[str]:
    with path.open("rb") as file:
        header = file.read(8)
    if header[:2] != MAGIC[target.python]:
        yield f"bytecode of another version than {target.python}"
    if int.from_bytes(header[4:8], "little") != COMPILED_AHEAD:
        yield "bytecode that is checked against its source, or without a hash"
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    if path.parent.name != "__pycache__" or not source.is_file():
        yield "bytecode without its source"
