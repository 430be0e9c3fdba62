"""Keys are made, listed and revoked; a key is shown once."""

import json
from pathlib import Path
from typing import Any

import pytest

from refundctl.command import main
from refundctl.exits import Exit
from tests.unit.refundctl.cloud import PREFIX, Cloud


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


class Shell:
    """Somebody at a terminal."""

    def __init__(self, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        self._cloud = cloud
        self._capsys = capsys

    def __call__(self, line: str) -> tuple[int, str, str]:
        """The exit code, stdout and stderr of a command line."""
        if line.startswith("keys create") and "--output" not in line:
            line += " --output -"  # here as in a script: nobody sits at a terminal
        exit_code = main(line.split(), self._cloud.find)
        captured = self._capsys.readouterr()
        return exit_code, captured.out, captured.err

    def json(self, line: str) -> Any:
        """The result of a command that is done."""
        exit_code, out, _ = self(f"{line} --json")
        assert exit_code == Exit.DONE
        return json.loads(out)


@pytest.fixture
def shell(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(cloud, capsys)


def test_a_key_is_all_that_making_one_writes_to_stdout(shell: Shell, cloud: Cloud) -> None:
    exit_code, out, err = shell("keys create shop")
    assert exit_code == Exit.DONE
    assert out.startswith("rbk_")
    assert out.count("\n") == 1
    # And what is kept of it is no key
    ((name, (stored, _)),) = cloud.values.items()
    assert name.startswith(f"{PREFIX}/api-keys/shop.")
    assert out.strip() not in stored + err
    # And it is said when it works
    assert "within 60 s" in err
    assert cloud.kms_keys == ["the-key"]


def test_a_key_may_do_everything_unless_less_is_asked_for(shell: Shell) -> None:
    assert shell.json("keys create shop")["scopes"] == ["refunds:read", "refunds:write"]
    assert shell.json("keys create desk --scope refunds:read")["scopes"] == ["refunds:read"]


def test_a_second_key_of_a_caller_has_to_be_asked_for(shell: Shell, cloud: Cloud) -> None:
    first = shell.json("keys create shop")
    exit_code, out, err = shell("keys create shop")
    assert (exit_code, out) == (Exit.REFUSED, "")
    assert first["id"] in err
    assert "--another" in err
    assert len(cloud.values) == 1


def test_another_key_of_a_caller_may_do_what_the_newest_may(shell: Shell) -> None:
    shell.json("keys create shop")
    shell.json("keys create shop --another --scope refunds:read")
    third = shell.json("keys create shop --another")
    assert (third["name"], third["scopes"]) == ("shop", ["refunds:read"])
    wider = shell.json("keys create shop --another --scope refunds:write --scope refunds:read")
    assert wider["scopes"] == ["refunds:read", "refunds:write"]


def test_no_key_pays_out_unless_that_is_said_each_time(shell: Shell, cloud: Cloud) -> None:
    first = shell.json("keys create claims --scope refunds:payout")
    assert first["scopes"] == ["refunds:payout"]
    exit_code, out, err = shell("keys create claims --another")
    assert (exit_code, out) == (Exit.REFUSED, "")
    assert "say each --scope" in err
    assert len(cloud.values) == 1
    other = shell.json("keys create claims --another --scope refunds:payout")
    assert other["scopes"] == ["refunds:payout"]


def test_keys_are_listed_without_anything_secret(shell: Shell, cloud: Cloud) -> None:
    shop = shell.json("keys create shop")
    cloud.values[f"{PREFIX}/api-keys/by-hand"] = ("not JSON", cloud.values.popitem()[1][1])
    desk = shell.json("keys create desk --scope refunds:read")
    assert shell.json("keys list") == [
        {"id": "by-hand", "name": None, "scopes": [], "made_at": "2026-03-01T09:30:01Z"},
        {
            "id": desk["id"],
            "name": "desk",
            "scopes": ["refunds:read"],
            "made_at": "2026-03-01T09:30:02Z",
        },
    ]
    exit_code, out, _ = shell("keys list")
    assert exit_code == Exit.DONE
    assert "2026-03-01 09:30:02 UTC" in out
    assert "lets nobody in" in out
    for secret in (shop["key"], desk["key"], "sha256"):
        assert secret not in out


def test_no_keys_are_listed_as_none(shell: Shell) -> None:
    assert shell.json("keys list") == []
    assert shell("keys list") == (Exit.DONE, "", "There are no keys.\n")


def test_the_only_key_of_a_caller_is_revoked_by_its_name(shell: Shell, cloud: Cloud) -> None:
    key = shell.json("keys create shop")
    told = shell.json("keys revoke shop")
    assert told == {"revoked": [key["id"]], "effective_within_seconds": 60}
    assert cloud.values == {}


def test_one_of_several_keys_is_revoked_by_its_id(shell: Shell) -> None:
    old = shell.json("keys create shop")
    new = shell.json("keys create shop --another")
    assert shell.json(f"keys revoke {old['id']}")["revoked"] == [old["id"]]
    assert [key["id"] for key in shell.json("keys list")] == [new["id"]]


def test_several_keys_are_not_revoked_by_mistake(shell: Shell, cloud: Cloud) -> None:
    ids = [shell.json("keys create shop --another")["id"] for _ in range(2)]
    exit_code, _, err = shell("keys revoke shop")
    assert exit_code == Exit.REFUSED
    assert all(key_id in err for key_id in ids)
    assert len(cloud.values) == 2
    assert sorted(shell.json("keys revoke shop --all")["revoked"]) == sorted(ids)
    assert cloud.values == {}


def test_revoking_again_is_harmless(shell: Shell) -> None:
    key = shell.json("keys create shop")
    shell.json("keys revoke shop")
    for name in ("shop", key["id"], "nobody"):
        assert shell.json(f"keys revoke {name}")["revoked"] == []
    assert "nothing to revoke" in shell("keys revoke shop")[1]


def test_a_key_that_nobody_can_read_can_be_revoked(shell: Shell, cloud: Cloud) -> None:
    shell.json("keys create shop")
    ((name, (_, made_at)),) = cloud.values.items()
    cloud.values[name] = ("{", made_at)
    key_id = name.rpartition("/")[2]
    assert shell.json(f"keys revoke {key_id}")["revoked"] == [key_id]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "keys",
        "keys create",
        "keys create Shop",
        "keys create a/b",
        "keys create shop --scope refunds:all",
        "keys revoke",
        "keys list --stage a --local",
    ],
)
def test_a_line_that_cannot_be_meant_changes_nothing(shell: Shell, cloud: Cloud, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        shell(line)
    assert ended.value.code == Exit.MISUSED
    assert cloud.values == {}


class TestUnreachable:
    """One sentence and an exit code of its own, for every command."""

    @pytest.mark.parametrize("line", ["keys create shop", "keys list", "keys revoke shop"])
    @pytest.mark.parametrize(
        ("trouble", "told"),
        [
            ("has_stack", "no stack refund-bridge-test in ap-southeast-1"),
            ("refuses", "AccessDeniedException"),
            ("is_down", "http://127.0.0.1:1"),
        ],
    )
    def test_it_is_said_in_one_line(
        self, shell: Shell, cloud: Cloud, line: str, trouble: str, told: str
    ) -> None:
        setattr(cloud, trouble, trouble != "has_stack")
        exit_code, out, err = shell(line)
        assert (exit_code, out) == (Exit.UNREACHABLE, "")
        assert told in err
        assert err.count("\n") == 1

    def test_the_keyboard_stops_it(
        self, shell: Shell, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(**_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(cloud, "describe_stacks", interrupted)
        assert shell("keys list") == (Exit.STOPPED, "", "Stopped.\n")


class TestWhereNobodySeesIt:
    """A key that a log keeps is a key that is lost."""

    def test_no_key_is_made_unless_it_is_said_where_it_goes(
        self, cloud: Cloud, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for form in ((), ("--json",)):
            assert main(["keys", "create", "shop", *form], cloud.find) == Exit.MISUSED
        assert cloud.values == {}
        assert "rbk_" not in "".join(capsys.readouterr())

    def test_at_a_terminal_it_is_shown(
        self,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        assert main(["keys", "create", "shop"], cloud.find) == Exit.DONE
        assert capsys.readouterr().out.startswith("rbk_")

    def test_a_file_is_its_owners_alone_and_takes_no_others_place(
        self, shell: Shell, cloud: Cloud, tmp_path: Path
    ) -> None:
        file = tmp_path / "key"
        made = shell.json(f"keys create shop --output {file}")
        assert "key" not in made
        assert file.read_text().startswith("rbk_")
        assert file.stat().st_mode & 0o077 == 0
        assert shell(f"keys create desk --output {file}")[0] == Exit.REFUSED
        assert len(cloud.values) == 1
