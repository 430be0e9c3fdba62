from pathlib import Path

import pytest
import yaml

from local.template_yaml import read_template


def read(tmp_path: Path, text: str) -> object:
    file = tmp_path / "template.yaml"
    file.write_text(text)
    return read_template(file)


def test_short_functions_become_long_ones(tmp_path: Path) -> None:
    text = """
A: !Ref Stage
B: !GetAtt Queue.Arn
C: !Sub ${Stage}-x
D: !If [Is, !Ref X, !Ref "AWS::NoValue"]
E: !And [!Condition One, !Equals [a, b]]
"""
    assert read(tmp_path, text) == {
        "A": {"Ref": "Stage"},
        "B": {"Fn::GetAtt": ["Queue", "Arn"]},
        "C": {"Fn::Sub": "${Stage}-x"},
        "D": {"Fn::If": ["Is", {"Ref": "X"}, {"Ref": "AWS::NoValue"}]},
        "E": {"Fn::And": [{"Condition": "One"}, {"Fn::Equals": ["a", "b"]}]},
    }


def test_python_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError):
        read(tmp_path, "A: !!python/object/apply:os.getcwd []")
