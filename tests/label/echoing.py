"""A process for the tests of `child_process`: says what it was told first, then each line again; ends itself when it is asked to."""

from __future__ import annotations

import json
import os
import signal

from sam2_adapter.label.child_process import own_streams


def main() -> None:
    requests, report = own_streams()
    print("this is for the terminal")
    for line in requests:
        message = json.loads(line)
        if message.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        report({"heard": message, "nice": os.environ.get("ECHO", "")})


if __name__ == "__main__":
    main()
