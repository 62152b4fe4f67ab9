"""Downloads: what a run has registered, all of it, and nothing else."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from limbeck.artifacts import register
from limbeck.dashboard.app import create_app
from limbeck.dashboard.security import Access
from limbeck.runs import Artifact, Outcome, RunState
from limbeck.study import this_process
from tests.dashboard.conftest import open_site
from tests.dashboard.studied import FAILED, RUNNING, STUDY, WITH_MODEL, Studied

SECRET = "root:x:0:0"


@pytest.fixture
def own_client(own_studied: Studied) -> Iterator[FlaskClient]:
    with open_site(own_studied, Access()) as site:
        yield create_app(site).server.test_client()


def get(client: FlaskClient, place: str) -> TestResponse:
    """Return the answer when all of it has come and the server has closed what it read."""
    return client.get(f"/artifact/{place}", buffered=True, follow_redirects=True)


def end_with(studied: Studied, *artifacts: Artifact) -> None:
    """End the running run with these artifacts."""
    with studied.open() as store:
        outcome = Outcome(state=RunState.FINISHED, artifacts=artifacts)
        store.end_run(STUDY, RUNNING, outcome, owner=this_process())


def test_a_file_comes_whole_and_is_only_saved(client: FlaskClient, studied: Studied) -> None:
    answer = get(client, f"{STUDY}/3/predictions.json")
    assert answer.status_code == 200
    assert answer.data == (studied.home.run(STUDY, 3) / "predictions.json").read_bytes()
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert (
        answer.headers["Content-Disposition"]
        == f"attachment; filename={STUDY}-run-3-predictions.json"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_a_folder_comes_as_one_zip_file(client: FlaskClient, studied: Studied) -> None:
    answer = get(client, f"{STUDY}/{WITH_MODEL[1]}/model")
    assert answer.headers["Content-Disposition"] == f"attachment; filename={STUDY}-run-3-model.zip"
    folder = studied.home.run(STUDY, WITH_MODEL[1]) / "model"
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with ZipFile(BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
    assert "model.safetensors" in files


def test_a_zip_file_has_no_more_in_it_than_the_folder(
    own_client: FlaskClient, own_studied: Studied, tmp_path: Path
) -> None:
    folder = own_studied.home.run(STUDY, RUNNING) / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("inside")
    (folder / "linked.txt").symlink_to(folder / "deep" / "a.txt")
    (tmp_path / "outside.txt").write_text(SECRET)
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    end_with(own_studied, register("model", folder))
    with ZipFile(BytesIO(get(own_client, f"{STUDY}/{RUNNING}/model").data)) as archive:
        assert set(archive.namelist()) == {"deep/a.txt", "linked.txt"}
        assert archive.read("linked.txt") == b"inside"


def test_a_large_file_is_never_held_whole(own_client: FlaskClient, own_studied: Studied) -> None:
    path = own_studied.home.run(STUDY, RUNNING) / "large"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(40_000_000)
    end_with(own_studied, register("large", path))
    with own_client.get(f"/artifact/{STUDY}/{RUNNING}/large") as answer:
        sizes = [len(piece) for piece in answer.iter_encoded()]
    assert sum(sizes) == 40_000_000
    assert max(sizes) <= 1 << 20


def test_what_lies_at_a_url_comes_from_there(
    own_client: FlaskClient, own_studied: Studied, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    shutil.copytree(own_studied.home.run(STUDY, 3) / "model", away)
    made = register("model", away)
    url = f"local://{away}"  # fsspec's; only file:// is taken for a path of this machine.
    end_with(own_studied, Artifact(name="model", path=url, sha256=made.sha256, bytes=made.bytes))
    answer = get(own_client, f"{STUDY}/{RUNNING}/model")
    assert answer.status_code == 200, answer.text
    with ZipFile(BytesIO(answer.data)) as archive:
        assert archive.read("config.json") == (away / "config.json").read_bytes()


@pytest.mark.parametrize(
    "place",
    [
        f"{STUDY}/3/../../../../../../etc/passwd",
        f"{STUDY}/3/..%2F..%2F..%2Fetc%2Fpasswd",
        f"{STUDY}/3/..%252F..%252Fetc%252Fpasswd",
        f"{STUDY}/3/%2Fetc%2Fpasswd",
        f"{STUDY}/3//etc/passwd",
        f"{STUDY}/3/..%5C..%5Cetc%5Cpasswd",
        f"{STUDY}/3/file:%2F%2F%2Fetc%2Fpasswd",
        f"{STUDY}/3/predictions.json%00",
        f"{STUDY}/3/predictions.json%0d%0aSet-Cookie:%20a=b",
        f"{STUDY}/3/%00",
        f"{STUDY}%00/3/predictions.json",
        f"../{STUDY}/3/predictions.json",
        f"..%2F{STUDY}/3/predictions.json",
        f"{STUDY}/3/PREDICTIONS.JSON",
        f"{STUDY}/3/predictions.json%20",
        f"{STUDY}/3/model/config.json",
        f"{STUDY}/3/model%2Fconfig.json",
        f"{STUDY}/3/reference.json",
        f"{STUDY}/3/",
        f"{STUDY}/3",
        f"{STUDY}/-1/predictions.json",
        f"{STUDY}/77/predictions.json",
        f"{STUDY}/{'9' * 5000}/predictions.json",
        f"{STUDY}/٣/predictions.json",
        f"{STUDY}/3.0/predictions.json",
        "tyny/3/predictions.json",
        "%ff/3/predictions.json",
        "",
    ],
)
def test_nothing_else_is_given_away(client: FlaskClient, place: str) -> None:
    answer = get(client, place)
    if place:
        assert answer.status_code == 404
        assert "Set-Cookie" not in answer.headers
    assert SECRET not in answer.text
    assert "predictions" not in answer.headers.get("Content-Disposition", "")


@pytest.mark.parametrize("path", ["../../store.db", "predictions.json", "x/../predictions.json"])
def test_an_artifact_is_found_by_its_name_not_by_a_path(
    own_client: FlaskClient, own_studied: Studied, path: str
) -> None:
    end_with(own_studied)
    assert get(own_client, f"{STUDY}/{RUNNING}/{path}").status_code == 404


def test_what_is_gone_or_was_changed_says_so(own_client: FlaskClient, own_studied: Studied) -> None:
    gone = get(own_client, f"{STUDY}/{FAILED}/log.txt")
    assert (gone.status_code, gone.text) == (
        404,
        "log.txt must be at /nowhere/log.txt, but is gone; put it back\n",
    )
    (own_studied.home.run(STUDY, 3) / "predictions.json").write_text("{}")
    changed = get(own_client, f"{STUDY}/3/predictions.json")
    assert changed.status_code == 404
    assert "must be as the run left it" in changed.text


def test_a_name_cannot_break_out_of_its_header(
    own_client: FlaskClient, own_studied: Studied
) -> None:
    path = own_studied.home.run(STUDY, RUNNING) / "file"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<script>alert(1)</script>")
    name = 'a"; filename="b.exe";ü.html'
    end_with(own_studied, register(name, path))
    answer = get(own_client, f"{STUDY}/{RUNNING}/a%22;%20filename=%22b.exe%22;%C3%BC.html")
    assert answer.status_code == 200
    assert (
        answer.headers["Content-Disposition"]
        == f"attachment; filename={STUDY}-run-{RUNNING}-a_filename_b.exe_.html"
    )
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_those_without_the_token_get_nothing(studied: Studied) -> None:
    with open_site(studied, Access(token="open sesame")) as site:
        outside = create_app(site).server.test_client()
        assert outside.get(f"/artifact/{STUDY}/3/predictions.json").status_code == 401
        inside = outside.get(
            f"/artifact/{STUDY}/3/predictions.json",
            headers={"Authorization": "Bearer open sesame"},
            buffered=True,
        )
        assert inside.status_code == 200


def test_a_download_changes_nothing(client: FlaskClient) -> None:
    assert client.post(f"/artifact/{STUDY}/3/predictions.json").status_code == 405
    head = client.head(f"/artifact/{STUDY}/3/predictions.json", buffered=True)
    assert (head.status_code, head.data) == (200, b"")
