"""The diagnosis as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sam2_adapter.doctor import Diagnosis, ModelRuntime, Package, Weights
from sam2_adapter.text import plural

if TYPE_CHECKING:
    from sam2_adapter.model_check import ModelCheck

DEFAULT_MODEL = "sam2_hiera_s"


def render(diagnosis: Diagnosis) -> list[str]:
    """The lines of all sections of a diagnosis, the advice last."""
    sections = {
        f"sam2-adapter {diagnosis.version}": [f"Python {diagnosis.python} on {diagnosis.system}"],
        "packages": _columns([(package.name, _state(package)) for package in diagnosis.packages]),
        "devices, best first": _columns(
            [(device.name, f"{device.description}; precision {device.precision}") for device in diagnosis.devices]
        ),
        f"runtimes on the CPU, {plural(diagnosis.threads, 'thread')}": _columns(
            [("openvino", diagnosis.openvino or "not installed"), ("torch", _version(diagnosis, "torch"))]
        ),
        f"runtime of {diagnosis.runtime.model}": [_runtime(diagnosis.runtime)],
        f"weights in {diagnosis.cache_dir}": _columns(
            [(weights.name, _place(weights)) for weights in diagnosis.weights]
        ),
        "what to do": _advice(diagnosis),
    }
    lines = []
    for title, entries in sections.items():
        if entries:
            lines += ["", title, *(f"  {entry}" for entry in entries)]
    return lines[1:]


def check_lines(check: ModelCheck) -> list[str]:
    """The figures of a checked model, and what is wrong with it."""
    header = ("engine", "precision", "device", "s/image", "score", "agreement")
    rows = [
        (
            entry.engine,
            entry.precision,
            entry.device,
            f"{entry.seconds_per_image:.2f}",
            f"{entry.mean_score:.3f}",
            f"{entry.least_agreement:.4f}",
        )
        for entry in check.engines
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    quality = ", ".join(f"{prompt} {value:.3f}" for prompt, value in check.mean_iou.items())
    verdict = [f"WRONG: {finding}." for finding in check.findings] or ["Nothing wrong was found."]
    return [
        f"{check.model} with sam2-adapter {check.version}",
        f"  {check.path}",
        f"  SHA-256 of the weights {check.weights_sha256}",
        "",
        "on photographs (agreement: least IoU of a mask with the one of torch in fp32)",
        *(f"  {line.rstrip()}" for line in table),
        "",
        "on outlined cells",
        f"  mean IoU: {quality}",
        "",
        *verdict,
    ]


def _state(package: Package) -> str:
    return package.version or "MISSING: install sam2-adapter again"


def _version(diagnosis: Diagnosis, name: str) -> str:
    return next(_state(package) for package in diagnosis.packages if package.name == name)


def _runtime(found: ModelRuntime) -> str:
    return f"{found.runtime}: {found.reason}" if found.runtime else f"none: {found.reason}"


def _place(weights: Weights) -> str:
    if weights.path is not None:
        return str(weights.path)
    return "not on this machine" if weights.urls else "MISSING: install sam2-adapter again"


def _advice(diagnosis: Diagnosis) -> list[str]:
    wanted = next(weights for weights in diagnosis.weights if weights.name == DEFAULT_MODEL)
    if wanted.path is not None:
        return []
    how = (
        "the network is switched off; fetch them by hand:" if diagnosis.offline else "fetched on first use, or by hand:"
    )
    return [
        f"The weights of the default model {wanted.name} are missing; {how}",
        f"  {wanted.urls[0]}",
        f"  to {wanted.target}",
    ]


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}" for name, value in rows]
