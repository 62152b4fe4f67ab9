"""Who may see the pages, and what a browser may do with them."""

import hmac
import secrets
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from dash import Dash
from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as BaseResponse

COOKIE = "limbeck-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may see the pages, and whether they may change anything.

    Attributes:
        token: What a visitor has to show; None lets everybody in who reaches the address.
        allow_write: Whether the pages may queue, stop, pause and extend.
    """

    token: str | None = None
    allow_write: bool = False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def protect(app: Dash, access: Access) -> None:
    """Refuse requests without the token and from other sites, and tell browsers to run no text.

    Args:
        app: With all of its callbacks: the policy has the digests of Dash's own scripts.
        access: Who may see the pages.
    """
    server: Flask = app.server

    @cache
    def policy() -> str:
        # Plotly's WebGL figures, parallel coordinates among them, compile their drawing code in the
        # browser: that is 'unsafe-eval'. Scripts in the page itself stay forbidden.
        scripts = " ".join(("'self'", "'unsafe-eval'", *app.csp_hashes()))
        return (
            f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
            "worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )

    @server.before_request
    def check() -> BaseResponse | None:
        if access.token is None and not _has_local_name():
            abort(HTTPStatus.FORBIDDEN, "another site's name for this address")
        if access.token is not None:
            given = request.args.get("token")
            if given is not None and _is_same(given, access.token):
                return _with_cookie(access.token)
            if not _is_same(_shown_token(), access.token):
                abort(HTTPStatus.UNAUTHORIZED, "open the address with ?token= that was printed")
        if request.method not in SAFE_METHODS and not _is_from_here():
            abort(HTTPStatus.FORBIDDEN, "a request of another site")
        return None

    @server.after_request
    def add_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _has_local_name() -> bool:
    """Whether the browser asked for this machine by a name that no other site can have.

    A site can let its own name point to 127.0.0.1, and would then read the pages as its own.
    """
    name = urlsplit(f"//{request.host}").hostname or ""
    return is_loopback(name)


def _shown_token() -> str:
    header = request.headers.get("Authorization", "")
    return header.removeprefix("Bearer ") if header else request.cookies.get(COOKIE, "")


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _with_cookie(token: str) -> BaseResponse:
    """Keep the token in a cookie, and take it out of the address, which people copy."""
    rest = "&".join(
        part for part in request.query_string.decode().split("&") if part[:6] != "token="
    )
    response = redirect(f"{request.path}?{rest}" if rest else request.path)
    response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", max_age=30 * 24 * 3600)
    return response


def _is_from_here() -> bool:
    """Whether one of our own pages sends the request, as far as browsers tell."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    return site in ("same-origin", "none") and (
        origin is None or urlsplit(origin).netloc == request.host
    )
