"""Take out of the unpacked packages what no function uses: python3 trim.py DIRECTORY.

What stays is as its authors wrote it; only descriptions of AWS's services are cut, to the calls
that are made. ``tests/unit/local/test_trimmed_layer.py`` holds the lists below against the code,
and every integration test runs on what is left.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The calls that the adapters make, by botocore's name of the service.
OPERATIONS = {
    "dynamodb": (
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "events": ("PutEvents",),
    "sqs": ("ChangeMessageVisibility", "SendMessage"),
    "ssm": ("GetParameters", "GetParametersByPath"),
}
UNUSED = (
    "bin",
    ".lock",
    # botocore makes the clients; boto3 would add resources and S3's transfers.
    "boto3",
    "boto3-*.dist-info",
    "s3transfer",
    "s3transfer-*.dist-info",
    # For stripe's own HTTP client, in whose place there is another one.
    "requests",
    "requests-*.dist-info",
    "charset_normalizer",
    "charset_normalizer-*.dist-info",
    "idna",
    "idna-*.dist-info",
    # For documentation, waiting and turning pages, of which only the last is done here, by hand.
    *(f"botocore/data/*/*/{name}.json" for name in ("examples-1", "waiters-2", "paginators-1")),
    # certifi's authorities are taken before botocore's.
    "botocore/cacert.pem",
    "dateutil/zoneinfo",
    "dateutil/rrule.py",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    "aws_lambda_powertools/metrics/provider/datadog",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "circuit_breaker",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "parameters",
            "parser",  # batch takes it up if pydantic was imported before: so batch comes first
            "streaming",
            "validation",
        )
    ),
    "pydantic/mypy.py",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
    # For type checkers.
    "**/*.pyi",
    "**/py.typed",
    # The licences stay, and the head of METADATA, by which vulnerability scanners know a package.
    *(f"*.dist-info/{name}" for name in ("INSTALLER", "RECORD", "REQUESTED", "WHEEL", "sboms")),
)


def trim(packages: Path) -> None:
    """Trim the packages installed in that directory."""
    for pattern in UNUSED:
        for path in list(packages.glob(pattern)):
            _remove(path)
    for metadata in packages.glob("*.dist-info/METADATA"):
        metadata.write_text(metadata.read_text().partition("\n\n")[0] + "\n")
    _keep_of_stripe(packages / "stripe")
    _keep_of_botocore(packages / "botocore" / "data")


def _keep_of_stripe(stripe: Path) -> None:
    listed = Path(__file__).with_name("stripe_modules.txt").read_text().splitlines()
    kept = {stripe / name for name in listed if not name.startswith("#")}
    for path in sorted(stripe.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()


def _keep_of_botocore(data: Path) -> None:
    for service in [path for path in data.iterdir() if path.is_dir()]:
        versions = sorted(service.iterdir())
        if service.name not in OPERATIONS:
            _remove(service)
            continue
        for version in versions[:-1]:  # their names are dates; botocore takes the last
            _remove(version)
        _shorten_description(versions[-1], OPERATIONS[service.name])
    endpoints = data / "endpoints.json"
    regions = json.loads(endpoints.read_text())
    for partition in regions["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in OPERATIONS if name in services}
    _write(endpoints, regions)


def _shorten_description(version: Path, operations: tuple[str, ...]) -> None:
    """Keep the named operations and the shapes that they reach; drop what explains them."""
    packed = version / "service-2.json.gz"
    service = _without_documentation(json.loads(gzip.decompress(packed.read_bytes())))
    service["operations"] = {name: service["operations"][name] for name in operations}
    reached: set[str] = set()
    waiting = [*_shapes_in(service["operations"])]
    while waiting:
        shape = waiting.pop()
        if shape not in reached:
            reached.add(shape)
            waiting += _shapes_in(service["shapes"][shape])
    service["shapes"] = {k: v for k, v in service["shapes"].items() if k in reached}
    packed.unlink()
    _write(version / "service-2.json", service)


def _without_documentation(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_documentation(item) for item in value]
    if not isinstance(value, dict):
        return value
    # A member of a structure may itself be called documentation: then it is no text.
    return {
        name: _without_documentation(item)
        for name, item in value.items()
        if not (name == "documentation" and isinstance(item, str))
    }


def _shapes_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _shapes_in(item)
    elif isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for item in value.values():
            yield from _shapes_in(item)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
