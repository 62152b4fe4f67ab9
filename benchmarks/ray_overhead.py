"""What a Ray cluster costs: one search with two local workers, and the same on Ray, in turn.

Both make the same runs of a student of the shared teacher, one core each, on this machine; runs
take more than a minute. What every search needs once (questions, the teacher's logits) is there
before either begins. The time is that of the whole command, Ray's start included.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import _student

from limbeck.home import Home
from limbeck.store import Store

WORKERS = 2
PORT = 6399
STUDY = """
name = "{name}"
task = "question-answering"

[teacher]
model = "{shared}/teachers/minilm-l6-squad2"

[data]
train = "{shared}/squad/train-v2.0.rebuilt.json.gz"
dev = "{shared}/squad/dev-v2.0.json.gz"
train_questions = {learned}
dev_questions = 500

[recipe]
learning_rate = 3e-4
epochs = 1.0

[metrics.exact]
[metrics.num_parameters]

[space.alpha_ce]
type = "float"
low = 0.0
high = 1.0

[optimizer]
sampler = "quasirandom"
"""


def main() -> None:
    """Run the benchmark, and print its result last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="runs of a few seconds: no figure")
    quick = parser.parse_args().quick
    learned, runs = (60, 3) if quick else (2_500, 6)
    folder = _student.ROOT / ".limbeck" / "bench" / "ray-overhead"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{runs} runs each, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    with TemporaryDirectory(dir=folder) as temporary, ray_cluster() as address:
        searches = Searches(home=Path(temporary), learned=learned)
        searches.run("first", runs=1)
        local = searches.run("local", "--workers", f"{WORKERS}", runs=runs)
        on_ray = searches.run("ray", "--workers", f"{WORKERS}", "--ray", address, runs=runs)
        shortest = min(searches.run_seconds("local"))
    print(f"local {local:.1f} s, on Ray {on_ray:.1f} s; the shortest run took {shortest:.1f} s")
    print(f"RESULT ray_overhead={on_ray / local - 1:.3f} run_seconds={shortest:.1f} runs={runs}")


@dataclass(frozen=True, kw_only=True)
class Searches:
    """Searches in one home, which have the same seed and make the same runs.

    Attributes:
        home: Where they are kept.
        learned: Questions that a student learns from.
    """

    home: Path
    learned: int

    def run(self, name: str, *options: str, runs: int) -> float:
        """Return the seconds that a search takes."""
        file = self.home / f"{name}.toml"
        shared = _student.ROOT.parent / "shared" / "data"
        file.write_text(STUDY.format(name=name, shared=shared, learned=self.learned))
        command = ["search", str(file), "--runs", f"{runs}", "--home", str(self.home), *options]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "limbeck.cli", *command], check=True, cwd=self.home)
        return time.perf_counter() - start

    def run_seconds(self, name: str) -> list[float]:
        """Return what each run of a search took."""
        with Store(Home(self.home).store_url) as store:
            return [run.seconds for run in store.runs(name) if run.seconds is not None]


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a cluster of this machine alone; it ends with the context."""
    ray = str(Path(sys.executable).with_name("ray"))
    start = [
        "start",
        "--head",
        "--num-cpus",
        f"{WORKERS}",
        "--port",
        f"{PORT}",
        "--disable-usage-stats",
    ]
    subprocess.run([ray, *start], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{PORT}"
    finally:
        subprocess.run([ray, "stop", "--force"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
