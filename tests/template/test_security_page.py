"""The page that says what each role and queue can do knows all of them."""

from deployed import paths
from tests.template.expansion import Expanded

PAGE = (paths.ROOT / "docs" / "security.md").read_text()


def rows() -> list[str]:
    """The first cells of the page's table of keys, roles and queues."""
    table = PAGE.partition("## Keys, roles and queues\n")[2].partition("\n## ")[0]
    return [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")]


def unnamed(template: Expanded) -> list[str]:
    """The roles and queues that have no row, each as its row would name it."""
    functions = dict(template.of_type("AWS::Lambda::Function"))
    names = {
        one["Role"].removesuffix(".Arn"): one["Code"]["S3Key"].rpartition("/")[2]
        for one in functions.values()
    }
    roles = [names.get(role, role) for role, _ in template.of_type("AWS::IAM::Role")]
    queues = [
        queue["QueueName"].replace(template.stack_name, "…")
        for _, queue in template.of_type("AWS::SQS::Queue")
    ]
    first_cells = " ".join(rows())
    return [name for name in roles + queues if f"`{name}`" not in first_cells]


def test_every_role_and_every_queue_has_a_row(template: Expanded) -> None:
    assert unnamed(template) == []


def test_one_that_is_new_is_missed(to_break: Expanded) -> None:
    properties = {"QueueName": f"{to_break.stack_name}-new"}
    to_break.resources["NewQueue"] = {"Type": "AWS::SQS::Queue", "Properties": properties}
    assert unnamed(to_break) == ["…-new"]
