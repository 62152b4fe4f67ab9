"""Artifacts of runs to keep: only those that a run has registered, and only as files to save."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from io import RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from dash import Dash
from flask import Flask, Response
from typing_extensions import Buffer, override

from limbeck.artifacts import fetch
from limbeck.dashboard.site import Site
from limbeck.errors import InputError, NotFoundError
from limbeck.runs import Artifact

_CHUNK = 1 << 20
"""Bytes that are read at a time."""
_LONGEST_NUMBER = 9
"""Digits of a run's number."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def register(app: Dash, site: Site) -> None:
    """Add the address at which artifacts are downloaded; it changes nothing."""
    server: Flask = app.server

    @server.get("/artifact/<path:place>")
    def download(place: str) -> Response:
        try:
            return _download(site, place)
        except InputError as error:
            return _refusal(str(error))
        except OSError as error:
            return _refusal(f"it cannot be read: {error.strerror or error}")


def _download(site: Site, place: str) -> Response:
    """Return a run's artifact, its digest checked, piece by piece.

    Args:
        site: The dashboard.
        place: ``STUDY/RUN/NAME``.

    Raises:
        InputError: If there is no such artifact, or it is not what the run left.
        OSError: If this process may not read it.
    """
    study, artifact = _find(site, place)
    name = _safe(f"{study}-run-{place.split('/')[1]}-{artifact.name}")
    with ExitStack() as stack:
        path = fetch(artifact, Path(stack.enter_context(TemporaryDirectory())))
        if path.is_dir():
            response = Response(_zipped(path))
            name += ".zip"
        else:
            file = stack.enter_context(path.open("rb"))
            response = Response(_chunks(file))
            response.content_length = path.stat().st_size
        response.content_type = "application/octet-stream"
        response.headers.set("Content-Disposition", "attachment", filename=name)
        response.call_on_close(stack.pop_all().close)
    return response


def _find(site: Site, place: str) -> tuple[str, Artifact]:
    """Return the study and the artifact that an address names, letter for letter.

    Raises:
        NotFoundError: If no run has registered it.
    """
    nothing = NotFoundError("no run has registered such an artifact")
    parts = place.split("/")
    if len(parts) != 3 or "\0" in place:
        raise nothing
    study, number, name = parts
    if not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER):
        raise nothing
    for artifact in site.reader.results(study).run(int(number)).artifacts:
        if artifact.name == name:
            return study, artifact
    raise nothing


def _refusal(reason: str) -> Response:
    return Response(f"{reason}\n", status=HTTPStatus.NOT_FOUND, content_type="text/plain")


def _safe(name: str) -> str:
    """Return a file name without anything that a shell, a header or a file system would mind."""
    return _UNSAFE.sub("_", name)[-200:].lstrip(".-")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _zipped(folder: Path) -> Iterator[bytes]:
    """Yield a ZIP file of a folder's files, as it grows; weights do not get smaller in it.

    Links that lead out of the folder are left out.
    """
    pipe, root = _Pipe(), folder.resolve()
    with ZipFile(pipe, "w", strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            if not (path.is_file() and path.resolve().is_relative_to(root)):
                continue
            entry = ZipInfo.from_file(
                path, path.relative_to(folder).as_posix(), strict_timestamps=False
            )
            with path.open("rb") as source, archive.open(entry, "w") as target:
                for chunk in _chunks(source):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()


class _Pipe(RawIOBase):
    """A file that keeps what is written until it is taken; it cannot be rewound."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer) -> int:
        chunk = bytes(data)
        self._waiting += chunk
        return len(chunk)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
