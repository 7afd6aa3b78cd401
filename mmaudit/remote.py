"""A path in a store that fsspec knows, with the methods of `pathlib.Path`; imported only where a run has a URL.

universal_pathlib gives the path. This adds what a run folder relies on: a store that fails is never mistaken for an
absent file, another process's files are seen at once, a file appears whole, and every failure is a `StorageFailed`.
"""

from __future__ import annotations

import contextlib
import io
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self, cast

import fsspec
from upath.extensions import ProxyUPath

from mmaudit.errors import BadInput, MissingExtra, MMAuditError, StorageFailed

# Stores in which an object is there in full once it is written, and folders are only parts of names.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "adl", "abfs", "abfss", "oci", "oss", "memory"}
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3")}
_LONGEST_REASON = 300
_TAGS, _TIMES = ("ETag", "etag", "md5", "checksum"), ("LastModified", "last_modified", "mtime", "updated", "created")


def open_place(url: str) -> Path:
    """Return the path of a URL; nothing is asked of the store yet.

    Raises:
        BadInput: fsspec knows no such protocol, or the store's settings cannot be used.
        MissingExtra: the package for the protocol is not installed.
    """
    protocol = url.partition(":")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as error:
        raise BadInput(
            f"{url!r}: no store of kind {protocol!r} is known; give a folder, or a URL such as s3://…"
        ) from error
    except ImportError as error:
        if protocol in _EXTRAS:
            raise MissingExtra(*_EXTRAS[protocol]) from error
        raise BadInput(f"{url}: a package is not installed: {error}") from error
    try:
        with warnings.catch_warnings():
            # universal_pathlib says so of a protocol that it has no class of its own for; its general one serves.
            warnings.simplefilter("ignore", UserWarning)
            # Listings must not be kept: other workers write to the same folder.
            path = RemotePath(url, use_listings_cache=False)
            _ = path.fs
    except Exception as error:
        raise BadInput(f"{url}: the store cannot be opened: {_reason(error)}") from error
    return cast(Path, path)


