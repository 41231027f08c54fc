"""The manifest, as the real SDK reads it, and the script that publishes and installs the app."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sam2_adapter.config import Config
from sam2_adapter.dataloop.settings import PLATFORM_DEFAULTS
from sam2_adapter.models.families.architectures import get_architecture
from tests.dataloop.adapting import adapter_of

ROOT = Path(__file__).parents[2]


def _tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads((ROOT / "dataloop.json").read_text("utf-8"))


def _class_of(module: dict[str, Any]) -> type:
    """The class of a module, loaded by path as the platform does."""
    spec = importlib.util.spec_from_file_location(module["name"].replace("-", "_"), ROOT / module["entryPoint"])
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, module["className"])


def test_the_manifest_is_current(manifest):
    assert _tool("make_manifest").manifest() == manifest


def test_every_function_of_the_manifest_is_there_with_these_parameters(manifest):
    for module in manifest["components"]["modules"]:
        methods = _class_of(module)
        assert [parameter["name"] for parameter in module["initInputs"]] in ([], ["model_entity"])
        for function in module["functions"]:
            accepted = inspect.signature(getattr(methods, function["name"])).parameters
            takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
            for parameter in function["input"]:
                assert parameter["name"] in accepted or takes_any, f"{function['name']}({parameter['name']})"


def test_the_sdk_reads_modules_functions_models_and_pods(dl, manifest):
    dpk = dl.Dpk.from_json(copy.deepcopy(manifest), dl.client_api, None)
    modules = {module.name: module for module in dpk.components.modules}
    assert modules["sam2-model"].entry_point == "sam2_adapter/dataloop/adapter.py"
    assert modules["sam2-model"].class_name == "ModelAdapter"
    assert {function.name for function in modules["sam2-studio"].functions} == {
        "box_to_segmentation",
        "box_to_polygon",
        "predict_interactive_editing",
        "get_sam_features",
    }
    pods = {config.name: config for config in dpk.components.compute_configs}
    for module in manifest["components"]["modules"]:
        used = {module["computeConfig"], *(f["computeConfig"] for f in module["functions"] if "computeConfig" in f)}
        assert used <= set(pods)
    assert pods["train-gpu"].execution_timeout >= 86_400
    assert pods["train-gpu"].runtime["podType"].startswith("gpu")
    assert pods["predict-cpu"].runtime["podType"].startswith("regular")
    assert pods["studio-cpu"].runtime["concurrency"] == 10


def test_models_list_every_key_with_its_default(manifest):
    names = []
    for model in manifest["components"]["models"]:
        configuration = model["configuration"]
        model_cfg = configuration["model_cfg"]
        names.append(get_architecture(model_cfg).name)
        assert set(configuration) == {*Config.model_fields, *PLATFORM_DEFAULTS}
        own = {key: value for key, value in configuration.items() if key in Config.model_fields}
        assert Config.from_mapping(own) == Config(model_cfg=model_cfg)
        assert (model["inputType"], model["outputType"], model["moduleName"]) == ("image", "binary", "sam2-model")
    sizes = ("hiera_s", "hiera_b+", "hiera_l")
    assert names == [f"{family}_{size}" for family in ("sam2", "sam2.1") for size in sizes]


def test_buttons_call_functions_that_there_are(manifest):
    services = {service["name"]: service["moduleName"] for service in manifest["components"]["services"]}
    functions = {
        module["name"]: {function["name"] for function in module["functions"]}
        for module in manifest["components"]["modules"]
    }
    for toolbar in manifest["components"]["toolbars"]:
        service, module, function = toolbar["invoke"]["namespace"].split(".")
        assert services[service] == module
        assert function in functions[module]


def test_publishing_installs_the_models_and_sends_the_package_alone(platform, gateway):
    published = _tool("publish_dataloop").publish(platform.project, "registry.example/team")
    assert published["version"] == json.loads((ROOT / "dataloop.json").read_text("utf-8"))["version"]
    (dpk,) = platform.store.all("dpks")
    images = {config["runtime"]["runnerImage"] for config in dpk["components"]["computeConfigs"]}
    assert all(image.startswith("registry.example/team/sam2-adapter:") for image in images)
    assert [model["name"] for model in platform.store.all("models")] == published["models"]
    assert len(published["models"]) == 6
    packed = zipfile.ZipFile(io.BytesIO(platform.store.files[dpk["codebase"]["itemId"]])).namelist()
    assert "dataloop.json" in packed
    assert "sam2_adapter/dataloop/adapter.py" in packed
    assert "sam2_adapter/assets/presets.json" in packed
    outside = [name for name in packed if name != "dataloop.json" and not name.startswith("sam2_adapter/")]
    assert not outside
    assert not [name for name in packed if "__pycache__" in name]


def test_an_adapter_of_an_installed_model_sends_no_changes(platform, dl, gateway):
    _tool("publish_dataloop").publish(platform.project, "")
    stored = platform.store.all("models")[0]
    # The bundled model in place of weights that would be fetched.
    stored["configuration"] |= {"model_cfg": "sam2_nano", "device": "cpu", "runtime": "torch"}
    model = dl.models.get(model_id=stored["id"])
    with gateway.counting() as requests:
        adapter = adapter_of(model)
    assert adapter.predictor.info.name == "sam2_nano"
    assert not [request for request in requests if request.method == "PATCH"]


def test_a_later_version_leaves_the_installed_app_to_its_owner(platform, dl, gateway, monkeypatch, tmp_path):
    tool = _tool("publish_dataloop")
    tool.publish(platform.project, "")
    later = tmp_path / "later"
    later.mkdir()
    (later / "dataloop.json").write_text((ROOT / "dataloop.json").read_text("utf-8").replace("0.1.0", "0.2.0"), "utf-8")
    (later / "sam2_adapter").mkdir()
    monkeypatch.setattr(tool, "ROOT", later)
    published = tool.publish(platform.project, "")
    assert (published["version"], published["models"], published["is_update"]) == ("0.2.0", [], True)
    assert len(platform.store.all("apps")) == 1
    assert len(platform.store.all("models")) == 6
