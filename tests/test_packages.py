"""Packages that are not installed."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from limbeck.config import load_config, parse_config
from limbeck.config.packages import check_onnx, module_with_onnx
from limbeck.errors import ConfigError
from tests.tiny import tiny_study, write_study_file

WAY_OUT = r"needs onnxscript, which is not installed; run: pip install 'limbeck\[onnx\]'"


@pytest.fixture
def without_onnxscript(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "onnxscript" else usual(name, package)

    monkeypatch.setattr("limbeck.config.packages.find_spec", find_spec)
    monkeypatch.setitem(sys.modules, "onnxscript", None)


@pytest.mark.usefixtures("without_onnxscript")
def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "limbeck.students.graphs", raising=False)
    with pytest.raises(ConfigError, match=WAY_OUT):
        check_onnx()
    with pytest.raises(ConfigError, match=WAY_OUT):
        module_with_onnx("limbeck.students.graphs")


def test_another_missing_package_is_a_fault() -> None:
    check_onnx()
    with pytest.raises(ModuleNotFoundError, match=r"limbeck\.nowhere"):
        module_with_onnx("limbeck.nowhere")


@pytest.mark.usefixtures("without_onnxscript")
def test_a_new_search_is_refused_but_an_old_one_can_be_read(tmp_path: Path) -> None:
    latency = {"runtime": "onnx-int8"}
    path = write_study_file(tmp_path / "study.toml", latency=latency)
    with pytest.raises(ConfigError, match=WAY_OUT) as refused:
        load_config(path)
    assert str(refused.value).startswith('study.toml: latency.runtime = "onnx-int8": this needs')
    stored = parse_config({**tiny_study(), "latency": latency}, folder=tmp_path, name="tiny")
    assert stored.file.latency.on_cpu
