"""Where studies and their runs are kept: SQLite by default, other databases by URL."""

from limbeck.store.records import Event, Progress, StudyRecord
from limbeck.store.store import Store

__all__ = ["Event", "Progress", "Store", "StudyRecord"]
