"""`python child.py PARENT SIGNAL COMMAND…`: become COMMAND, and get SIGNAL when PARENT dies.

A process started through this leaves no orphan behind even if its parent is killed (Linux; on other
systems the next start cleans up). The pid stays the same. Nothing is imported from the project.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the parent-death signal, which survives exec, and exec."""
    parent, number, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(parent):  # it died before the signal was armed
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 (the whole point)


if __name__ == "__main__":
    main()
