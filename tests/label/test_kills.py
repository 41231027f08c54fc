"""A server that is killed at any moment has lost nothing that it had said is saved."""

from __future__ import annotations

import http.client
import json
import random
import threading

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.label.run import LabelSession
from tests.conftest import disk_photo
from tests.label.pages import TOKEN, serving

HW = (120, 160)


@pytest.mark.parametrize(
    "kills", [pytest.param(2, marks=pytest.mark.browser), pytest.param(20, marks=pytest.mark.soak)]
)
def test_nothing_that_was_said_to_be_saved_is_lost(tmp_path, kills):
    disk_photo().save(tmp_path / "disk.png")
    rng = random.Random(0)
    expected, asked = {}, {}
    for life in range(kills):
        with serving(tmp_path, "--model", "sam2_nano") as server:
            killer = threading.Timer(rng.uniform(0.02, 1.5), server.process.kill)
            killer.start()
            _change_until_killed(server.port, life, expected, asked, rng)
            killer.join()
        with LabelSession([tmp_path]) as session:
            found = session.work.objects_of("disk.png")
        for key in expected.keys() | found.keys():
            # The one change under way when it was killed may be there or not.
            assert found.get(key) in (expected.get(key), asked.get(key)), key
        expected.clear()
        expected.update(found)
        asked.clear()
    assert expected


def _change_until_killed(port, life, expected, asked, rng):
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Origin": f"http://127.0.0.1:{port}",
        "Cookie": f"sam2_label_{port}={TOKEN}",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/api/session", headers=headers)
        image = json.loads(connection.getresponse().read())["images"][0]["id"]
        for number in range(10_000):
            key = f"{life}-{number}" if rng.random() < 0.7 or not expected else rng.choice(sorted(expected))
            entry = None if key in expected and rng.random() < 0.5 else _object(rng)
            asked.clear()
            asked[key] = entry
            connection.request(
                "POST", f"/api/images/{image}/changes", json.dumps({"tab": "t", "changes": {key: entry}}), headers
            )
            reply = connection.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
            if entry is None:
                expected.pop(key, None)
            else:
                expected[key] = entry
    except (OSError, http.client.HTTPException):
        pass  # killed
    finally:
        connection.close()


def _object(rng):
    mask = np.zeros(HW, bool)
    x, y = rng.randrange(100), rng.randrange(80)
    mask[y : y + 30, x : x + 40] = True
    return {"label": rng.choice(["car", "dog"]), "counts": mask_to_rle(mask).counts, "score": rng.random()}
