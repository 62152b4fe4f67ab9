"""What goes from machine to machine beneath the artifacts' URL: checkpoints, and marks of a place.

Written and read with fsspec, whose backends raise whatever their own libraries do.
"""

import os
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from fsspec.core import url_to_fs

from limbeck.files import whole_file

CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-best.safetensors")
"""Files of a run's folder that it goes on from."""

_SHARE = 6
"""A copy that takes a second is followed by so many seconds without one."""


def exists(url: str) -> bool:
    """Whether there is a file."""
    files, path = url_to_fs(url)
    files.invalidate_cache()
    return bool(files.exists(path))


def put_mark(url: str) -> None:
    """Write a file without meaning."""
    files, path = url_to_fs(url)
    files.makedirs(files._parent(path), exist_ok=True)
    files.pipe_file(path, b"limbeck")


def remove(url: str) -> None:
    """Remove a file; it may be gone already."""
    files, path = url_to_fs(url)
    with suppress(FileNotFoundError):
        files.rm_file(path)


def run_url(folder: Path, url: str) -> str:
    """Return where beneath a URL a run's folder of the home is."""
    return "/".join((url, *folder.parts[-3:]))


class Traveller:
    """A run that can be made elsewhere: its checkpoints are brought, and copied while it goes on.

    What cannot be copied stays; then the run begins elsewhere with what was copied before.

    Args:
        folder: The run's, in the home.
        url: That of the artifacts.
        goes: Whether nobody else sees the folder: what lies beneath the URL is newer than what is
            left here, and what is made here has to be copied.
    """

    def __init__(self, folder: Path, url: str, *, goes: bool) -> None:
        self._folder = folder
        self._url = run_url(folder, url)
        self._goes = goes
        self._copied = {name: self._changed(name) for name in CHECKPOINTS}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._copy_all, daemon=True)

    def __enter__(self) -> "Traveller":
        """Bring the checkpoints, and begin to copy those that are made."""
        for name in CHECKPOINTS:
            path = self._folder / name
            if (self._goes or not path.exists()) and exists(f"{self._url}/{name}"):
                files, there = url_to_fs(f"{self._url}/{name}")
                with whole_file(path) as unfinished:
                    files.get_file(there, str(unfinished))
                self._copied[name] = self._changed(name)
        if self._goes:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End copying; see `end`."""
        self.end()

    def end(self) -> None:
        """Copy no more from now on."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _copy_all(self) -> None:
        pause = 1.0
        while not self._ended.wait(pause):
            start = time.monotonic()
            try:
                for name in CHECKPOINTS:
                    self._copy(name)
            except Exception:  # noqa: BLE001  # No run may be lost for a server that is away.
                traceback.print_exc()  # To the run's log.
            pause = max(1.0, _SHARE * (time.monotonic() - start))

    def _copy(self, name: str) -> None:
        changed = self._changed(name)
        if changed == self._copied[name] or changed is None:
            return
        path, still = self._folder / name, self._folder / f".still-{name}"
        still.unlink(missing_ok=True)
        os.link(path, still)  # The next checkpoint takes the place of the file, not of this name.
        try:
            files, there = url_to_fs(f"{self._url}/{name}")
            files.makedirs(files._parent(there), exist_ok=True)
            files.put_file(str(still), f"{there}.part")
            files.mv(f"{there}.part", there)
        finally:
            still.unlink()
        self._copied[name] = changed

    def _changed(self, name: str) -> int | None:
        path = self._folder / name
        return path.stat().st_mtime_ns if path.exists() else None
