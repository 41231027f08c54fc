"""The registry of published apps, and the apps installed from it."""

from __future__ import annotations

from tests.dataloop.gateway.models import create_model
from tests.dataloop.gateway.query import run_query
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, GatewayError, Store

routes = Routes()


@routes("POST", "/app-registry")
def post_dpk(call: Call) -> Document:
    """Publishes a version of an app; every version of a name only once, all of them under one `baseId`."""
    manifest = {name: value for name, value in call.json.items() if name != "id"}
    versions = call.store.all("dpks", name=manifest["name"])
    if any(row["version"] == manifest["version"] for row in versions):
        raise GatewayError(400, f"version {manifest['version']} of {manifest['name']} is published already")
    dpk = call.store.add("dpks", **manifest)
    dpk["baseId"] = versions[0]["baseId"] if versions else dpk["id"]
    return dpk


@routes("POST", "/app-registry/query")
def query_dpks(call: Call) -> Document:
    """Lists published apps, the latest version of each."""
    latest = {dpk["name"]: dpk for dpk in call.store.all("dpks")}
    return run_query(latest.values(), call.json)


@routes("GET", "/app-registry/{dpk_id}")
def get_dpk(call: Call) -> Document:
    """One published version, or the latest of an app."""
    return _find_dpk(call.store, call.params["dpk_id"])


@routes("DELETE", "/app-registry/{dpk_id}")
def delete_dpk(call: Call) -> Document:
    """Removes a published version."""
    call.store.delete("dpks", call.params["dpk_id"])
    return {}


@routes("POST", "/app-registry/{name}/revisions")
def query_revisions(call: Call) -> Document:
    """Lists the versions of an app."""
    return run_query(call.store.all("dpks", name=call.params["name"]), call.json)


@routes("GET", "/app-registry/{dpk_id}/revisions/{version}")
def get_revision(call: Call) -> Document:
    """One version of an app."""
    base = _find_dpk(call.store, call.params["dpk_id"])["baseId"]
    found = call.store.all("dpks", baseId=base, version=call.params["version"])
    if not found:
        raise GatewayError(404, f"no version {call.params['version']}")
    return found[0]


@routes("POST", "/apps")
def post_app(call: Call) -> Document:
    """Installs an app in a project, and with it the models of its manifest."""
    request = {name: value for name, value in call.json.items() if name not in ("id", "dpk", "status")}
    found = call.store.all("dpks", name=request["dpkName"], version=request["dpkVersion"])
    if not found:
        raise GatewayError(404, f"nothing published as {request['dpkName']} {request['dpkVersion']}")
    app = call.store.add("apps", **request, status="created", dpk=found[0])
    for model in (found[0].get("components") or {}).get("models") or []:
        create_model(call.store, app["projectId"], **_installed_model(app, model))
    return app


def _installed_model(app: Document, model: Document) -> Document:
    """The fields of a model entity that comes with an app."""
    dpk = app["dpk"]
    link = {
        "id": app["id"],
        "componentName": model["name"],
        "dpkName": dpk["name"],
        "dpkVersion": dpk["version"],
        "dpkId": dpk["baseId"],
    }
    return {"status": "pre-trained", **model, "packageId": dpk["id"], "app": link}


@routes("POST", "/apps/query")
def query_apps(call: Call) -> Document:
    """Lists installed apps."""
    return run_query(call.store.all("apps"), call.json)


@routes("GET", "/apps/{app_id}")
def get_app(call: Call) -> Document:
    """One installed app."""
    return call.store.get("apps", call.params["app_id"])


@routes("DELETE", "/apps/{app_id}")
def delete_app(call: Call) -> Document:
    """Uninstalls an app; its models stay."""
    call.store.delete("apps", call.params["app_id"])
    return {}


def _find_dpk(store: Store, identifier: str) -> Document:
    found = store.all("dpks", id=identifier) or store.all("dpks", baseId=identifier)
    if not found:
        raise GatewayError(404, f"nothing published with id {identifier}")
    return found[-1]
