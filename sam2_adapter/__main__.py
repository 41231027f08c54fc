"""`python -m sam2_adapter` and the command `sam2-adapter`.

Imports nothing before it is ready for Ctrl-C.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on the arguments of this process, and end it with the exit status."""
    try:
        from sam2_adapter.cli import run
        from sam2_adapter.cli.interruption import end_at_once_on_ctrl_c

        status = run(sys.argv[1:])
        end_at_once_on_ctrl_c()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
