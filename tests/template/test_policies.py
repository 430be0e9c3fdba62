"""Rule 28 of AWS: a policy scanner finds nothing in the expanded template that has no reason."""

import json
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployed import paths
from tests.template.expansion import Expanded, expand

EXCEPTIONS = Path(__file__).with_name("policy_exceptions.toml")
ALL_ON = {
    "KmsKeyArn": "arn:aws:kms:ap-southeast-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "Tracing": "on",
    "ManageApiGatewayAccount": "true",
    "AlarmEmail": "night@example.com",
    "Gradual": "true",
    "CreditNotes": "on",
}
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Finding:
    """One check that failed for one resource of one template."""

    template: str
    check: str
    resource: str


def scanned(templates: dict[str, Expanded], directory: Path) -> set[Finding]:
    """What the scanner finds. It calls nobody: what it would download is left out."""
    files = {}
    for name, template in templates.items():
        files[name] = directory / f"{name}.json"
        files[name].write_text(json.dumps({"Resources": template.resources}))
    given = [part for file in files.values() for part in ("--file", str(file))]
    checkov = str(paths.executable(paths.POLICY_ENVIRONMENT, "checkov"))
    finished = subprocess.run(  # noqa: S603 - the scanner, on files of our own
        (
            *(checkov, *given),
            *("--framework", "cloudformation", "--output", "json"),
            *("--quiet", "--compact", "--skip-download"),
        ),
        cwd=directory,  # where no configuration of anybody's lies
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert finished.returncode in (0, 1), finished.stderr
    report = json.loads(finished.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] >= sum(len(t.resources) for t in templates.values())
    return {
        Finding(Path(one["file_path"]).stem, one["check_id"], one["resource"])
        for one in report["results"]["failed_checks"]
    }


def exceptions() -> dict[str, dict[str, Any]]:
    """What is done on purpose, by the id of the check."""
    table: dict[str, dict[str, Any]] = tomllib.loads(EXCEPTIONS.read_text())
    return table


def is_excepted(finding: Finding) -> bool:
    exception = exceptions().get(finding.check, {"templates": ()})
    return finding.template in exception["templates"] and _is_on(exception, finding)


def _is_on(exception: dict[str, Any], finding: Finding) -> bool:
    return f"{finding.resource}.".startswith(f"{exception['resources']}.")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """What is found in the template, as it is and with everything on, and in one that is broken."""
    broken = expand("production")
    policy = broken.properties("SettleRefundsRole")["Policies"][0]["PolicyDocument"]
    policy["Statement"].append({"Effect": "Allow", "Action": "*", "Resource": "*"})
    templates = {
        "as_it_is": expand("production"),
        "all_on": expand("production", **ALL_ON),
        "broken": broken,
    }
    return scanned(templates, tmp_path_factory.mktemp("scan"))


def test_rule_28_every_finding_has_its_reason(findings: set[Finding]) -> None:
    found = {one for one in findings if one.template != "broken"}
    assert {one for one in found if not is_excepted(one)} == set()


def test_rule_28_every_exception_is_needed_and_says_why(findings: set[Finding]) -> None:
    for check, exception in exceptions().items():
        assert exception["reason"].strip(), check
        for template in exception["templates"]:
            found = {one for one in findings if (one.template, one.check) == (template, check)}
            assert [one for one in found if _is_on(exception, one)], (check, template)


def test_the_scanner_notices_what_is_wrong(findings: set[Finding]) -> None:
    usual = {one.check for one in findings if one.template == "as_it_is"}
    new = {(one.check, one.resource) for one in findings if one.template == "broken"}
    noticed = {resource for check, resource in new if check not in usual}
    assert noticed == {"AWS::IAM::Role.SettleRefundsRole"}
