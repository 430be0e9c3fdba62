import zipfile
from pathlib import Path

import boto3
from botocore.stub import ANY, Stubber

from deploying.artifacts import _archive, upload
from deploying.build import Build

TEMPLATE = """
Resources:
  Api: {Type: AWS::Serverless::Function, Metadata: {Any: thing}, Properties: {CodeUri: Api}}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: Layer}}
  Queue: {Type: AWS::SQS::Queue, Properties: {}}
"""


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
