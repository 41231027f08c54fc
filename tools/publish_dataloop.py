"""Publish the Dataloop app and install it in a project, with the SDK.

    python tools/publish_dataloop.py --project NAME --registry docker.io/my-team [--no-install] [--environment prod]

Needs `pip install 'sam2-adapter[dataloop]'` and the images of the Dockerfile, pushed to the registry. Logs in in the browser,
or with the token in DTLPY_TOKEN, which is never printed. Only the package and the manifest are sent.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MANIFEST = "dataloop.json"
PACKAGE = "sam2_adapter"
# Not part of what runs on the platform.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "demo")


def main() -> int:
    """Publish and install; returns the exit status."""
    args = parse_arguments()
    import dtlpy

    log_in(dtlpy, args.environment)
    project = dtlpy.projects.get(project_name=args.project)
    app = publish(project, args.registry, install=not args.no_install)
    print(f"published {app['name']} {app['version']} in {args.project!r}")
    for name in app["models"]:
        print(f"installed model {name}")
    if app["is_update"]:
        print("An earlier version is installed: choose the new one on the page of the installed app.")
    return 0


def log_in(dtlpy: Any, environment: str | None) -> None:
    """Use the token in DTLPY_TOKEN, or the login that is there, or ask for one."""
    if environment:
        dtlpy.setenv(environment)
    token = os.environ.get("DTLPY_TOKEN")
    if token:
        dtlpy.login_token(token)
    elif dtlpy.token_expired():
        dtlpy.login()


def publish(project: Any, registry: str, *, install: bool = True) -> dict[str, Any]:
    """Publish the app, and install it where no version of it is installed.

    Args:
        project: `dl.Project`.
        registry: where the images are, without a slash at the end; may be empty for images without registry.
        install: also install the app in the project.

    Returns:
        Name and version of the app, the names of the models that came with it, and whether an earlier version is installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        staged = stage(Path(folder), registry)
        dpk = project.dpks.publish(manifest_filepath=str(staged / MANIFEST), local_path=str(staged))
    installed = {app.dpk_name for app in project.apps.list().all()}
    if not install or dpk.name in installed:
        return {"name": dpk.name, "version": dpk.version, "models": [], "is_update": dpk.name in installed}
    project.apps.install(dpk)
    models = [model["name"] for model in dpk.to_json()["components"]["models"]]
    return {"name": dpk.name, "version": dpk.version, "models": models, "is_update": False}


def stage(folder: Path, registry: str) -> Path:
    """Copy what is published into `folder`, with the names of the images in the registry."""
    manifest = json.loads((ROOT / MANIFEST).read_text("utf-8"))
    for config in manifest["components"]["computeConfigs"]:
        image = config["runtime"]["runnerImage"]
        config["runtime"]["runnerImage"] = f"{registry}/{image}" if registry else image
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=LEFT_OUT)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), "utf-8")
    return folder


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, help="name of the project")
    parser.add_argument("--registry", required=True, help="registry and namespace of the images")
    parser.add_argument("--environment", help="environment of the platform; by default the SDK's")
    parser.add_argument("--no-install", action="store_true", help="publish only")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
