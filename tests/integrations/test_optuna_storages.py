"""Storages that cannot be opened, and what is loaded to open them."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from limbeck.errors import ConfigError, LimbeckError, StoreError
from limbeck.integrations.optuna import open_storage


def test_a_storage_to_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be there, but there is no file .*none\.db"):
        open_storage(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="the database has no tables of Optuna's"):
        open_storage(f"sqlite:///{tmp_path}/empty.db", create=False)
    assert (tmp_path / "empty.db").stat().st_size == 0
    open_storage(f"sqlite:///{tmp_path}/optuna.db")
    assert open_storage(f"sqlite:///{tmp_path}/optuna.db", create=False).get_all_studies() == []


@pytest.mark.parametrize(
    "url", ["nothing://me:secret@host/db", "nothing//me:secret@host", ":secret"]
)
def test_messages_keep_passwords(url: str) -> None:
    with pytest.raises(LimbeckError, match=r"^Optuna's storage") as raised:
        open_storage(url)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_storage_of_another_version_is_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    open_storage(url)
    with sqlite3.connect(tmp_path / "optuna.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
        connection.execute("UPDATE version_info SET library_version = '99.0.0'")
    connection.close()
    with pytest.raises(StoreError, match=r"must be a database that can be opened, but: [^\n]+$"):
        open_storage(url)


def test_studies_go_to_and_fro_without_torch() -> None:
    code = (
        "import sys; from limbeck.integrations.optuna import add_trials, export_study; "
        "assert 'torch' not in sys.modules; "
        "from limbeck.integrations.optuna import LimbeckSampler; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
