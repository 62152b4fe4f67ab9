"""Serving the dashboard: its address, and the token without which others are turned away."""

import socket
from collections.abc import Callable
from urllib.parse import urlencode

from waitress import create_server

from limbeck.dashboard.app import create_app
from limbeck.dashboard.security import is_loopback
from limbeck.dashboard.site import Site
from limbeck.errors import ConfigError

_THREADS = 16
"""Requests at a time; each takes milliseconds, most of them in the database."""


def serve(site: Site, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the dashboard until the process is interrupted.

    Args:
        site: What is shown, and to whom.
        host: Address or name of this machine to listen at.
        port: To listen at; 0 for any that is free.
        ready: Called with the address to open, with the token in it, once it can be opened.

    Raises:
        ConfigError: If other machines reach the host and the site has no token, or one cannot
            listen there.
    """
    if site.access.token is None and not is_loopback(host):
        raise ConfigError(f"a dashboard that others reach needs a token, but {host} has none")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"the dashboard must listen at {host}:{port}, but: {error.strerror}; choose another "
            "--port or --host"
        ) from error
    app = create_app(site).server
    server = create_server(app, sockets=[listening], threads=_THREADS, ident=None)
    query = "" if site.access.token is None else "?" + urlencode({"token": site.access.token})
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listening.getsockname()[1]}/{query}")
    server.run()
