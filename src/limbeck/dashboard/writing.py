"""What visitors may change, and how they are refused where they may not."""

from http import HTTPStatus

from flask import abort

from limbeck.dashboard.security import Access


def check_write(access: Access) -> None:
    """Refuse a request that would change a study, unless the dashboard allows it.

    Raises:
        werkzeug.exceptions.Forbidden: If it does not.
    """
    if not access.allow_write:
        abort(HTTPStatus.FORBIDDEN, "this dashboard is read-only; serve it with --allow-write")
