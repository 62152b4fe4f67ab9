"""A dashboard to ask, in the process of the tests or with a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page
from waitress.server import TcpWSGIServer, create_server
from waitress.wasyncore import close_all

from limbeck.dashboard.app import create_app
from limbeck.dashboard.reader import Reader
from limbeck.dashboard.security import Access
from limbeck.dashboard.site import Site
from limbeck.store import Store
from tests.dashboard.studied import Studied, write_studied


@pytest.fixture
def own_studied(tmp_path: Path) -> Studied:
    """A study that a test may change."""
    return write_studied(tmp_path)


@contextmanager
def open_site(studied: Studied, access: Access) -> Iterator[Site]:
    with Store(studied.home.store_url) as store:
        yield Site(reader=Reader(store, studied.home, patience=0.0), access=access)


@pytest.fixture
def client(studied: Studied) -> Iterator[FlaskClient]:
    """Asks a read-only dashboard without a server between."""
    with open_site(studied, Access()) as site:
        yield create_app(site).server.test_client()


def _close(server: TcpWSGIServer) -> None:
    for channel in list(server.active_channels.values()):
        channel.handle_close()  # `close_all` would leave its temporary files open.
    close_all(server._map, ignore_all=True)


@contextmanager
def serving(studied: Studied, access: Access) -> Iterator[str]:
    """Serve a dashboard in a thread; yield its address."""
    with open_site(studied, access) as site:
        server = create_server(create_app(site).server, host="127.0.0.1", port=0, threads=8)
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.effective_port}"
        finally:
            # In its own thread, which might wait at a socket that is closed here.
            server.trigger.pull_trigger(lambda: _close(server))
            thread.join(timeout=10)
            server.task_dispatcher.shutdown()


@pytest.fixture(scope="session")
def url(studied: Studied) -> Iterator[str]:
    """Address of a read-only dashboard of `studied`."""
    with serving(studied, Access()) as address:
        yield address


@pytest.fixture(scope="session")
def visits(browser: Browser) -> BrowserContext:
    """Where pages are opened: it keeps the scripts that all of them load."""
    return browser.new_context(viewport={"width": 1280, "height": 900})


@pytest.fixture
def page(visits: BrowserContext) -> Iterator[Page]:
    """A page that must not log an error, nor raise one."""
    opened = visits.new_page()
    errors: list[str] = []
    opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    if opened.url.startswith("http"):
        opened.evaluate("localStorage.clear()")  # The theme that was chosen.
    opened.close()
    assert errors == []
