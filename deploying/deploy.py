"""Deploy the built template to the embedded cloud.

The template and the parameters are the same as on AWS; only values that name this machine are
replaced. (On AWS `make deploy` uses `sam deploy`; here that would take 17 s, and this takes 2 s.)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployed.clients import CloudClients
from deployed.polling import wait_for
from deployed.stages import Stage
from deploying import artifacts
from deploying.build import Build, Target

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_s3 import S3Client

BUCKET = "refund-bridge-artifacts"
TEMPLATE_KEY = "template.json"
DEPLOY_SECONDS = 120.0
STARTING = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class DeployError(RuntimeError):
    """The stack could not be created or updated; the message names the resources that failed."""


@dataclass(frozen=True)
class Deployed:
    """A stack that has been deployed."""

    outputs: dict[str, str]
    api_url: str


def build_digest(build: Build, parameters: Mapping[str, str]) -> str:
    """Digest all that a version of the functions is made of: code, template, parameter values."""
    digest = hashlib.sha256(build.digest.encode())
    digest.update(build.template.read_bytes())
    digest.update(json.dumps(sorted(parameters.items())).encode())
    return digest.hexdigest()


def local_parameters(
    stage: Stage, target: Target, build: Build, overrides: Mapping[str, str]
) -> dict[str, str]:
    """The parameters, with the values that depend on this machine and are not in samconfig.toml."""
    parameters = stage.parameters | dict(overrides)
    parameters |= {"Runtime": target.runtime, "Architecture": target.architecture}
    return parameters | {"BuildDigest": build_digest(build, parameters)}


def deploy(
    clients: CloudClients, stage: Stage, build: Build, parameters: Mapping[str, str]
) -> Deployed:
    """Create the stack, or update it, and return its outputs. The secrets must be there already."""
    s3: S3Client = clients.client("s3")
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-southeast-1"}
    )
    body = artifacts.as_body(artifacts.upload(build, s3, BUCKET))
    # The template goes to S3 like the code: a request to CloudFormation takes only 51,200 bytes.
    s3.put_object(Bucket=BUCKET, Key=TEMPLATE_KEY, Body=body.encode())
    cloudformation: CloudFormationClient = clients.client("cloudformation")
    template_url = f"{clients.endpoint_url}/{BUCKET}/{TEMPLATE_KEY}"
    stack = _apply(cloudformation, stage.stack_name, template_url, parameters)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Deployed(outputs, api_url(clients, stage, outputs))


def _apply(
    cloudformation: "CloudFormationClient",
    name: str,
    template_url: str,
    parameters: Mapping[str, str],
) -> "StackTypeDef":
    exists = any(s["StackName"] == name for s in cloudformation.describe_stacks()["Stacks"])
    change = cloudformation.update_stack if exists else cloudformation.create_stack
    change(
        StackName=name,
        TemplateURL=template_url,
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    def finished() -> "StackTypeDef | None":
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"] in STARTING else stack

    stack = wait_for(finished, f"the stack {name}", at_most=DEPLOY_SECONDS)
    if stack["StackStatus"] not in DONE:
        raise DeployError(f"{name}: {stack['StackStatus']}\n{_reasons(cloudformation, name)}")
    return stack


def _reasons(cloudformation: "CloudFormationClient", name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(
        f"  {event.get('LogicalResourceId')}: {event.get('ResourceStatusReason')}"
        for event in reversed(events)
        if "FAILED" in event.get("ResourceStatus", "")
    )


def api_url(clients: CloudClients, stage: Stage, outputs: Mapping[str, str]) -> str:
    """The API's address: as the emulator serves it, or on AWS API Gateway's own name.

    API Gateway's name works as soon as the stack exists. A custom domain may still need a record in
    DNS.
    """
    if clients.endpoint_url is None:
        return outputs["GatewayUrl"]
    path = f"restapis/{outputs['RestApiId']}/{stage.parameters['Stage']}/_user_request_"
    return f"{clients.endpoint_url}/{path}"
