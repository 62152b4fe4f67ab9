"""Which machines make the runs of a search: this one, or those of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from limbeck.errors import ConfigError


@contextmanager
def machines(ray: str | None, resources: Sequence[str] | None) -> Iterator[Callable[..., None]]:
    """Yield what carries a search out: here, or on a Ray cluster.

    Raises:
        ConfigError: If there is no such cluster, Ray is not installed, or the resources are none.
    """
    if ray is None:
        if resources:
            raise ConfigError("--resources are those of a cluster; name one with --ray")
        from limbeck.execute.local import search

        yield search
        return
    from limbeck.execute.resources import parse_resources

    wanted = parse_resources(resources) if resources else None
    try:
        from limbeck.execute import ray as on_ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError(
            "--ray needs a package that is not installed; run: pip install 'limbeck[ray]'"
        ) from error
    with on_ray.cluster(ray):
        yield partial(on_ray.search, resources=wanted or on_ray.default_resources())
