"""Who holds a study's lease, and whether that process still lives."""

import os
import socket
import time

import psutil

EXPIRY_S = 60.0
"""A lease whose holder was silent for so long, and can't be asked, is free."""


def this_process() -> str:
    """This process, so that another on the same host can tell whether it still lives: host, pid, start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def alive(holder: str, heartbeat: float | None) -> bool:
    """Whether the process still lives that `this_process` named, or on another host was heard of lately."""
    host, pid, started = holder.rsplit(":", 2)
    if host == socket.gethostname():
        try:
            return f"{psutil.Process(int(pid)).create_time():.0f}" == started
        except psutil.NoSuchProcess:
            return False
    return time.time() - (heartbeat or 0) < EXPIRY_S
