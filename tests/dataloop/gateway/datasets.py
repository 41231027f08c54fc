"""Users, projects, datasets, and the recipes and ontologies that hold their labels."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from tests.dataloop.gateway.query import run_query
from tests.dataloop.gateway.routing import Call, Routes
from tests.dataloop.gateway.store import Document, GatewayError, Store
from tests.dataloop.gateway.tokens import USER

routes = Routes()

BINARIES = "Binaries"
"""The hidden dataset of every project: artifacts, packed code, exports."""


def create_project(store: Store, name: str) -> Document:
    """A project with its hidden dataset."""
    project = store.add(
        "projects", name=name, org={"id": "org", "name": "org"}, role="owner", contributors=[], account={}
    )
    project.update(isBlocked=False, archived=False, featureConstraints={}, systemProject=False, url="")
    create_dataset(store, project["id"], BINARIES, metadata={"system": {"scope": "system"}})
    return project


def create_dataset(store: Store, project_id: str, name: str, metadata: Document | None = None) -> Document:
    """A dataset without a recipe."""
    metadata = {"system": {"recipes": []}} if metadata is None else metadata
    dataset = store.add("datasets", name=name, projects=[project_id], metadata=metadata, annotated=0, itemsCount=0)
    dataset.update(
        annotationsCount=0, readonly=False, readableType="dataset", accessLevel="private", url="", driver=None
    )
    return dataset


def create_recipe(store: Store, dataset: Document, labels: dict[str, str]) -> Document:
    """A recipe with an ontology of these labels (name to colour `#rrggbb`), made the dataset's own."""
    ontology = store.add("ontologies", roots=[], projectIds=dataset["projects"], attributes=[], metadata={"system": {}})
    for tag, color in labels.items():
        _put_label(ontology, {"tag": tag, "color": color, "displayLabel": tag, "displayData": {}}, [])
    recipe = store.add(
        "recipes", title=f"{dataset['name']} Default Recipe", projectIds=dataset["projects"], metadata={"system": {}}
    )
    recipe.update(ontologyIds=[ontology["id"]], uiSettings={}, instructions={}, customActions={}, url="")
    dataset["metadata"]["system"]["recipes"] = [recipe["id"]]
    return recipe


def binaries_of(store: Store, project_id: str) -> Document:
    """The hidden dataset of a project."""
    return next(row for row in store.all("datasets", name=BINARIES) if project_id in row["projects"])


@routes("GET", "/users/me")
def get_me(call: Call) -> Document:
    """Who is logged in."""
    return {"id": USER, "email": USER}


@routes("POST", "/projects")
def post_project(call: Call) -> Document:
    """The client sends a form here, JSON everywhere else."""
    return create_project(call.store, parse_qs(call.body.decode())["name"][0])


@routes("GET", "/projects")
def get_projects(call: Call) -> list[Document]:
    """All projects."""
    return call.store.all("projects")


@routes("GET", "/projects/{project_id}")
def get_project(call: Call) -> Document:
    """One project."""
    return call.store.get("projects", call.params["project_id"])


@routes("GET", "/projects/{name}/name")
def get_projects_of_name(call: Call) -> list[Document]:
    """The projects of one name."""
    return call.store.all("projects", name=call.params["name"])


@routes("POST", "/datasets")
def post_dataset(call: Call) -> Document:
    """A new dataset, with an empty recipe when the client asks for the default one."""
    request = call.json
    if any(request["projects"] == row["projects"] for row in call.store.all("datasets", name=request["name"])):
        raise GatewayError(400, f"dataset {request['name']} exists")
    dataset = create_dataset(call.store, request["projects"][0], request["name"])
    if request.get("createDefaultRecipe"):
        create_recipe(call.store, dataset, {})
    return dataset


@routes("POST", "/datasets/query")
def query_datasets(call: Call) -> Document:
    """The datasets of some projects; hidden ones only with `systemSpace`."""
    projects = set(call.json.get("context", {}).get("projects", []))
    found = [row for row in call.store.all("datasets") if not projects or projects & set(row["projects"])]
    if not call.json.get("systemSpace"):
        found = [row for row in found if row["name"] != BINARIES]
    return run_query(found, call.json)


@routes("GET", "/datasets/{dataset_id}")
def get_dataset(call: Call) -> Document:
    """One dataset with its counts."""
    dataset = call.store.get("datasets", call.params["dataset_id"])
    items = call.store.all("items", datasetId=dataset["id"])
    counts = {"itemsCount": len(items), "annotated": sum(item["annotated"] for item in items)}
    return dataset | counts | {"annotationsCount": sum(item["annotationsCount"] for item in items)}


@routes("PATCH", "/datasets/{dataset_id}")
def patch_dataset(call: Call) -> Document:
    """Changes a dataset."""
    return call.store.update(call.store.get("datasets", call.params["dataset_id"]), call.json, call.system)


@routes("DELETE", "/datasets/{dataset_id}")
def delete_dataset(call: Call) -> Document:
    """Removes a dataset with its items."""
    call.store.delete("datasets", call.params["dataset_id"])
    return {}


@routes("POST", "/recipes")
def post_recipe(call: Call) -> Document:
    """A new recipe."""
    return call.store.add("recipes", metadata={"system": {}}, url="", **call.json)


@routes("GET", "/recipes/{recipe_id}")
def get_recipe(call: Call) -> Document:
    """One recipe."""
    return call.store.get("recipes", call.params["recipe_id"])


@routes("PATCH", "/recipes/{recipe_id}")
def patch_recipe(call: Call) -> Document:
    """Changes a recipe."""
    return call.store.update(call.store.get("recipes", call.params["recipe_id"]), call.json, call.system)


@routes("POST", "/ontologies")
def post_ontology(call: Call) -> Document:
    """A new ontology."""
    return call.store.add("ontologies", metadata={"system": {}}, **call.json)


@routes("GET", "/ontologies/{ontology_id}")
def get_ontology(call: Call) -> Document:
    """One ontology."""
    return call.store.get("ontologies", call.params["ontology_id"])


@routes("PUT", "/ontologies/{ontology_id}")
def put_ontology(call: Call) -> Document:
    """Changes an ontology."""
    return call.store.update(call.store.get("ontologies", call.params["ontology_id"]), call.json, call.system)


@routes("PATCH", "/ontologies/{ontology_id}/labels")
def patch_labels(call: Call) -> Document:
    """Adds labels, or changes those that exist."""
    return _put_labels(call)


@routes("PATCH", "/ontologies/{ontology_id}/addLabels")
def add_labels(call: Call) -> Document:
    """Adds labels."""
    return _put_labels(call)


def _put_labels(call: Call) -> Document:
    ontology = call.store.get("ontologies", call.params["ontology_id"])
    request = call.json
    for entry in request.get("labelsNode") or request.get("labels") or [request.get("labelNode") or request]:
        _put_label(ontology, entry.get("value", entry), entry.get("children", []))
    return ontology


def _put_label(ontology: Document, value: Document, children: list[Any]) -> None:
    for root in ontology["roots"]:
        if root["value"]["tag"] == value["tag"]:
            root["value"].update(value)
            return
    ontology["roots"].append({"value": value, "children": children})
