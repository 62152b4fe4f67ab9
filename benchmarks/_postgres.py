"""A PostgreSQL server of one's own, in a temporary folder: for tests and benchmarks alike."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian's packages put the programs: a folder for each version."""

START_SECONDS = 60.0


class Databases:
    """Makes and drops databases on a server.

    Attributes:
        url: Of a database on it, by a user who may make others.
    """

    def __init__(self, url: URL) -> None:
        self.url = url

    def create(self, name: str, *, template: str = "template1") -> str:
        """Create a database, and return its URL."""
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        plain = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class Server(Databases):
    """A server that listens on a socket in its folder.

    Attributes:
        folder: Its data, socket and log.
    """

    def __init__(self, folder: Path, programs: Path, *, durable: bool) -> None:
        super().__init__(
            URL.create("postgresql", "limbeck", database="postgres", query={"host": str(folder)})
        )
        self.folder = folder
        self._programs = programs
        self._fsync = "on" if durable else "off"
        self._process: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Make its files."""
        options = ["--auth=trust", "--username=limbeck", "--no-sync", "--encoding=UTF8"]
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", *options, "--locale=C.UTF-8", f"--pgdata={self.folder / 'data'}").wait()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self._run(
            "postgres",
            *("-D", str(self.folder / "data")),
            *("-k", str(self.folder)),
            *("-c", "listen_addresses="),
            *("-c", f"fsync={self._fsync}"),
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "log").read_text(encoding="utf-8").splitlines()
                raise RuntimeError(f"PostgreSQL does not start: {log[-1]}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether one can connect to it."""
        asked = f"host={self.folder} user=limbeck dbname=postgres"
        return psycopg.pq.PGconn.ping(asked.encode()) == psycopg.pq.Ping.OK

    def stop(self) -> None:
        """Stop it: who is connected is cut off, what was committed stays."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop it without writing anything; started again, it has to recover."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program; PostgreSQL refuses to be run by root."""
        root = os.geteuid() == 0
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user="postgres" if root else None,
                group="postgres" if root else None,
                extra_groups=[] if root else None,
                # What is typed at the terminal is not for the server.
                start_new_session=True,
            )


def find_programs() -> Path | None:
    """Return the folder of the newest server that is installed; None if none is."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/postgres")]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def private_server(programs: Path, *, durable: bool = False) -> Iterator[Server]:
    """Yield a new server that runs; it is stopped and its folder removed in the end.

    Args:
        programs: See `find_programs`.
        durable: Whether what it keeps outlives a power cut, as a server's data should: slower.
    """
    # The path of a socket must be short: below the folder of the checkout it would not be.
    folder = Path(tempfile.mkdtemp(prefix="limbeck-postgres-", dir="/tmp"))
    server = Server(folder, programs, durable=durable)
    try:
        server.build()
        server.start()
        yield server
    finally:
        server.crash()
        shutil.rmtree(folder, ignore_errors=True)


def existing_server(url: str) -> Databases:
    """Return a server that somebody else runs.

    Args:
        url: Of a database on it, by a user who may make others.
    """
    return Databases(make_url(url))
