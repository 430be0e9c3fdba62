import boto3
from botocore.stub import Stubber

from local import secrets


def test_secrets_are_put_as_secure_strings_where_the_functions_look() -> None:
    ssm = boto3.client(
        "ssm", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(ssm) as stubber:
        for name, value in (("stripe-secret-key", "sk_test_1"), ("hitpay-api-key", "h")):
            expected = {"Name": f"/p/{name}", "Value": value}
            stubber.add_response(
                "put_parameter",
                {"Version": 1},
                expected | {"Type": "SecureString", "Overwrite": True},
            )
        secrets.put_provider_keys(ssm, "/p", stripe="sk_test_1", hitpay="h")
        stubber.assert_no_pending_responses()


def test_missing_keys_are_named_without_reading_any() -> None:
    ssm = boto3.client(
        "ssm", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(ssm) as stubber:
        stubber.add_response(
            "get_parameters",
            {"Parameters": [], "InvalidParameters": ["/p/hitpay-api-key"]},
            {"Names": ["/p/stripe-secret-key", "/p/hitpay-api-key"], "WithDecryption": False},
        )
        assert secrets.missing_provider_keys(ssm, "/p") == ["/p/hitpay-api-key"]
