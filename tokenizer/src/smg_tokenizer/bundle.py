"""A tokenizer that a worker sends: a zip in chunks, checked before anything of it is trusted."""

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NamedTuple, TypeVar

from .errors import BundleInvalid

MAX_PACKED_BYTES: Final = 200 * 2**20
MAX_UNPACKED_BYTES: Final = 500 * 2**20
MAX_ENTRIES: Final = 50

T = TypeVar("T")


class BundleChunk(NamedTuple):
    """One message of the stream. `sha256` is empty but for the last one: the whole zip's, in hex."""

    data: bytes
    sha256: str = ""


class BundleReader:
    """Gathers a stream's chunks. Feed them in order, then `finish`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._fingerprint = ""

    def feed(self, chunk: BundleChunk) -> None:
        """Raises BundleInvalid once the zip is too large, or if chunks follow the last one."""
        if self._fingerprint:
            raise BundleInvalid("Stream went on after its terminal sha256 fingerprint")
        self._size_bytes += len(chunk.data)
        if self._size_bytes > MAX_PACKED_BYTES:
            raise BundleInvalid(f"Tokenizer bundle exceeds {MAX_PACKED_BYTES} bytes")
        self._parts.append(chunk.data)
        self._digest.update(chunk.data)
        self._fingerprint = chunk.sha256

    def finish(self) -> bytes:
        """The zip. Raises BundleInvalid without a fingerprint or with one that does not fit."""
        if not self._fingerprint:
            raise BundleInvalid("Stream ended without terminal sha256 fingerprint")
        if self._digest.hexdigest() != self._fingerprint.lower():
            raise BundleInvalid("Tokenizer bundle does not match its sha256 fingerprint")
        return b"".join(self._parts)


def read_bundle(chunks: Iterable[BundleChunk]) -> bytes:
    """The zip of a whole stream. Raises BundleInvalid."""
    reader = BundleReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def unpack_bundle(packed: bytes, folder: Path) -> Path:
    """Write a bundle's files into an empty folder; the folder that holds the tokenizer.

    Raises BundleInvalid for a damaged zip, too many or too large files, or a path that leads out.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise BundleInvalid(f"Tokenizer bundle has more than {MAX_ENTRIES} entries")
            left_bytes = MAX_UNPACKED_BYTES
            for entry in entries:
                path = folder.joinpath(*_inside(entry.filename))
                if entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                left_bytes -= _write(archive, entry, path, left_bytes)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise BundleInvalid(f"Tokenizer bundle is no readable zip: {error}") from error
    return _top(folder)


def load_bundle(packed: bytes, load: Callable[[Path], T]) -> T:
    """Unpack a bundle into a temporary folder, load from it, and remove the folder again.

    Raises BundleInvalid, and what `load` raises.
    """
    with tempfile.TemporaryDirectory(prefix="smg-tokenizer-") as scratch:
        return load(unpack_bundle(packed, Path(scratch)))


def _inside(name: str) -> tuple[str, ...]:
    """A path's parts, if it stays below the folder on any system."""
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if (
        path.is_absolute()
        or windows.drive
        or windows.root
        or ".." in (*path.parts, *windows.parts)
        or "\0" in name
        or not path.parts
    ):
        raise BundleInvalid(f"Tokenizer bundle has an unsafe path: {name!r}")
    return path.parts


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left_bytes: int) -> int:
    """Write one entry, counting what really comes out of it; declared sizes may lie."""
    written = 0
    with archive.open(entry) as source, path.open("xb") as target:
        while part := source.read(2**20):
            written += len(part)
            if written > left_bytes:
                raise BundleInvalid(f"Tokenizer bundle unpacks to over {MAX_UNPACKED_BYTES} bytes")
            target.write(part)
    return written


def _top(folder: Path) -> Path:
    """The folder itself, or the only folder in it: some bundles wrap their files in one."""
    children = list(folder.iterdir())
    return children[0] if len(children) == 1 and children[0].is_dir() else folder
