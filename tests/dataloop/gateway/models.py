"""Models, their metrics, and the executions that training, evaluation and prediction on the platform start."""

from __future__ import annotations

from typing import Any

from tests.dataloop.gateway.query import run_query
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, Store, without_system
from tests.dataloop.gateway.tokens import USER

routes = Routes()

_DEFAULTS: Document = {
    "description": "",
    "packageId": None,
    "datasetId": None,
    "status": "created",
    "inputType": "image",
    "outputType": None,
    "moduleName": None,
    "url": "",
    "scope": "project",
    "version": "1.0.0",
    "app": None,
}


def create_model(store: Store, project_id: str, **fields: Any) -> Document:
    """A model of a project; what is not given is as the platform fills it in."""
    context = {"project": project_id, "org": "org", "creator": USER}
    empty: Document = {"artifacts": [], "labels": [], "tags": [], "configuration": {}, "statusLogs": []}
    model = store.add("models", **{**_DEFAULTS, **empty, "projectId": project_id, "context": context, **fields})
    model["metadata"] = {"system": {}, **(fields.get("metadata") or {})}
    return model


@routes("POST", "/ml/models")
def post_model(call: Call) -> Document:
    """A new model."""
    fields = dict(call.json)
    return create_model(call.store, fields.pop("projectId"), **fields)


@routes("POST", "/ml/models/query")
def query_models(call: Call) -> Document:
    """Lists models."""
    return run_query(call.store.all("models"), call.json)


@routes("GET", "/ml/models/{model_id}")
def get_model(call: Call) -> Document:
    """One model."""
    return call.store.get("models", call.params["model_id"])


@routes("PATCH", "/ml/models/{model_id}")
def patch_model(call: Call) -> Document:
    """Replaces every field that is sent, status, configuration and artifacts included; `metadata.system` only with `system=true`."""
    model = call.store.get("models", call.params["model_id"])
    changes = without_system(call.json, call.system)
    metadata = {**model["metadata"], **(changes.pop("metadata", None) or {})}
    model.update({name: value for name, value in changes.items() if name not in ("id", "creator", "createdAt")})
    model["metadata"] = metadata
    return call.store.update(model, {}, system=True)


@routes("DELETE", "/ml/models/{model_id}")
def delete_model(call: Call) -> Document:
    """Removes a model; its artifacts stay."""
    call.store.delete("models", call.params["model_id"])
    return {}


@routes("POST", "/ml/models/{model_id}/clone")
def clone_model(call: Call) -> Document:
    """A model of its own with the artifacts of the source; what is not sent is the source's, the status is `pre-trained`."""
    source = call.store.get("models", call.params["model_id"])
    inherited = {
        name: value
        for name, value in source.items()
        if name not in ("id", "creator", "createdAt", "updatedAt", "updatedBy")
    }
    fields = {**inherited, "status": "pre-trained", "metadata": {"system": {}}, **call.json}
    project_id = fields.pop("projectId")
    return create_model(call.store, project_id, **fields | {"context": source["context"] | {"project": project_id}})


@routes("POST", "/ml/models/{model_id}/deploy")
def deploy_model(call: Call) -> Document:
    """A service that runs the model, noted in the model's metadata."""
    model = call.store.get("models", call.params["model_id"])
    config = call.json.get("serviceConfig") or {}
    service = call.store.add(
        "services", name=config.get("name", model["name"]), projectId=model["projectId"], active=True
    )
    service.update(
        moduleName=model["moduleName"], packageId=model["packageId"], runtime=config.get("runtime"), metadata={}
    )
    model["metadata"]["system"].setdefault("deploy", {}).setdefault("services", []).append(service["id"])
    model["status"] = "deployed"
    return service


@routes("POST", "/ml/models/{model_id}/train")
def train_model(call: Call) -> Document:
    """An execution that nobody runs: a test finds it in the state."""
    return _execute(call, "train_model")


@routes("POST", "/ml/models/{model_id}/evaluate")
def evaluate_model(call: Call) -> Document:
    """An execution that nobody runs."""
    return _execute(call, "evaluate_model")


@routes("POST", "/ml/models/{model_id}/predict")
def predict_model(call: Call) -> Document:
    """An execution that nobody runs."""
    return _execute(call, "predict_dataset" if "datasetId" in call.json["input"] else "predict_items")


@routes("POST", "/ml/models/{model_id}/embed")
def embed_model(call: Call) -> Document:
    """An execution that nobody runs."""
    return _execute(call, "embed_dataset" if "datasetId" in call.json["input"] else "embed_items")


def _execute(call: Call, function: str) -> Document:
    model = call.store.get("models", call.params["model_id"])
    status = {"status": "created", "percentComplete": 0, "message": ""}
    execution = call.store.add(
        "executions", projectId=model["projectId"], functionName=function, input=call.json.get("input", {})
    )
    execution.update(
        latestStatus=status, statusLog=[status], output=None, attempts=1, maxAttempts=3, model={"modelId": model["id"]}
    )
    return execution


@routes("GET", "/executions/{execution_id}")
def get_execution(call: Call) -> Document:
    """One execution."""
    return call.store.get("executions", call.params["execution_id"])


@routes("POST", "/executions/{execution_id}/progress")
def post_progress(call: Call) -> Document:
    """Notes how far an execution is."""
    execution = call.store.get("executions", call.params["execution_id"])
    status = {**execution["latestStatus"], **call.json}
    execution["output"] = status.pop("output", execution["output"])
    execution["latestStatus"] = status
    execution["statusLog"] = [*execution["statusLog"], status]
    return execution


@routes("POST", "/query/faas")
def query_executions(call: Call) -> Document:
    """Lists executions, or services where the query says so."""
    table = {"services": "services"}.get(call.json.get("resource"), "executions")
    return run_query(call.store.all(table), call.json)


@routes("POST", "/ml/metrics/publish")
def publish_metrics(call: Call) -> Document:
    """Stores points of curves."""
    for sample in call.json:
        call.store.add("metrics", **sample)
    return {"published": len(call.json)}


@routes("POST", "/ml/metrics/query")
def query_metrics(call: Call) -> Document:
    """Lists points of curves."""
    return run_query(call.store.all("metrics"), call.json)
