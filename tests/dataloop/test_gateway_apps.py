"""Publishing and installing an app, models from it, features, executions and scores, through the real client."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def manifest(tmp_path):
    """A folder with a small app."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "adapter.py").write_text("")
    module = {
        "name": "segmenter",
        "entryPoint": "adapter.py",
        "className": "ModelAdapter",
        "initInputs": [],
        "functions": [],
    }
    model = {
        "name": "small",
        "moduleName": "segmenter",
        "outputType": "binary",
        "labels": ["x"],
        "configuration": {"batch_size": 2},
    }
    components = {"modules": [module], "models": [model]}
    content = {
        "name": "bright",
        "displayName": "Bright",
        "version": "1.0.0",
        "scope": "project",
        "components": components,
    }
    (folder / "dataloop.json").write_text(json.dumps(content))
    return folder


def test_an_app_is_published_installed_and_brings_its_models(platform, gateway, manifest):
    project = platform.project
    dpk = project.dpks.publish(manifest_filepath=str(manifest / "dataloop.json"), local_path=str(manifest))
    app = project.apps.install(dpk=dpk)
    model = project.models.get(model_name="small")
    assert (model.status, model.output_type, model.labels) == ("pre-trained", "binary", ["x"])
    assert model.app["dpkName"] == "bright"
    assert model.package.name == "bright"
    made = app.models.create(model_name="mine", dpk_model_name="small", output_type="segment")
    assert (made.configuration, made.output_type) == ({"batch_size": 2}, "segment")
    assert project.dpks.get(dpk_name="bright").id == dpk.id
    assert not gateway.requests.unknown


def test_a_version_is_published_once(platform, manifest):
    dl = platform.dl
    platform.project.dpks.publish(manifest_filepath=str(manifest / "dataloop.json"), local_path=str(manifest))
    with pytest.raises(dl.exceptions.BadRequest, match=r"1\.0\.0 of bright is published already"):
        platform.project.dpks.publish(manifest_filepath=str(manifest / "dataloop.json"), local_path=str(manifest))


def test_a_clone_has_its_own_subsets_and_the_artifacts(platform, gateway):
    dl = platform.dl
    dataset = platform.dataset()
    model = platform.model(dataset, artifacts={"weights.json": b"{}"}, configuration={"a": 1})
    clone = model.clone(
        model_name="copy",
        dataset=dataset,
        train_filter=dl.Filters(field="dir", values="/train"),
        configuration={"b": 2},
    )
    stored = platform.stored_model(clone)
    assert (stored["name"], stored["configuration"]) == ("copy", {"a": 1, "b": 2})
    assert stored["artifacts"] == platform.stored_model(model)["artifacts"]
    assert list(stored["metadata"]["system"]["subsets"]) == ["train"]
    assert platform.stored_model(model)["metadata"]["system"]["subsets"] == {}
    assert not gateway.requests.unknown


def test_system_metadata_of_a_model_changes_only_on_request(platform):
    model = platform.model(platform.dataset())
    model.metadata["system"]["mark"] = 1
    model.update()
    assert "mark" not in platform.stored_model(model)["metadata"]["system"]
    model.metadata["system"]["mark"] = 1
    model.update(system_metadata=True)
    assert platform.stored_model(model)["metadata"]["system"]["mark"] == 1


def test_a_deployed_model_predicts_in_an_execution(platform, gateway):
    dataset = platform.dataset()
    model = platform.model(dataset)
    model.deploy()
    model = platform.dl.models.get(model_id=model.id)
    assert model.status == "deployed"
    execution = model.predict(item_ids=["1" * 24])
    execution.progress_update(status="inProgress", percent_complete=40, message="halfway")
    fresh = platform.dl.executions.get(execution_id=execution.id)
    assert (fresh.latest_status["percentComplete"], fresh.function_name) == (40, "predict_items")
    assert not gateway.requests.unknown


def test_feature_vectors(platform, gateway):
    dl = platform.dl
    dataset = platform.dataset()
    item = platform.item(dataset)
    features = platform.project.feature_sets.create(
        name="f", size=3, set_type="embedding", entity_type=dl.FeatureEntityType.ITEM
    )
    vector = features.features.create(value=[1.0, 2.0, 3.0], entity=item, project_id=platform.project.id)
    found = list(features.features.list().all())
    assert [(row.id, row.value, row.entity_id) for row in found] == [(vector.id, [1.0, 2.0, 3.0], item.id)]
    with pytest.raises(dl.exceptions.BadRequest, match="have 3 numbers, got 2"):
        features.features.create(value=[1.0, 2.0], entity=item, project_id=platform.project.id)
    assert not gateway.requests.unknown


def test_metrics_come_back(platform):
    dl = platform.dl
    model = platform.model(platform.dataset())
    model.metrics.create(
        samples=[dl.PlotSample(figure="loss", legend="train", x=0, y=0.5)], dataset_id=model.dataset_id
    )
    assert [(row.figure, row.legend, row.x, row.y) for row in model.metrics.list().all()] == [("loss", "train", 0, 0.5)]
