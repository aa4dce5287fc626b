"""A manifest on disk: every way in which others write it, and every way to get that wrong."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from smg_gateway.discovery import ManifestFile
from smg_gateway.discovery.files import MAX_MANIFEST_BYTES

pytestmark = pytest.mark.anyio

LOOK_S = 0.01


def listing(*urls: str) -> str:
    return json.dumps({"version": 1, "workers": [{"url": url} for url in urls]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workers.json"


def write(path: Path, text: str) -> None:
    path.write_text(text)


def overwrite(path: Path, text: str) -> None:
    """In place, and such that the file looks as before."""
    before = path.stat()
    with path.open("r+") as opened:
        opened.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def move_over(path: Path, text: str) -> None:
    """As a careful writer does it, but with the time of the old file."""
    before, new = path.stat(), path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def instead(path: Path, make: Callable[[], None]) -> None:
    path.unlink()
    make()


class Reader:
    """Pulls snapshots as discovery does; `last` is what discovery would act on."""

    def __init__(self) -> None:
        self.last: set[str] | None = None
        self.count = 0
        self._news = asyncio.Event()

    async def follow(self, provider: ManifestFile) -> None:
        async for snapshot in provider.snapshots():
            self.last = {worker.url for worker in snapshot.values()}
            self.count += 1
            self._news.set()

    async def until(self, *urls: str) -> None:
        async with asyncio.timeout(5):
            while self.last != set(urls):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def reading(path: Path, heard: Any, **options: Any) -> AsyncIterator[Reader]:
    provider = ManifestFile(str(path), heard, **{"interval_s": 60.0, "look_s": LOOK_S, **options})
    reader = Reader()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.follow(provider))
        yield reader
        task.cancel()


async def test_what_is_listed_is_wanted_and_changes_are_noticed(path: Path, heard: Any) -> None:
    write(path, listing("http://a", "http://b"))
    async with reading(path, heard) as reader:
        await reader.until("http://a", "http://b")
        write(path, listing("http://b", "http://c"))
        await reader.until("http://b", "http://c")
        write(path, listing())
        await reader.until()

    assert not heard.failures


async def test_a_file_that_is_not_there_yet_is_awaited(path: Path, heard: Any) -> None:
    async with reading(path, heard) as reader:
        await heard.until(lambda: bool(heard.failures))
        assert reader.last is None
        write(path, listing("http://a"))
        await reader.until("http://a")

    assert heard.failures == [("unreadable", f"{path}: No such file or directory")]


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("half-written", lambda path: path.write_text(listing("http://b")[:-9]), "invalid"),
    ("empty", lambda path: path.write_text(""), "invalid"),
    ("huge", lambda path: path.write_bytes(b" " * (MAX_MANIFEST_BYTES + 1)), "invalid"),
    ("deep", lambda path: path.write_bytes(b"[" * 200_000), "invalid"),
    ("another version", lambda path: path.write_text('{"version": 2, "workers": []}'), "invalid"),
    ("gone", Path.unlink, "unreadable"),
    ("a directory", lambda path: instead(path, path.mkdir), "invalid"),
    ("a pipe", lambda path: instead(path, lambda: os.mkfifo(path)), "invalid"),
    ("a loop", lambda path: instead(path, lambda: path.symlink_to(path)), "unreadable"),
]


@pytest.mark.parametrize(
    ("spoil", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
async def test_a_file_that_is_of_no_use_leaves_the_last_good_workers(
    path: Path, heard: Any, spoil: Callable[[Path], object], reason: str
) -> None:
    write(path, listing("http://a"))
    async with reading(path, heard) as reader:
        await reader.until("http://a")
        spoil(path)
        await heard.until(lambda: bool(heard.failures))

        assert reader.last == {"http://a"}
        assert heard.failures[0][0] == reason
        assert heard.failures[0][1].startswith(f"{path}: ")


async def test_a_file_that_is_mended_counts_again(path: Path, heard: Any) -> None:
    write(path, listing("http://a"))
    async with reading(path, heard) as reader:
        await reader.until("http://a")
        write(path, "{")
        await heard.until(lambda: bool(heard.failures))
        write(path, listing("http://b"))
        await reader.until("http://b")

    assert heard.read == [1, 1]


async def test_a_file_moved_over_the_old_one_is_noticed_although_nothing_else_differs(
    path: Path, heard: Any
) -> None:
    write(path, listing("http://a"))
    async with reading(path, heard) as reader:
        await reader.until("http://a")
        move_over(path, listing("http://b"))
        await reader.until("http://b")

    assert not heard.failures


async def test_a_mounted_volume_that_swaps_its_link_is_noticed(tmp_path: Path, heard: Any) -> None:
    """As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a dated directory."""
    for name, url in (("..2026_01", "http://a"), ("..2026_02", "http://b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "workers.json").write_text(listing(url))
    (tmp_path / "..data").symlink_to("..2026_01")
    path = tmp_path / "workers.json"
    path.symlink_to("..data/workers.json")
    async with reading(path, heard) as reader:
        await reader.until("http://a")
        (tmp_path / "..data_tmp").symlink_to("..2026_02")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await reader.until("http://b")

    assert not heard.failures


async def test_a_file_is_read_once_its_writer_has_come_to_an_end(path: Path, heard: Any) -> None:
    yaml = path.with_suffix(".yaml")
    write(yaml, "version: 1\nworkers:\n- url: http://a\n- url: http://b\n")
    async with reading(yaml, heard, look_s=0.05) as reader:
        await reader.until("http://a", "http://b")
        with yaml.open("w") as opened:
            # Every piece is a valid manifest; a look at one of them alone would drain workers.
            for piece in ("version: 1\nworkers:\n", "- url: http://a\n", "- url: http://b\n"):
                opened.write(piece)
                opened.flush()
                await asyncio.sleep(0.02)
            opened.write("- url: http://c\n")
        await reader.until("http://a", "http://b", "http://c")

    assert reader.count == 2


async def test_every_interval_the_file_is_read_although_it_seems_unchanged(
    path: Path, heard: Any
) -> None:
    write(path, listing("http://a"))
    async with reading(path, heard, interval_s=0.05) as reader:
        await reader.until("http://a")
        overwrite(path, listing("http://b"))
        await reader.until("http://b")
        await heard.until(lambda: len(heard.read) >= 4)

    assert reader.count == 2, "what is as before is no news"


async def test_a_faulty_file_is_tried_again_every_interval(path: Path, heard: Any) -> None:
    write(path, "{")
    async with reading(path, heard, interval_s=0.05):
        await heard.until(lambda: len(heard.failures) >= 3)

    assert len(set(heard.failures)) == 1
