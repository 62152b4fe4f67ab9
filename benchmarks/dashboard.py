"""The dashboard under load, in headless Chromium: how long a visitor waits.

Serves a study of 10,000 runs and 1,000,000 curve points. Measures the first useful view of its page
(frontier and statistics; the server has just started, and once more), a brush over the frontier
until the table shows the selected runs alone, the server's memory, and 20 visitors at once, who
send what the browser sent for the page.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import load
import psutil
from playwright.sync_api import Page, sync_playwright

BROWSER_OPTIONS = ["--no-sandbox", "--enable-unsafe-swiftshader"]
"""As a browser without a GPU: it paints pages itself, and emulates WebGL."""
VISITORS = 20
BRUSHES = 5
TARGETS = {"first_view_s": 2.0, "brush_ms": 300.0, "server_mb": 500.0, "visitors_s": 2.0}
"""What each figure must stay below."""

DRAWN = """() => {
    const plot = document.querySelector("#study-frontier .js-plotly-plot");
    const drawn = plot && plot.data && plot.data.length > 1;
    return drawn && document.querySelector("#study-statistics dd");
}"""
WATCH_BRUSH = """() => {
    const note = document.querySelector("#study-runs-note");
    const before = note.textContent;
    window.brushed = new Promise((done) => {
        const look = () => {
            if (note.textContent === before) { requestAnimationFrame(look); return; }
            const end = () => done(performance.now() - window.up);
            requestAnimationFrame(() => requestAnimationFrame(end));
        };
        document.addEventListener("mouseup", () => {
            window.up = performance.now();
            requestAnimationFrame(look);
        }, {capture: true, once: true});
    });
}"""


def main() -> None:
    """Run the benchmark, and print its result last."""
    runs, points = _scale()
    load.BENCH.mkdir(parents=True, exist_ok=True)
    print(f"{runs} runs, {points} points, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=load.BENCH, prefix="dashboard-") as folder:
        url = f"sqlite:///{folder}/store.db"
        scale = load.Scale(runs=runs, points=points, asked=0, workers=0, seconds=0)
        load.fill(url, load.study_config(), scale)
        with _server(Path(folder)) as (address, process):
            found = _in_browser(f"{address}/study/{load.NAME}")
            found["server_mb"] = _megabytes(process)
            found["visitors_s"] = _visitors(address, found.pop("requests"))
    results = {name: float(value) for name, value in found.items()}
    missed = [name for name, most in TARGETS.items() if results[name] > most]
    print(f"targets missed: {', '.join(missed)}" if missed else "all targets met")
    print("RESULT", *(f"{name}={round(value, 3)}" for name, value in results.items()))


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "limbeck.cli", "dashboard", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        try:
            yield line.split()[1].rstrip("/"), process
        finally:
            process.terminate()


def _in_browser(url: str) -> dict[str, object]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        cold = _first_view(page, url)
        page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        sent: list[tuple[str, str | None]] = []
        page.on("request", lambda request: sent.append((request.url, request.post_data)))
        warm = _first_view(page, url)
        requests = [(address, body) for address, body in sent if not address.startswith("blob:")]
        page.wait_for_selector("#study-runs .ag-row")
        page.wait_for_selector("#study-parallel .axis-brush")
        brushes = [_brush(page, number) for number in range(BRUSHES)]
        browser.close()
    print(f"first view {cold:.2f} s, again {warm:.2f} s; brushes {brushes} ms")
    return {
        "first_view_s": warm,
        "first_view_cold_s": cold,
        "brush_ms": statistics.median(brushes),
        "requests": requests,
    }


def _first_view(page: Page, url: str) -> float:
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(DRAWN, polling="raf", timeout=60_000)
    return time.perf_counter() - start


def _brush(page: Page, number: int) -> int:
    """Draw a box over the frontier figure; return the milliseconds until the table has followed."""
    area = page.locator("#study-frontier .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    left, top = box["x"] + 0.02 * box["width"], box["y"] + 0.02 * box["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    # The narrowest has runs in it: without any, nothing would change.
    page.mouse.move(
        left + (0.55 + 0.08 * number) * box["width"], top + 0.9 * box["height"], steps=5
    )
    page.evaluate(WATCH_BRUSH)
    page.mouse.up()
    gone = "new Promise((done) => setTimeout(() => done(10_000), 10_000))"
    return round(page.evaluate(f"() => Promise.race([window.brushed, {gone}])"))


def _megabytes(process: subprocess.Popen[str]) -> float:
    return psutil.Process(process.pid).memory_info().rss / 2**20


def _visitors(address: str, requests: object) -> float:
    """Return the seconds that the slowest of several visitors at once waited for the page."""
    assert isinstance(requests, list)
    with ThreadPoolExecutor(VISITORS) as pool:
        waited = list(pool.map(lambda _: _visit(address, requests), range(VISITORS)))
    print(f"{VISITORS} visitors waited {min(waited):.2f} to {max(waited):.2f} s each")
    return max(waited)


def _visit(address: str, requests: Sequence[tuple[str, str | None]]) -> float:
    start = time.perf_counter()
    for url, body in requests:
        headers = {
            "Content-Type": "application/json",
            "Origin": address,
            "Accept-Encoding": "gzip",  # As browsers say.
        }
        data = None if body is None else json.dumps(json.loads(body)).encode()
        with urlopen(Request(url, data=data, headers=headers), timeout=60) as answer:
            answer.read()
    return time.perf_counter() - start


def _scale() -> tuple[int, int]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs and points")
    return (1_000, 100_000) if parser.parse_args().quick else (10_000, 1_000_000)


if __name__ == "__main__":
    main()