class RemotePath(ProxyUPath):
    """A file or folder of a store; local in nothing but its methods."""

    __slots__ = ()

    # ---- what is there

    def about(self) -> dict[str, Any] | None:
        """What the store says of it; None where there is nothing.

        Raises:
            StorageFailed: the store did not answer.
        """
        try:
            with _asking(self, "read"):
                return dict(self.fs.info(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether something is there; raises `StorageFailed` where that is not known."""
        return self.about() is not None

    def is_file(self) -> bool:
        """Whether a file is there; raises `StorageFailed` where that is not known."""
        return (self.about() or {}).get("type") == "file"

    def is_dir(self) -> bool:
        """Whether a folder is there: in an object store, whether any file is below it."""
        return (self.about() or {}).get("type") == "directory"

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Size and time."""
        with _asking(self, "read"):
            return super().stat()

    def identity(self) -> tuple[Any, ...]:
        """What tells it from another file written in its place."""
        about = self.about()
        if about is None:
            raise FileNotFoundError(str(self))
        found = [next((str(about[k]) for k in keys if about.get(k)), "") for keys in (_TAGS, _TIMES)]
        return (*found, about.get("size"))

    def iterdir(self) -> Iterator[Self]:
        """Files and folders in it."""
        with _asking(self, "listed"):
            return iter(list(super().iterdir()))

    def glob(self, pattern: str, **options: Any) -> Iterator[Self]:
        """Files and folders below it that fit a pattern."""
        with _asking(self, "listed"):
            return iter(list(super().glob(pattern, **options)))

    def rglob(self, pattern: str, **options: Any) -> Iterator[Self]:
        """The same at any depth."""
        with _asking(self, "listed"):
            return iter(list(super().rglob(pattern, **options)))

    # ---- reading

    def open(self, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """Open for reading. What is written is written whole, by `mmaudit.place.whole`."""
        if set(mode) & set("wax+"):
            raise io.UnsupportedOperation(f"{self}: a file of a store is written whole, not opened for writing")
        with _asking(self, "read"):
            return super().open(mode, *args, **options)

    def read_bytes(self) -> bytes:
        """The whole content."""
        with _asking(self, "read"):
            return bytes(self.fs.cat_file(self.path))

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """The whole content as text."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def part(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`."""
        with _asking(self, "read"):
            return bytes(self.fs.cat_file(self.path, start=start, end=stop))

    def ranges(self, size: int | None = None) -> Ranges:
        """A file that fetches the bytes that are asked for and no others; `size` saves asking for it."""
        return Ranges(self, int(self.identity()[-1]) if size is None else size)

    def download(self, to: Path) -> None:
        """Copy the content to a local file."""
        with _asking(self, "read"):
            self.fs.get_file(self.path, str(to))

    # ---- writing

    def upload(self, content: bytes | Path) -> None:
        """Put bytes, or a local file, in this place, whole; of several writers at once the last one's stays.

        Raises:
            StorageFailed: it could not be written; in a store with folders nothing of it is left there.
        """
        with _asking(self, "written"):
            if self._flat:
                self._send(content, self.path)
                return
            self.fs.makedirs(self.parent.path, exist_ok=True)
            # A name of its own: what one writer has half sent, another would rename.
            partial = self.with_name(f"{self.name}.{uuid.uuid4().hex[:8]}.partial").path
            try:
                self._send(content, partial)
                self.fs.mv(partial, self.path)
            except BaseException:
                with contextlib.suppress(Exception):  # of a store that is out of reach nothing can be removed
                    self.fs.rm_file(partial)
                raise

    def _send(self, content: bytes | Path, to: str) -> None:
        """Copy bytes, or a local file, to a path of the store, and see that all have arrived."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if isinstance(content, bytes):
            self.fs.pipe_file(to, content)
        else:
            self.fs.put_file(str(content), to)
        arrived = self.fs.info(to).get("size")
        if isinstance(arrived, int) and arrived != size:
            raise StorageFailed(f"{self}: {arrived} of {size} bytes arrived in the store. Run the same again.")

    def write_bytes(self, data: bytes) -> int:
        """Write the whole content."""
        self.upload(bytes(data))
        return len(data)

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        """Write the whole content."""
        return self.write_bytes(data.encode(encoding or "utf-8", errors or "strict"))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make the folder; in an object store there is nothing to make, and no bucket is ever made."""
        if not self._flat:
            with _asking(self, "written"):
                self.fs.makedirs(self.path, exist_ok=True)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        try:
            with _asking(self, "removed"):
                self.fs.rm_file(self.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_all(self) -> None:
        """Remove the folder and all in it; what is gone already is no error."""
        with contextlib.suppress(FileNotFoundError), _asking(self, "removed"):
            self.fs.rm(self.path, recursive=True)

    @property
    def _flat(self) -> bool:
        return self.protocol in _OBJECT_STORES


class Ranges(io.RawIOBase):
    """A remote file, read in the pieces that are asked for: one request each, nothing kept."""

    def __init__(self, path: RemotePath, size: int) -> None:
        super().__init__()
        self._path, self._size, self._at = path, size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; from the start, from here or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fetch what fits, up to the end of the file."""
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        content = self._path.part(self._at, stop)
        if len(content) != stop - self._at:
            raise StorageFailed(f"{self._path}: {len(content)} of {stop - self._at} bytes came. Run the same again.")
        buffer[: len(content)] = content
        self._at = stop
        return len(content)


@contextlib.contextmanager
def _asking(path: RemotePath, what: str) -> Iterator[None]:
    """Turn what a store's client raises into `StorageFailed`; that something is not there stays what it is."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, MMAuditError):
        raise
    except Exception as error:
        raise StorageFailed(
            f"{path} cannot be {what}: {_reason(error)}. Check the address, the credentials in the environment and the "
            "connection, and run the same again; what was written before is whole."
        ) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON].rstrip(". ")
