"""Who is let in, from where, and what a browser is told that it may run."""

import re
import socket
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from limbeck.dashboard.app import create_app
from limbeck.dashboard.security import COOKIE, Access, is_loopback, new_token
from limbeck.dashboard.server import serve
from limbeck.errors import ConfigError
from tests.cli.conftest import Limbeck, limbeck
from tests.dashboard.conftest import open_site
from tests.dashboard.studied import STUDY, Studied

__all__ = ["limbeck"]

TOKEN = "correct horse"  # of a test
PATHS = ("/", f"/study/{STUDY}", "/_dash-layout", "/_dash-dependencies", "/assets/limbeck.js")
CALLBACK = "/_dash-update-component"


@pytest.fixture
def guarded(studied: Studied) -> Iterator[FlaskClient]:
    """Asks a dashboard that wants a token."""
    with open_site(studied, Access(token=TOKEN)) as site:
        yield create_app(site).server.test_client()


@pytest.mark.parametrize("path", [*PATHS, f"/artifact/{STUDY}/0/log.txt"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN[:-1]},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"{COOKIE}="},
    ],
    ids=["none", "wrong", "basic", "short", "cookie", "empty"],
)
def test_without_the_token_nothing_is_shown(
    guarded: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = guarded.get(path, headers=headers)
    assert answer.status_code == 401
    assert STUDY not in answer.text


def test_a_wrong_token_in_the_address_is_refused_and_keeps_no_cookie(guarded: FlaskClient) -> None:
    answer = guarded.get("/?token=wrong")
    assert answer.status_code == 401
    assert guarded.get_cookie(COOKIE) is None


def test_the_token_moves_from_the_address_into_a_cookie(guarded: FlaskClient) -> None:
    answer = guarded.get(f"/study/{STUDY}?x=size&token={TOKEN}&y=exact")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/study/{STUDY}?x=size&y=exact"
    cookie = guarded.get_cookie(COOKIE)
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site) == (True, "Strict")
    assert guarded.get("/_dash-layout").status_code == 200


def test_programs_may_show_the_token_in_a_header(guarded: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/_dash-layout", headers=headers).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "192.0.2.7", "localhost.evil"]
)
def test_another_sites_name_for_this_machine_is_refused(
    client: FlaskClient, path: str, host: str
) -> None:
    assert client.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8321", "127.0.0.1:1", "[::1]:8321", "127.8.8.8"])
def test_names_of_this_machine_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/_dash-layout", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
    ],
    ids=["cross", "sibling", "origin", "null", "port"],
)
def test_requests_of_other_sites_change_nothing(
    client: FlaskClient, method: str, headers: dict[str, str]
) -> None:
    answer = getattr(client, method)(CALLBACK, json={}, headers=headers)
    assert answer.status_code == 403


def test_every_answer_says_what_may_run(client: FlaskClient) -> None:
    for path in (*PATHS, "/artifact/nothing", f"/artifact/{STUDY}/0/log.txt"):
        with client.get(path) as answer:
            headers = answer.headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert "'unsafe-inline'" not in policy["script-src"]
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert not re.search(r"https?:|\*", headers["Content-Security-Policy"])
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    assert not re.search(r"""(src|href)=["'](https?:)?//""", client.get("/").text)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.200.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # of a test
        ("::", False),
        ("192.168.0.2", False),
        ("example.org", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_tokens_are_long_and_differ() -> None:
    assert len(new_token()) >= 32
    assert new_token() != new_token()


def test_others_are_not_let_in_without_a_token(studied: Studied) -> None:
    with (
        open_site(studied, Access()) as site,
        pytest.raises(ConfigError, match=r"needs a token, but 0\.0\.0\.0 has none"),
    ):
        serve(site, host="0.0.0.0", port=0, ready=print)  # refused


def test_a_port_that_is_taken_is_said_in_one_line(limbeck: Limbeck, studied: Studied) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = limbeck("dashboard", "--home", studied.home.folder, "--port", port)
    assert ended.code == 2
    assert re.fullmatch(
        rf"Error: the dashboard must listen at 127\.0\.0\.1:{port}, but: .*; choose another "
        r"--port or --host\n",
        ended.err,
    )


def test_an_empty_token_is_refused(limbeck: Limbeck, studied: Studied) -> None:
    ended = limbeck("dashboard", "--home", studied.home.folder, "--token", "")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Error: --token must not be empty; leave it out to have one made\n"
