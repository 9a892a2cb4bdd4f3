"""Which process made a run, and whether it still runs."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def this() -> dict[str, Any]:
    """This process, for the record of a run."""
    return {"pid": os.getpid(), "host": platform.node(), "started": _started(os.getpid())}


def is_alive(process: Any) -> bool | None:
    """Whether the process of a record still runs; `None` where nobody can tell, as of one of another machine.

    Args:
        process: What `this` gave: a number alone may belong to another process by now.
    """
    if os.name != "posix" or not isinstance(process, dict) or process.get("host") != platform.node():
        return None
    pid = int(process["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process.get("started") in (None, _started(pid))


def _started(pid: int) -> str | None:
    """When a process began, as the system counts; `None` where it does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name of the program, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return f"{boot} {fields[19]}"
