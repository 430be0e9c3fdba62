import hashlib
import shutil
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.stub import ANY, Stubber

from deployed import paths
from deploying.artifacts import _archive, upload
from deploying.build import Build
from local.emulator_process import linked

TEMPLATE = """
Resources:
  Api: {Type: AWS::Serverless::Function, Metadata: {Any: thing}, Properties: {CodeUri: Api}}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Layer}}
  Queue: {Type: AWS::SQS::Queue, Properties: {}}
"""


@pytest.fixture(autouse=True)
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PACKED", tmp_path / "packed")


def make(directory: Path) -> Path:
    for name in ("Api", "Layer"):
        (directory / name / "inner").mkdir(parents=True)
        (directory / name / "inner" / "file.py").write_text(name)
    (directory / "template.yaml").write_text(TEMPLATE)
    return directory


def test_an_archive_has_the_same_bytes_whenever_it_is_made(tmp_path: Path) -> None:
    make(tmp_path)
    one = _archive(tmp_path / "Api", tmp_path / "one.zip").read_bytes()
    (tmp_path / "Api" / "inner" / "file.py").touch()
    assert _archive(tmp_path / "Api", tmp_path / "other.zip").read_bytes() == one
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == ["inner/file.py"]


def digest_of(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def test_what_was_packed_needs_no_unpacking_and_stays_when_its_build_is_removed(
    tmp_path: Path,
) -> None:
    # Given an archive of a build
    digest = digest_of(_archive(make(tmp_path / "build") / "Api", tmp_path / "one.zip"))
    # When the emulator asks for what is in it, and the build is removed
    assert linked(digest, tmp_path / "there")
    shutil.rmtree(tmp_path / "build")
    # Then it is there still
    assert (tmp_path / "there" / "inner" / "file.py").read_text() == "Api"
    # And a later emulator has to unpack
    assert not linked(digest, tmp_path / "later")
    assert not (tmp_path / "later").exists()


def test_archives_of_removed_builds_are_forgotten(tmp_path: Path) -> None:
    former = digest_of(_archive(make(tmp_path / "former") / "Api", tmp_path / "one.zip"))
    shutil.rmtree(tmp_path / "former")
    # Given another build with the same bytes
    assert digest_of(_archive(make(tmp_path / "new") / "Api", tmp_path / "two.zip")) == former
    other = digest_of(_archive(tmp_path / "new" / "Layer", tmp_path / "three.zip"))
    # Then only what is there is linked
    assert {link.name for link in paths.PACKED.iterdir()} == {former, other}
    assert linked(former, tmp_path / "there")


def test_the_template_points_to_what_was_uploaded(tmp_path: Path) -> None:
    s3 = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(s3) as stubber:
        for name in ("Api", "Layer"):
            wanted = {"Bucket": "bucket", "Key": f"digest/{name}.zip", "Body": ANY}
            stubber.add_response("put_object", {}, wanted)
        template = upload(Build(make(tmp_path), "digest"), s3, "bucket")
        stubber.assert_no_pending_responses()
    resources = template["Resources"]
    assert resources["Api"]["Properties"] == {"CodeUri": "s3://bucket/digest/Api.zip"}
    assert resources["Layer"]["Properties"] == {"ContentUri": "s3://bucket/digest/Layer.zip"}
    assert resources["Queue"]["Properties"] == {}
