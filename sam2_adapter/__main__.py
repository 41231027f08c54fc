"""`python -m sam2_adapter` and the command `sam2-adapter`.

Imports nothing before it is ready for Ctrl-C.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on the arguments of this process, and end it with the exit status."""
    try:
        keep_ctrl_c()
        from sam2_adapter.cli import run
        from sam2_adapter.cli.interruption import end_at_once_on_ctrl_c

        status = run(sys.argv[1:])
        end_at_once_on_ctrl_c()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def keep_ctrl_c() -> None:
    """Let Ctrl-C that falls into a callback of Python's own, whose errors are printed and forgotten, come again a moment later."""
    import _thread
    import signal
    import time

    usual, main_thread = sys.unraisablehook, _thread.get_ident()

    def again() -> None:
        time.sleep(0.01)
        if hasattr(signal, "pthread_kill"):  # a real signal also ends what the main thread waits for
            signal.pthread_kill(main_thread, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(again, ())
        else:
            usual(unraisable)

    sys.unraisablehook = hook


if __name__ == "__main__":
    main()
