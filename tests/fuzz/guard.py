"""What one input may do: nothing but be read. Watches for executed code, files, processes and sockets; bounds memory
and processor time.

    with watched(scratch, seconds=5):
        target(data)

What was forbidden raises `Forbidden`, what took too long `TooSlow`; neither is an `Exception`, so that no reader's own
`except` hides it. Memory above the bound is a `MemoryError`.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What no reader of a file has any reason to do. `exec` is let through while a module is imported.
NEVER = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.startfile", "os.kill"),
    *("subprocess.Popen", "pty.spawn", "ctypes.dlopen", "webbrowser.open", "pickle.find_class"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"),
    *("os.putenv", "os.chown", "os.setxattr", "os.link", "os.symlink", "shutil.rmtree", "shutil.move"),
)
# torch with CUDA asks for it, whatever the input, to know whether there is a device.
DEVICES = ("libnvidia-ml.so.1",)
CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod")
# Read as part of Python, the libraries and mmaudit itself.
OWN = (
    *(sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "/usr", "/lib", "/proc/self", "/proc/cpuinfo"),
    *("/proc/meminfo", "/sys", "/dev/null", "/dev/urandom", "/etc/localtime", "/etc/mime.types"),
)


class Forbidden(BaseException):
    """An input made its reader do something that no reader may."""


class TooSlow(BaseException):
    """An input took more processor time than the bound."""


_scratch: str | None = None
_reads_anywhere = False
_installed = False


def _hook(event: str, given: tuple[Any, ...]) -> None:
    if _scratch is None or _bytecode(event, given):
        return
    if event == "open":
        _check_open(given)
    elif event == "ctypes.dlopen" and given[0] in DEVICES:
        return
    elif event in NEVER or event.startswith(("os.exec", "os.spawn")):
        raise Forbidden(f"{event} {given!r:.200}")
    elif event in CHANGING:
        # torch makes a folder for a sort of file that it then refuses.
        own = (_scratch, f"{tempfile.gettempdir()}/tmp") if event in ("os.mkdir", "os.rmdir") else _scratch
        if isinstance(given[0], str) and not given[0].startswith(own):
            raise Forbidden(f"{event} {given!r:.200}")
    elif event == "exec" and not _importing():
        name = getattr(given[0], "co_filename", "?")
        raise Forbidden(f"exec of code from {name!r}")


def _bytecode(event: str, given: tuple[Any, ...]) -> bool:
    """Whether Python keeps the bytecode of a module that a reader imports for the first time, as in a fresh clone."""
    return event in ("open", *CHANGING) and "__pycache__" in str(given[0]) and _importing()


def _check_open(given: tuple[Any, ...]) -> None:
    path, mode, _ = given
    if not isinstance(path, str) or (_scratch and path.startswith(_scratch)):
        return
    if isinstance(mode, str) and set(mode) & set("wax+"):
        raise Forbidden(f"open {path!r} for writing")
    if not _reads_anywhere and not path.startswith(OWN) and not _importing():
        raise Forbidden(f"open {path!r}, which the input named")


def _importing() -> bool:
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _late(_number: int, _frame: object) -> None:
    raise TooSlow


@contextlib.contextmanager
def watched(scratch: Path, *, seconds: float, names_files: bool = False) -> Iterator[None]:
    """Watch what happens inside; only in the main thread.

    Args:
        scratch: the folder in which files may be read and written.
        seconds: of this process's processor time, so that a busy machine is no fault of the input.
        names_files: whether the input may name files to be read, as a configuration of one's own does.
    """
    global _scratch, _installed, _reads_anywhere
    if not _installed:
        sys.addaudithook(_hook)  # stays for the life of the process, idle outside of this block
        _installed = True
    before = signal.signal(signal.SIGPROF, _late)
    _scratch, _reads_anywhere = str(scratch), names_files
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _scratch = None
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def bounded(more: int) -> Iterator[None]:
    """Let the process's address space grow by no more than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + more if hard == resource.RLIM_INFINITY else min(used + more, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
