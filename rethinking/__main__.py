"""The command `rethinking`, and `python -m rethinking`: Ctrl-C and SIGTERM say the same from the first moment."""

import os
import signal
import sys
from typing import Any


def _end(number: int, frame: Any) -> None:
    """End at once: only modules are being imported, and there is nothing to undo."""
    os.write(2, b"rethinking: stopped\n")
    os._exit(128 + number)


def main() -> None:
    """The command line, with its import. Windows is refused: leases and interruptions rest on POSIX."""
    if sys.platform == "win32":
        print("rethinking: Windows is not supported: use Linux, macOS or the Windows Subsystem", file=sys.stderr)
        sys.exit(2)
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is usual:  # else it is ignored, as in a shell's background job
            signal.signal(number, _end)
    from rethinking.cli import main

    main()


if __name__ == "__main__":
    main()
