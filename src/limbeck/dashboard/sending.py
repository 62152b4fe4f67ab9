"""How answers travel: compressed, and what every figure needs ahead of the first one."""

from functools import cache
from zlib import MAX_WBITS, compressobj

from dash import Dash
from flask import Flask, Response, request

_LEAST = 10_000
"""Bytes from which on an answer is compressed."""
_TEXTS = ("application/json", "text/html", "text/css", "text/javascript", "application/javascript")
_LIBRARIES = "/_dash-component-suites/"
_PLOTLY = f"{_LIBRARIES}plotly/package_data/plotly.min.js"
_COMPILE_EARLY = b"//# allFunctionsCalledOnLoad\n"
"""Lets Chromium compile a script while it loads, beside the page; other browsers skip the comment.

Plotly calls most of its functions at once, and is parsed twice without it:
https://github.com/WICG/explicit-javascript-compile-hints-file-based
"""


def hasten(app: Dash) -> None:
    """Compress answers for browsers that take them so, and announce the largest library early."""
    server: Flask = app.server

    @cache
    def library(path: str, body: bytes) -> bytes:
        return compressed(_COMPILE_EARLY + body if path == _PLOTLY else body)

    @server.after_request
    def shrink(response: Response) -> Response:
        if response.mimetype == "text/html":
            # Dash asks for it only once it has a figure to draw.
            response.headers["Link"] = f"<{_PLOTLY}>; rel=preload; as=script"
        if response.direct_passthrough or response.mimetype not in _TEXTS:
            return response
        response.vary.add("Accept-Encoding")
        body = response.get_data()
        if len(body) >= _LEAST and request.accept_encodings["gzip"]:
            is_library = request.path.startswith(_LIBRARIES)
            response.set_data(library(request.path, body) if is_library else compressed(body))
            response.headers["Content-Encoding"] = "gzip"
        return response


def compressed(body: bytes) -> bytes:
    """Return a text in gzip's format, quickly rather than as small as it could be."""
    packer = compressobj(level=1, wbits=MAX_WBITS + 16)
    return packer.compress(body) + packer.flush()
