"""How answers travel."""

from gzip import decompress

from flask.testing import FlaskClient

PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"


def test_what_a_browser_takes_compressed_is_sent_so_and_is_the_same(client: FlaskClient) -> None:
    whole = client.get(PLOTLY).get_data()
    for _ in range(2):
        answer = client.get(PLOTLY, headers={"Accept-Encoding": "gzip, br"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert len(answer.get_data()) < len(whole) / 2
        hint, script = decompress(answer.get_data()).split(b"\n", 1)
        assert hint.startswith(b"//#")
        assert script == whole


def test_small_answers_are_sent_as_they_are(client: FlaskClient) -> None:
    answer = client.get("/_dash-layout", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.get_data().startswith(b"{")


def test_a_page_announces_the_largest_library(client: FlaskClient) -> None:
    assert client.get("/").headers["Link"] == f"<{PLOTLY}>; rel=preload; as=script"
