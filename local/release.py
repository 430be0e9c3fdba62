"""`make deploy STAGE=...`: to AWS, with everything that `sam deploy` alone would forget.

Build for the stage's runtime and machine, look at what was built, ask for missing secrets, deploy
with the digest that makes new versions, protect the ledger, compare `live` with what was just
uploaded, and knock. Credentials come from where the AWS tools look for them.
"""

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

import urllib3

from local import build as builder
from local import paths, secrets
from local.api_keys import ApiKeyStore, new_api_key
from local.artifact_check import artifact_problems
from local.build import Build, BuildError
from local.clients import CloudClients
from local.deploy import build_digest
from local.stages import Stage, UnknownStageError, load_stage

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_ssm import SSMClient

FUNCTIONS = (
    "RefundApiFunctionName",
    "ReportRefundFunctionName",
    "SettleRefundsFunctionName",
)
# What makes a version: if one of these differs, `live` runs something else than was deployed.
COMPARED = ("CodeSha256", "Layers", "Environment", "Runtime", "Timeout", "MemorySize", "Role")


class ReleaseError(RuntimeError):
    """The release stopped; the message says at what and what to do."""


def release(stage: Stage, clients: CloudClients) -> None:
    """Deploy a stage."""
    target = builder.aws(stage)
    print(f"Building for {target.runtime} on {target.architecture}", flush=True)
    if target.compiler is None:
        print(f"  no Python {target.python} on this machine: shipping no bytecode")
    built = builder.build(target, stage)
    if problems := artifact_problems(built, target):
        raise ReleaseError("The build does not fit its target:\n" + "\n".join(problems))
    _put_missing_secrets(clients.client("ssm"), stage)
    _deploy(stage, built)
    outputs = _protect_ledger(clients.client("cloudformation"), stage)
    _compare_live(clients.client("lambda"), outputs)
    _knock(outputs["ApiUrl"])
    print(f"Deployed: {outputs['ApiUrl']}")


def _put_missing_secrets(ssm: "SSMClient", stage: Stage) -> None:
    for name in secrets.missing_provider_keys(ssm, stage.secrets_prefix):
        if not sys.stdin.isatty():
            raise ReleaseError(f"{name} is missing; run this in a terminal to be asked for it")
        value = getpass.getpass(f"{name} (not shown): ").strip()
        _check_mode(name, value, stage)
        secrets.put_secret(ssm, name, value)
    kms_key_id = stage.parameters["KmsKeyArn"]
    callers = ApiKeyStore(ssm, stage.secrets_prefix, kms_key_id=kms_key_id)
    if not callers.all():
        key = new_api_key("first")
        callers.add(key)
        print(f"Made an API key for callers; it is shown this once: {key.text}")


def _check_mode(name: str, value: str, stage: Stage) -> None:
    if not value:
        raise ReleaseError(f"{name} cannot be empty")
    wanted = tuple(f"{kind}_{stage.parameters['Mode']}_" for kind in ("sk", "rk"))
    if name.endswith(secrets.STRIPE_SECRET_KEY) and not value.startswith(wanted):
        raise ReleaseError(f"{name}: stage {stage.name} needs a key that starts {wanted[0]}")


def _deploy(stage: Stage, built: Build) -> None:
    values = stage.parameters | {"BuildDigest": build_digest(built, stage.parameters)}
    print("Deploying with sam deploy", flush=True)
    builder.sam(
        *("deploy", "--template-file", str(built.template)),
        *("--config-file", str(paths.SAM_CONFIG), "--config-env", stage.name),
        *("--parameter-overrides", *builder.overrides(values)),
        shown=True,
    )


def _protect_ledger(cloudformation: "CloudFormationClient", stage: Stage) -> dict[str, str]:
    policy = (paths.ROOT / "stack-policy.json").read_text()
    cloudformation.set_stack_policy(StackName=stage.stack_name, StackPolicyBody=policy)
    stack = cloudformation.describe_stacks(StackName=stage.stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _compare_live(functions: "LambdaClient", outputs: dict[str, str]) -> None:
    for name in (outputs[key] for key in FUNCTIONS):
        latest: Any = functions.get_function_configuration(FunctionName=name)
        live: Any = functions.get_function_configuration(FunctionName=name, Qualifier="live")
        if different := [key for key in COMPARED if latest.get(key) != live.get(key)]:
            raise ReleaseError(f"{name}: live is not what was deployed ({different})")
        print(f"  {name}: live is version {live['Version']}")


def _knock(api_url: str) -> None:
    try:
        answer = urllib3.request("GET", f"{api_url}/health", timeout=30, retries=3)
    except urllib3.exceptions.HTTPError as error:
        raise ReleaseError(f"GET {api_url}/health: {error}") from error
    if answer.status != 200:
        raise ReleaseError(f"GET {api_url}/health answers {answer.status}")


def main() -> int:
    """Read STAGE and release it."""
    name = os.environ.get("STAGE", "")
    if name in ("", "local"):
        print("say where: make deploy STAGE=sandbox or STAGE=production", file=sys.stderr)
        return 1
    try:
        stage = load_stage(name)
        release(stage, CloudClients(stage.region))
    except (BuildError, ReleaseError, UnknownStageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
