"""`sam2-adapter predict` on files, folders and prompts files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.formats.dataloop.objects import read_dataloop_item
from sam2_adapter.formats.label_maps.reading import read_label_map
from sam2_adapter.formats.polygon_json import read_polygons
from tests.command_line import run

NANO = ("--model", "sam2_nano", "--precision", "fp32")


def test_a_folder_in_every_format(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    formats = [word for name in ("coco", "dataloop", "masks", "polygons") for word in ("--format", name)]
    done = run("predict", photos, *NANO, "--box", "20,20,110,110", "--label", "thing", "--output", output, *formats)
    assert done.status == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["disk.png", "night/square.jpg"]
    assert done.stderr.splitlines()[-1] == f"2 objects in 2 images; results in {output}"
    names = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert names == sorted(
        [
            ".predictions.jsonl",
            ".sam2-adapter.jsonl",
            ".sam2-adapter.lock",
            "annotations.json",
            *(f"json/{stem}.json" for stem in ("disk", "night/square")),
            *(f"masks/{stem}{tail}" for stem in ("disk", "night/square") for tail in (".json", ".png")),
            "masks/disk/disk_001.png",
            "masks/night/square/square_001.png",
            *(f"overlays/{stem}.jpg" for stem in ("disk", "night/square")),
            *(f"polygons/{stem}.json" for stem in ("disk", "night/square")),
        ]
    )
    coco = {image.file_name: image for image in read_coco(output / "annotations.json").images}
    assert [entry.label for image in coco.values() for entry in image.annotations] == ["thing", "thing"]
    for name in ("disk.png", "night/square.jpg"):
        stem = name.rpartition(".")[0]
        (expected,) = coco[name].annotations
        (dataloop,) = read_dataloop_item(output / "json" / f"{stem}.json").images[0].annotations
        (outline,) = read_polygons(output / "polygons" / f"{stem}.json").annotations
        assert (dataloop.mask == expected.mask).all()
        assert ((read_label_map(output / "masks" / f"{stem}.png").numbers == 1) == expected.mask).all()
        assert mask_iou(outline.mask, expected.mask) > 0.97


def test_every_file_says_which_model_made_it(photos: Path, tmp_path: Path) -> None:
    formats = [word for name in ("coco", "dataloop", "masks", "polygons") for word in ("--format", name)]
    run("predict", photos / "disk.png", *NANO, "--output", tmp_path, *formats)
    documents = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("annotations", "json/disk")}
    documents |= {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("masks/disk", "polygons/disk")}
    makers = [
        documents["annotations"]["info"]["made_by"],
        documents["json/disk"]["metadata"]["user"]["made_by"],
        documents["masks/disk"]["made_by"],
        documents["polygons/disk"]["made_by"],
    ]
    assert all(maker == makers[0] for maker in makers)
    assert makers[0]["name"] == "sam2_nano"
    assert len(makers[0]["weights_sha256"]) == 64
    assert (makers[0]["runtime"], makers[0]["precision"], makers[0]["device"]) == ("torch", "fp32", "cpu")
    with Image.open(tmp_path / "overlays" / "disk.jpg") as overlay:
        assert makers[0]["weights_sha256"].encode() in overlay.info["comment"]


def test_points_and_boxes_make_one_object_each(photos: Path, tmp_path: Path) -> None:
    done = run(
        *("predict", photos / "disk.png", *NANO, "--json", "--no-overlay", "--output", tmp_path),
        *("--point", "80,60", "--point", "70.5,50", "--box", "40,20,120,100"),
    )
    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    (image,) = document["images"]
    indices = [entry["prompt_index"] for entry in image["objects"]] + image["empty_prompts"]
    assert sorted(indices) == [0, 1, 2]
    assert document["summary"] == {"images": 1, "objects": len(image["objects"]), "failed": 0}
    assert document["model"]["name"] == "sam2_nano"
    assert image["files"] == []


def test_one_corrupt_image_costs_only_itself(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "disk.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").write_bytes(b"")
    done = run("predict", photos, *NANO, "--no-overlay", "--output", tmp_path)
    assert done.status == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [Path(line.split(": ")[1]).name for line in errors] == ["cut.png", "empty.jpg"]
    assert "2 images failed" in done.stderr
    found = read_coco(tmp_path / "annotations.json").images
    assert [image.file_name for image in found] == ["disk.png", "night/square.jpg"]


def test_a_prompt_outside_one_image_costs_only_that_image(photos: Path, tmp_path: Path) -> None:
    done = run("predict", photos, *NANO, "--json", "--no-overlay", "--output", tmp_path, "--point", "150,60")
    assert done.status == 1
    first, second = json.loads(done.stdout)["images"]
    assert first["status"] == "ok"
    assert second["status"] == "failed"
    assert "Point (150, 60) lies outside the image, which is 128x128 pixels" in second["error"]
    assert "square.jpg" in second["error"]


def test_a_prompts_file(photos: Path, tmp_path: Path) -> None:
    entries = [{"box": [40, 20, 120, 100], "label": "disk", "object_id": "7", "attributes": {"round": True}}]
    (tmp_path / "prompts.json").write_text(json.dumps({"images": {"disk.png": entries}}))
    done = run("predict", photos, *NANO, "--no-overlay", "--output", tmp_path, "--prompts", tmp_path / "prompts.json")
    assert done.status == 0, done.stderr
    disk, square = read_coco(tmp_path / "annotations.json").images
    (entry,) = disk.annotations
    assert (entry.label, entry.object_id, entry.attributes) == ("disk", "7", {"round": True})
    assert [entry.label for entry in square.annotations] in ([], ["object"])


def test_a_mask_of_an_earlier_prediction_is_a_prompt(photos: Path, tmp_path: Path) -> None:
    run("predict", photos / "disk.png", *NANO, "--box", "40,20,120,100", "--format", "masks", "--output", tmp_path)
    entry = {"mask": "masks/disk/disk_001.png", "points": [[80, 60]]}
    (tmp_path / "prompts.json").write_text(json.dumps({"images": {"disk.png": [entry]}}))
    again = tmp_path / "again"
    arguments = ("--prompts", tmp_path / "prompts.json", "--no-overlay", "--output", again)
    done = run("predict", photos / "disk.png", *NANO, *arguments)
    assert done.status == 0, done.stderr


def test_listed_images_that_are_not_given_are_reported(photos: Path, tmp_path: Path) -> None:
    prompts = {"images": {"disk.png": [{"points": [[80, 60]]}], "dsik.png": [], "other.png": []}}
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    done = run("predict", photos, *NANO, "--no-overlay", "--output", tmp_path, "--prompts", tmp_path / "prompts.json")
    assert done.status == 0
    assert "2 images that it lists are not among those given, such as 'dsik.png'" in done.stderr


def test_settings_come_from_file_then_set_then_options(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("default_label: from-file\nmodel_cfg: sam2_nano\nprecision: bf16\n")
    arguments = ("--config", tmp_path / "c.yaml", "--set", "default_label=from-set", "--set", "precision=bf16")
    output = tmp_path / "out"
    options = ("--precision", "fp32", "--no-overlay", "--output", output)
    done = run("predict", photos / "disk.png", *arguments, *options, "--box", "40,20,120,100")
    assert done.status == 0, done.stderr
    assert "from-set" in done.stdout
    assert json.loads((output / "annotations.json").read_text())["info"]["made_by"]["precision"] == "fp32"


def test_clip_to_box_can_be_switched_off(photos: Path, tmp_path: Path) -> None:
    box = (60, 40, 100, 80)
    arguments = ("predict", photos / "disk.png", *NANO, "--no-overlay", "--output", tmp_path)
    run(*arguments, "--box", ",".join(map(str, box)), "--set", "clip_to_box=true")
    (clipped,) = read_coco(tmp_path / "annotations.json").images[0].annotations
    x0, y0, x1, y1 = clipped.box_xyxy
    assert box[0] <= x0 < x1 <= box[2]
    assert box[1] <= y0 < y1 <= box[3]
    run(*arguments, "--box", ",".join(map(str, box)), "--set", "clip_to_box=false", "--overwrite")
    (bare,) = read_coco(tmp_path / "annotations.json").images[0].annotations
    assert bare.area >= clipped.area
    assert (bare.mask & clipped.mask).sum() == clipped.area


def test_polygons_for_dataloop(photos: Path, tmp_path: Path) -> None:
    arguments = ("--format", "dataloop", "--set", "output_type=polygon", "--no-overlay", "--output", tmp_path)
    run("predict", photos / "disk.png", *NANO, "--box", "40,20,120,100", *arguments)
    document = json.loads((tmp_path / "json" / "disk.json").read_text())
    assert {entry["type"] for entry in document["annotations"]} == {"segment"}


def test_a_second_run_gives_the_same_and_leaves_nothing_stale(photos: Path, tmp_path: Path) -> None:
    arguments = ("predict", photos / "disk.png", *NANO, "--format", "masks", "--output", tmp_path)
    run(*arguments, "--box", "40,20,120,100", "--box", "10,10,150,110")
    before = sorted((tmp_path / "masks" / "disk").iterdir())
    first = before[0].read_bytes()
    assert len(before) == 2
    run(*arguments, "--box", "40,20,120,100", "--overwrite")
    assert sorted((tmp_path / "masks" / "disk").iterdir()) == before[:1]
    assert before[0].read_bytes() == first
    assert not list(tmp_path.rglob("*.part"))


def test_images_of_one_name_do_not_overwrite_each_other(photos: Path, tmp_path: Path) -> None:
    Image.open(photos / "disk.png").save(photos / "disk.bmp")
    run("predict", photos, *NANO, "--format", "polygons", "--no-overlay", "--output", tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.joinpath("polygons").rglob("*.json"))
    assert names == ["polygons/disk.bmp.json", "polygons/disk.png.json", "polygons/night/square.json"]


def test_the_same_image_given_twice_is_done_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    done = run("predict", "disk.png", photos / "disk.png", *NANO, "--no-overlay", "--output", tmp_path)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16"])
def test_images_of_every_mode(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.linspace(0, 255, 64), (48, 1))
    picture = (
        Image.fromarray((grey * 257).astype(np.uint16))
        if mode == "I;16"
        else Image.fromarray(grey.astype(np.uint8)).convert(mode)
    )
    picture.save(tmp_path / "a.tif")
    done = run("predict", tmp_path / "a.tif", *NANO, "--box", "10,10,50,40", "--output", tmp_path / "out")
    assert done.status == 0, done.stderr


def _coco_names(output: Path) -> list[str]:
    return [image.file_name for image in read_coco(output / "annotations.json").images]


def test_each_run_has_a_folder_of_its_own_and_results_are_never_inputs(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    arguments = ("predict", ".", *NANO, "--format", "coco,masks")
    first, second = run(*arguments), run(*arguments, "--json")
    assert first.stderr.splitlines()[-1] == "2 objects in 2 images; results in predictions"
    assert json.loads(second.stdout)["output"] == "predictions2"
    for name in ("predictions", "predictions2"):
        assert _coco_names(photos / name) == ["disk.png", "night/square.jpg"]
    again = run(*arguments, "--overwrite", "--limit", "1")
    assert again.stderr.splitlines()[-1] == "1 object in 1 image; results in predictions2"
    assert _coco_names(photos / "predictions2") == ["disk.png"]
    resumed = run(*arguments, "--resume")
    assert resumed.stdout.splitlines()[0].endswith(", kept from an earlier run")
    assert _coco_names(photos / "predictions2") == ["disk.png", "night/square.jpg"]
    assert len(list(photos.glob("predictions*"))) == 2
    refused = run("predict", "predictions/masks", *NANO, "--output", "predictions", "--overwrite")
    assert "is a result in predictions, where the new results would go" in refused.stderr
    assert _coco_names(photos / "predictions") == ["disk.png", "night/square.jpg"]


@pytest.mark.parametrize("options", [(), ("--overwrite",), ("--resume",)])
def test_a_folder_of_the_users_own_is_left_alone(photos: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    data = tmp_path / "data"
    (data / "masks" / "disk").mkdir(parents=True)
    kept = {"annotations.json": "mine", "masks/disk.png": "my label map", "masks/disk/disk_004.png": "my mask"}
    for name, content in kept.items():
        (data / name).write_text(content)
    done = run("predict", photos, *NANO, "--output", data, "--format", "coco", "--format", "masks", "--json", *options)
    assert done.status == 2
    assert "the folder is not empty" in json.loads(done.stdout)["error"]
    files = {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*") if path.is_file()}
    assert files == kept


def test_resume_and_overwrite_exclude_each_other(photos: Path, tmp_path: Path) -> None:
    done = run("predict", photos, *NANO, "--output", tmp_path / "out", "--resume", "--overwrite")
    assert done.status == 2
    assert not (tmp_path / "out").exists()


def test_prompts_that_cannot_be_used_are_named_and_the_others_done(photos: Path, tmp_path: Path) -> None:
    entries = [{"box": [40, 20, 120, 100]}, {"points": [[900, 5]]}, {"bbox": [1, 2, 3, 4]}, {"box": [120, 40, 121, 41]}]
    (tmp_path / "p.json").write_text(json.dumps({"images": {"disk.png": entries}}))
    arguments = ("predict", photos / "disk.png", *NANO, "--no-overlay", "--prompts", tmp_path / "p.json")
    done = run(*arguments, "--output", tmp_path / "out", "--json")
    assert done.status == 1
    document = json.loads(done.stdout)
    (image,) = document["images"]
    assert image["status"] == "ok"
    answered = [entry["prompt_index"] for entry in image["objects"]] + image["empty_prompts"]
    assert sorted(answered) == [0, 3]
    assert [entry["prompt_index"] for entry in image["refused_prompts"]] == [1, 2]
    assert document["summary"]["refused_prompts"] == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[2] for line in errors] == ["prompt 2", "prompt 3"]
    assert "Point (900, 5) lies outside the image" in errors[0]
    resumed = run(*arguments, "--output", tmp_path / "out", "--resume")
    assert resumed.status == 1
    assert [line for line in resumed.stderr.splitlines() if line.startswith("error: ")] == errors
    assert resumed.stderr.splitlines()[-1].startswith(f"{len(image['objects'])} object")
    assert "2 prompts could not be used; results in" in resumed.stderr


def test_coordinates_may_be_fractions(photos: Path, tmp_path: Path) -> None:
    disk = photos / "disk.png"  # 160 x 120
    run(
        "predict", disk, *NANO, "--no-overlay", "--box", "40,20,120,100", "--point", "80,60", "--output", tmp_path / "a"
    )
    fractions = ("--box", "0.25, 0.1666667, 0.75, 0.8333333", "--point", "0.5,0.5")
    done = run("predict", disk, *NANO, "--no-overlay", *fractions, "--units", "fraction", "--output", tmp_path / "b")
    assert done.status == 0, done.stderr
    pixels, same = (read_coco(tmp_path / name / "annotations.json").images[0].annotations for name in "ab")
    assert [entry.rle for entry in same] == [entry.rle for entry in pixels]
    doubtful = run("predict", disk, *NANO, "--no-overlay", *fractions, "--output", tmp_path / "c")
    assert "--units fraction" in doubtful.stderr


def test_a_name_that_is_not_utf_8_costs_nothing(photos: Path, tmp_path: Path) -> None:
    (photos / "disk.png").rename(Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")))
    formats = ("--format", "coco,dataloop,masks,polygons")
    done = run("predict", photos, *NANO, *formats, "--output", tmp_path / "out", "--json")
    assert done.status == 0, done.stderr
    assert [image["name"] for image in json.loads(done.stdout)["images"]] == ["caf\\udce9.png", "night/square.jpg"]
    for path in (tmp_path / "out").rglob("*.json"):
        path.read_bytes().decode("utf-8")
    assert _coco_names(tmp_path / "out") == ["caf\\udce9.png", "night/square.jpg"]


def test_what_is_not_read_is_said_to_people_and_machines(photos: Path, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (60, 40), color) for color in ("red", "green")]
    pages[0].save(photos / "stack.tif", save_all=True, append_images=pages[1:])
    (photos / "clip.mp4").write_bytes(b"")
    (photos / "night" / "IMG.cr2").write_bytes(b"")
    done = run("predict", photos, *NANO, "--no-overlay", "--output", tmp_path / "text")
    assert done.status == 0
    assert f"not read: 1 video ({photos}/clip.mp4); save its frames as pictures." in done.stderr
    assert "not read: 1 raw photo of a camera (" in done.stderr
    assert "stack.tif: 2 pages, of which the first one is read" in done.stderr
    document = json.loads(run("predict", photos, *NANO, "--no-overlay", "--json", "--output", tmp_path / "json").stdout)
    assert {entry["kind"]: entry["count"] for entry in document["summary"]["not_read"]} == {
        "videos": 1,
        "raw photos of a camera": 1,
    }
    assert {image["name"]: image["notes"] for image in document["images"]}["stack.tif"] == [
        "2 pages, of which the first one is read"
    ]


def test_everything(photos: Path, tmp_path: Path) -> None:
    settings = ("--set", "points_per_side=6", "--set", "pred_iou_thresh=0.3", "--set", "stability_score_thresh=0.3")
    done = run("predict", photos / "disk.png", *NANO, "--everything", *settings, "--output", tmp_path / "out", "--json")
    assert done.status == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert len(image["objects"]) >= 2
    for entry in image["objects"]:
        assert entry["prompt_index"] is None
        assert entry["iou_score"] > 0.3
        assert 0.3 <= entry["stability_score"] <= 1
        assert len(entry["point"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--everything", "--point", "5,5"),
            "--everything finds all objects without a prompt; leave out --point and --box.",
        ),
        (
            ("--everything", "--set", "points_per_side=0"),
            "points_per_side = 0 is not allowed: expected a whole number from 1",
        ),
        (
            ("--set", "without_prompts=all"),
            "without_prompts = 'all' is not allowed: expected 'prominent' or 'everything'.",
        ),
        (("--everything", "--set", "crop_layers=1"), "unknown key 'crop_layers'. Did you mean 'crop_n_layers'?"),
    ],
)
def test_what_is_wrong_about_everything_is_said(photos: Path, options: tuple[str, ...], message: str) -> None:
    done = run("predict", photos / "disk.png", *NANO, *options)
    assert done.status == 2
    assert message in done.stderr


@pytest.mark.parametrize("output", [(), ("--output", "mine")])
def test_a_run_of_which_nothing_came_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run("predict", "broken.png", *NANO, *output)
    assert done.status == 1
    assert done.stderr.splitlines()[-1] == "0 objects in 0 images, 1 image failed; nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ["broken.png"]


def test_commas_around_the_names_of_formats_are_passed_over(photos):
    done = run("predict", photos / "disk.png", *NANO, "--format", ",coco, coko,")
    assert done.stderr.startswith("error: Unknown format 'coko'.")
