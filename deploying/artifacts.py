"""Turn a build into one archive per function and layer, and a template, for CloudFormation.

`sam package` does the same but takes ten times as long, mostly to compress the layer. Here the
archives of a build are made once and kept beside it.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployed import paths
from deploying.build import Build
from deploying.template_yaml import Template, read_template

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CODE_PROPERTY = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
}
NESTED = "AWS::CloudFormation::Stack"
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def upload(build: Build, s3: "S3Client", bucket: str) -> Template:
    """Upload archives and nested templates, and return the template that points to them."""
    template = read_template(build.template)
    for name, resource in template["Resources"].items():
        if resource["Type"] == NESTED:
            key = f"{build.digest}/{name}.json"
            nested = read_template(build.directory / resource["Properties"]["TemplateURL"])
            s3.put_object(Bucket=bucket, Key=key, Body=as_body(nested).encode())
            resource["Properties"]["TemplateURL"] = f"{s3.meta.endpoint_url}/{bucket}/{key}"
    for name, resource in _packaged(template):
        code_property = CODE_PROPERTY[resource["Type"]]
        source = build.directory / resource["Properties"][code_property]
        archive = _archive(source, build.directory / f"{name}.zip")
        key = f"{build.digest}/{name}.zip"
        with archive.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        resource["Properties"][code_property] = f"s3://{bucket}/{key}"
        resource.pop("Metadata", None)
    return template


def as_body(template: Template) -> str:
    """Write a template as compactly as CloudFormation reads it."""
    return json.dumps(template, separators=(",", ":"))


def _packaged(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] in CODE_PROPERTY:
            yield name, resource


def _archive(source: Path, archive: Path) -> Path:
    """Zip a directory, always to the same bytes, compressed quickly: it stays on this machine."""
    if archive.is_file():
        return archive
    unfinished = archive.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as output:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(source).as_posix(), LONG_AGO)
                entry.external_attr = 0o644 << 16
                output.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 1)
    _remember(source, unfinished)
    unfinished.replace(archive)
    return archive


def _remember(source: Path, archive: Path) -> None:
    """Let the emulator find what it would unpack from the archive."""
    paths.PACKED.mkdir(parents=True, exist_ok=True)
    for link in paths.PACKED.iterdir():
        if not link.exists():  # its build was removed
            link.unlink(missing_ok=True)
    link = paths.PACKED / hashlib.sha256(archive.read_bytes()).hexdigest()
    with suppress(FileExistsError):  # another build with the same bytes
        link.symlink_to(source.resolve(), target_is_directory=True)
