from pathlib import Path

import pytest
from sqlalchemy import make_url

from limbeck.home import Home


@pytest.mark.parametrize("folder", [Path(".limbeck"), Path("/data/my studies")])
def test_store_url_names_the_file_in_the_folder(folder: Path) -> None:
    url = make_url(Home(folder).store_url)
    assert (url.drivername, url.database) == ("sqlite", str(folder / "store.db"))


def test_runs_have_folders_of_their_own_in_order_of_their_numbers() -> None:
    home = Home(Path("home"))
    folders = [home.run("study", number) for number in range(1_000)]
    assert len(set(folders)) == 1_000
    assert folders == sorted(folders)
    assert home.run("other", 7) != home.run("study", 7) == Path("home/studies/study/runs/0007")
