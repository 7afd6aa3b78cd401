"""Files named by a table, read only where they lie under the folder that the user gave."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mmaudit.errors import BadInput


class Root:
    """A folder that names are resolved under: no `..`, no absolute path and no symbolic link leads out of it.

    Args:
        folder: an existing folder.

    Raises:
        BadInput: it is none.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not Path(folder).is_dir():
            raise BadInput(f"folder {os.fspath(folder)!r} does not exist; it is where the named files are looked for.")
        self.path = os.path.realpath(folder)

    def find(self, name: str, who: str) -> tuple[str, int] | None:
        """Return the real path and the size in bytes of the file `name`; None where there is none.

        Args:
            name: relative to the folder, or absolute within it.
            who: what the name belongs to, for messages.

        Raises:
            BadInput: the name leads out of the folder, or to something that is no regular file.
        """
        path = self._inside(name, who)
        try:
            found = os.stat(path)  # noqa: PTH116  # a string is faster than a Path, for each of a million files
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BadInput(f"{who}: file {name!r:.200} cannot be looked at: {error.strerror}.") from error
        if not stat.S_ISREG(found.st_mode):
            raise BadInput(f"{who}: {name!r:.200} is no regular file; expected a file under {self.path}.")
        return path, found.st_size

    def read(self, name: str, who: str, limit: int) -> bytes:
        """Return the content of the file `name`.

        Raises:
            BadInput: as `find`; or the file is gone, cannot be read or has more than `limit` bytes.
        """
        self._check_text(name, who)
        path = os.path.join(self.path, name)  # noqa: PTH118
        # What leads out is not even opened; an absolute name may go through a link to the folder.
        self._check_within(self._inside(name, who) if os.path.isabs(name) else os.path.normpath(path), name, who)  # noqa: PTH117
        try:
            # Without O_NONBLOCK, a pipe that has taken the file's place would be waited for.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
                # What was opened is looked at, not what its name leads to: that may change between two looks.
                self._check_within(_real_path(file.fileno(), path), name, who)
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise BadInput(f"{who}: {name!r:.200} is no regular file.")
                if found.st_size > limit:
                    raise BadInput(f"{who}: file {name!r:.200} has {found.st_size:,} bytes, more than {limit:,}.")
                return file.read(found.st_size)
        except OSError as error:
            raise BadInput(f"{who}: file {name!r:.200} cannot be read: {error.strerror}.") from error

    def _inside(self, name: str, who: str) -> str:
        self._check_text(name, who)
        try:
            path = os.path.realpath(os.path.join(self.path, name))  # noqa: PTH118
        except (OSError, ValueError) as error:
            raise BadInput(f"{who}: {name!r:.200} is no usable path: {error}.") from error
        self._check_within(path, name, who)
        return path

    def _check_text(self, name: str, who: str) -> None:
        if "\0" in name or "://" in name:
            raise BadInput(f"{who}: {name!r:.200} is no path of a file; fetch it first and give its path.")

    def _check_within(self, path: str, name: str, who: str) -> None:
        if path != self.path and not path.startswith(self.path.rstrip(os.sep) + os.sep):
            raise BadInput(
                f"{who}: {name!r:.200} leads out of the folder {self.path}; files are read only from within it. Move "
                "them there, or give the folder that holds them all as the root."
            )


def _real_path(descriptor: int, path: str) -> str:
    """Return where an open file really lies: Linux says so at once, elsewhere its name is resolved."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return os.path.realpath(path)
