"""The command that serves the dashboard."""

import sys
from typing import Annotated

import typer

from limbeck.cli.options import DEFAULT_HOME, HomeFolder, StoreUrl, open_store
from limbeck.errors import ConfigError
from limbeck.home import Home

app = typer.Typer()


@app.command(epilog="Example: limbeck dashboard --port 8080")
def dashboard(
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any.", min=0, max=65535)] = 8321,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LIMBECK_TOKEN", help="What visitors must show; made if one is needed."
        ),
    ] = None,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Let pages queue, stop, pause and extend.")
    ] = False,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
) -> None:
    """Serve the web pages of all studies, live while searches run, until Ctrl-C."""
    try:
        from limbeck.dashboard.server import serve
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the dashboard needs {error.name}; install it with pip install 'limbeck[dashboard]'"
        ) from error
    from limbeck.dashboard.reader import Reader
    from limbeck.dashboard.security import Access, is_loopback, new_token
    from limbeck.dashboard.site import Site

    if token == "":
        raise ConfigError("--token must not be empty; leave it out to have one made")
    if token is None and not is_loopback(host):
        token = new_token()
    with open_store(Home(home), store_url) as store:
        access = Access(token=token, allow_write=allow_write)
        serve(
            Site(reader=Reader(store, Home(home.resolve())), access=access),
            host=host,
            port=port,
            ready=lambda url: print(f"Dashboard: {url} (Ctrl-C ends it)", file=sys.stderr),
        )
