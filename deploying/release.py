"""`make deploy STAGE=...`: to AWS, with everything that `sam deploy` alone would forget.

It checks the account, asks for what is missing, builds for the stage's runtime and machine, checks
the build, deploys with the digest that makes new versions, protects the ledger, compares `live`
with what was just uploaded, and tests whether the stack works. Credentials come from where the AWS
tools look for them.
"""

import os
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from deployed import paths
from deployed.clients import CloudClients
from deployed.command_lines import line, spelt
from deployed.live import BrokenVersionError, LiveStack
from deployed.polling import NotInTimeError, wait_for
from deployed.stages import Stage, UnknownStageError, load_stage
from deploying import build as builder
from deploying.account import AccountError, concerns, has_kept_ledger, identity
from deploying.artifact_check import artifact_problems
from deploying.build import Build, BuildError
from deploying.deploy import api_url, build_digest
from deploying.kept_ledger import KeptLedgerError, is_empty, name_of, take_back
from deploying.questions import (
    UnansweredError,
    agree_to_take_back,
    ask_for_secrets,
    ask_for_sources,
)
from deploying.smoke import Smoke, SmokeError
from deploying.stranding import StrandingError, refuse_stranding
from refund_bridge.ports.ledger import LedgerUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# Making a snapshot of a version takes minutes; a version without one is ready at once.
READY_SECONDS = 600.0
LOOK_EVERY_SECONDS = 2.0


class ReleaseError(RuntimeError):
    """The release stopped; the message says at which step and what to do."""


STOPPED_BY = (
    AccountError,
    BrokenVersionError,
    BuildError,
    KeptLedgerError,
    LedgerUnavailableError,
    NotInTimeError,
    ReleaseError,
    SmokeError,
    StrandingError,
    UnansweredError,
    UnknownStageError,
)


def release(stage: Stage, clients: CloudClients) -> str:
    """Deploy a stage; returns the address of its API.

    Raises:
        one of `STOPPED_BY`, or botocore's errors: the release stopped, and the former version may
        still be live. Repeating the release is harmless.
    """
    who = identity(clients)
    print(f"{stage.name}: account {who.account}, {stage.region}, as {who.arn}", flush=True)
    for concern in concerns(clients, stage):
        print(f"  careful: {concern}")
    refuse_stranding(clients, stage)
    stage = ask_for_sources(stage)
    ask_for_secrets(clients.client("ssm"), stage)
    is_kept = has_kept_ledger(clients, stage)
    if is_kept and not is_empty(clients, stage):  # a failed first deployment leaves an empty one
        agree_to_take_back(name_of(stage))
    built = _build(stage)
    digest = build_digest(built, stage.parameters)
    if is_kept:
        print(f"Joining {name_of(stage)} to the stack", flush=True)
        take_back(clients, stage)
    _deploy(stage, clients, built, digest)
    outputs = _outputs(clients, stage)
    if outputs.get("BuildDigest") != digest:
        raise ReleaseError(
            "The stack is not of this build: the change set was not applied, or another deployment"
            " came in between. What was live is live. Deploy again."
        )
    _protect_ledger(clients.client("cloudformation"), stage)
    _require_live(LiveStack(clients, stage.stack_name))
    address = api_url(clients, stage, outputs)
    settle_function = outputs["SettleRefundsFunctionName"]
    for found in Smoke(clients, stage, address, settle_function=settle_function).all():
        print(f"  {found}", flush=True)
    print(f"Deployed: {address}")
    if target := outputs.get("DomainTarget"):
        print(f"For callers: {outputs['ApiUrl']}")
        if not stage.parameters["HostedZoneId"]:
            print(f"  once its zone has a CNAME of that name to {target}")
    print(f"Look at all of it: {line(spelt('doctor'), ['--stage', stage.name])}")
    return address


def _build(stage: Stage) -> Build:
    target = builder.aws(stage)
    print(f"Building for {target.runtime} on {target.architecture}", flush=True)
    if target.compiler is None:
        print(f"  no Python {target.python} on this machine: shipping no bytecode")
    built = builder.build(target, stage)
    if problems := artifact_problems(built, target):
        raise ReleaseError("The build does not fit its target:\n" + "\n".join(problems))
    return built


def _deploy(stage: Stage, clients: CloudClients, built: Build, digest: str) -> None:
    values = stage.parameters | {"BuildDigest": digest}
    print("Deploying with sam deploy", flush=True)
    builder.sam(
        *("deploy", "--template-file", str(built.template)),
        *("--config-file", str(paths.SAM_CONFIG), "--config-env", stage.name),
        *("--parameter-overrides", *builder.overrides(values)),
        settings=_elsewhere(clients),
        shown=True,
    )


def _elsewhere(clients: CloudClients) -> dict[str, str]:
    """Environment variables that direct the SAM CLI to the clients' cloud, if that is not AWS."""
    if clients.endpoint_url is None or clients.key is None:
        return {}
    return {"AWS_ENDPOINT_URL": clients.endpoint_url, **clients.key.environment}


def _outputs(clients: CloudClients, stage: Stage) -> dict[str, str]:
    """The stack's outputs; empty if its first change set was not applied."""
    cloudformation: CloudFormationClient = clients.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=stage.stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}


def _protect_ledger(cloudformation: "CloudFormationClient", stage: Stage) -> None:
    policy = (paths.ROOT / "stack-policy.json").read_text()
    cloudformation.set_stack_policy(StackName=stage.stack_name, StackPolicyBody=policy)
    cloudformation.update_termination_protection(
        StackName=stage.stack_name, EnableTerminationProtection=True
    )


def _require_live(live: LiveStack) -> None:
    """Wait until every alias sends all traffic to what was uploaded, and it can be called."""
    for function in live.functions():
        if behind := live.behind(function):
            raise ReleaseError(f"{function}: live is not what was deployed ({', '.join(behind)})")
        wait_for(
            lambda function=function: live.is_ready(function),  # type: ignore[misc]
            f"{function}: its version ready to be called",
            at_most=READY_SECONDS,
            every=LOOK_EVERY_SECONDS,
        )
        print(f"  {function}: live is version {live.version(function)}", flush=True)


def main() -> int:
    """Read STAGE and release it."""
    name = os.environ.get("STAGE", "")
    if name in ("", "local"):
        print("say where: make deploy STAGE=sandbox or STAGE=production", file=sys.stderr)
        return 1
    try:
        stage = load_stage(name)
        release(stage, CloudClients(stage.region))
    except STOPPED_BY as error:
        print(error, file=sys.stderr)
        return 1
    except ClientError as error:
        told = error.response["Error"]
        print(f"AWS refused: {told['Code']}: {told['Message']}", file=sys.stderr)
        return 1
    except (BotoCoreError, HTTPError) as error:
        print(f"No answer: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What was live is live; deploy again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
