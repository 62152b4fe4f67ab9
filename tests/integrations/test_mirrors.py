"""Every tracker, read back by its own means: TensorBoard, MLflow on SQLite, W&B offline."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import wandb
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made late

from limbeck.config import StudyConfig
from limbeck.errors import ConfigError, LimbeckWarning
from limbeck.integrations.mirrors import open_mirrors
from limbeck.mirror import Mirrors, mirror_id
from limbeck.runs import CurvePoint, Run, RunState
from limbeck.space import Value
from tests.artifact_runs import make_config

pytestmark = [
    # MLflow 3.17 with SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    # Its SQLite connections are closed when its store is collected.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
]
RUN = Run(
    number=7,
    parameters={"num_layers": 3, "learning_rate": 1e-4, "layers": "first", "flag": True},
    state=RunState.RUNNING,
    created=datetime(2026, 1, 1, tzinfo=UTC),
)
ENDED = replace(
    RUN, state=RunState.FINISHED, total_steps=40, values={"exact": 71.5, "num_parameters": 3e7}
)


@dataclass
class Shown:
    """What a tracker shows of a run."""

    parameters: Mapping[str, str]
    curves: Mapping[str, list[tuple[int, float]]]
    values: Mapping[str, float]
    state: str = ""


@dataclass
class Tracker:
    """A tracker under test: what the study file names, and how to read it."""

    config: StudyConfig
    read: Callable[[Run], Shown]
    count: Callable[[], int]


def tensorboard(folder: Path) -> Tracker:
    def read(run: Run) -> Shown:
        events = EventAccumulator(
            str(folder / "logs" / "tiny" / f"{run.number:04d}"), {"tensors": 0, "scalars": 0}
        )
        events.Reload()
        scalars = {
            tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }
        text = {
            tag: events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
            for tag in events.Tags()["tensors"]
        }
        rows = text["parameters/text_summary"].splitlines()[2:]
        hparams = events.summary_metadata.get("_hparams_/session_start_info")
        if hparams is not None:
            content = HParamsPluginData.FromString(hparams.plugin_data.content)
            assert content.session_start_info.hparams.keys() == run.parameters.keys()
        return Shown(
            parameters=dict(
                tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows
            ),
            curves={t[6:]: points for t, points in scalars.items() if t.startswith("curve/")},
            values={t: p[-1][1] for t, p in scalars.items() if not t.startswith("curve/")},
            state=text.get("state/text_summary", ""),
        )

    return Tracker(
        make_config(folder, mirrors=["tensorboard:logs"]),
        read,
        lambda: len([*(folder / "logs" / "tiny").iterdir()]),
    )


@pytest.fixture(scope="module")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


def mlflow(folder: Path, tables: Path) -> Tracker:
    (folder / "flow").mkdir()
    shutil.copy(tables, folder / "flow" / "mlflow.db")
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/flow/mlflow.db")

    def runs() -> Sequence[object]:
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        found: Sequence[object] = client.search_runs([experiment.experiment_id])
        return found

    def read(run: Run) -> Shown:
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        [shown] = client.search_runs(
            [experiment.experiment_id], f"tags.`limbeck.run` = '{run.number}'"
        )
        assert shown.data.tags["limbeck.id"] == mirror_id("tiny", run)
        curves = {
            name[6:]: [
                (p.step, p.value) for p in client.get_metric_history(shown.info.run_id, name)
            ]
            for name in shown.data.metrics
            if name.startswith("curve/")
        }
        state = " ".join(
            [
                shown.info.status,
                *(shown.data.tags.get(f"limbeck.{t}", "") for t in ("state", "reason", "message")),
            ]
        )
        values = {n: v for n, v in shown.data.metrics.items() if not n.startswith("curve/")}
        return Shown(shown.data.params, curves, values, state)

    return Tracker(make_config(folder, mirrors=["mlflow:flow"]), read, lambda: len(runs()))


def records(path: Path) -> Iterator[Record]:
    """Yield what a file of W&B has: LevelDB's log format after a header of 7 bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        rest = 32768 - at % 32768
        if rest < 7:
            at += rest
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


def weights_and_biases(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(folder))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr("sys.argv", ["limbeck", "--store", "postgresql://me:secret-word@host/db"])
    wandb.setup()

    def paths() -> list[Path]:
        return sorted(folder.glob("wandb/offline-run-*/*.wandb"))

    def read(run: Run) -> Shown:
        wandb.teardown()  # Its service writes what it still has.
        shown = Shown({}, {}, {})
        facts: dict[str, object] = {}
        for path in folder.glob(f"wandb/offline-run-*/run-{mirror_id('tiny', run)}.wandb"):
            assert b"secret-word" not in path.read_bytes()
            for record in records(path):
                for update in record.run.config.update:
                    value = json.loads(update.value_json)
                    shown.parameters = {**shown.parameters, update.key: str(value)}
                for item in record.history.item:
                    [name] = item.nested_key
                    if name.startswith("curve/"):
                        point = (record.history.step.num, float(item.value_json))
                        known = shown.curves.get(name[6:], [])
                        shown.curves = {**shown.curves, name[6:]: [*known, point]}
                for update in record.summary.update:
                    if update.key:
                        facts[update.key] = json.loads(update.value_json)
        shown.parameters = {n: v for n, v in shown.parameters.items() if n in run.parameters}
        shown.values = {n: float(str(facts[n])) for n in run.values if n in facts}
        shown.state = " ".join(str(facts.get(n, "")) for n in ("state", "reason", "message"))
        return shown

    return Tracker(make_config(folder, mirrors=["wandb:project"]), read, lambda: len(paths()))


@pytest.fixture(params=["tensorboard", "mlflow", "wandb"])
def tracker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tracker]:
    match request.param:
        case "tensorboard":
            yield tensorboard(tmp_path)
        case "mlflow":
            yield mlflow(tmp_path, request.getfixturevalue("mlflow_tables"))
        case _:
            yield weights_and_biases(tmp_path, monkeypatch)
            wandb.teardown()


def points(*steps: int, metric: str = "loss") -> list[CurvePoint]:
    return [
        CurvePoint(step=step, metric=metric, value=1 / step, seconds=float(step)) for step in steps
    ]


def tell_all(mirrors: Mirrors) -> None:
    mirrors.begun(RUN)
    mirrors.points(RUN, points(10))
    mirrors.ended(ENDED)
    mirrors.close()


def texts(parameters: Mapping[str, Value]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items()}


def near(pairs: Sequence[tuple[int, float]]) -> list[tuple[int, object]]:
    """TensorBoard keeps values as float32."""
    return [(step, pytest.approx(value, rel=1e-6)) for step, value in pairs]


def test_parameters_curves_values_and_state_are_shown(tracker: Tracker) -> None:
    mirrors = open_mirrors(tracker.config)
    other = replace(RUN, number=8, parameters={"num_layers": 1})
    mirrors.begun(RUN)
    mirrors.begun(other)
    mirrors.points(RUN, points(10, 20))
    mirrors.points(other, points(15))
    mirrors.points(RUN, points(20, metric="exact"))
    mirrors.points(RUN, points(30, 40))
    mirrors.ended(ENDED)
    mirrors.ended(
        replace(other, state=RunState.INFEASIBLE, reason="diverged", message="loss is nan")
    )
    mirrors.close()

    shown = tracker.read(ENDED)
    assert shown.parameters == texts(RUN.parameters)
    assert shown.curves == {
        "loss": near([(10, 0.1), (20, 0.05), (30, 1 / 30), (40, 0.025)]),
        "exact": near([(20, 0.05)]),
    }
    assert shown.values == pytest.approx(ENDED.values)
    assert "finished" in shown.state
    failed = tracker.read(other)
    assert (failed.parameters, failed.values) == ({"num_layers": "1"}, {})
    assert failed.curves == {"loss": near([(15, 1 / 15)])}
    assert "infeasible" in failed.state
    assert "diverged loss is nan" in failed.state
    assert tracker.count() == 2


def test_a_run_goes_on_where_it_was_in_the_same_search(tracker: Tracker) -> None:
    """It failed after step 30 and was tried again from its checkpoint at step 10."""
    mirrors = open_mirrors(tracker.config)
    mirrors.begun(RUN)
    mirrors.points(RUN, points(10, 20, 30))
    mirrors.begun(RUN)
    mirrors.points(RUN, points(20))
    mirrors.points(RUN, points(30, 40))
    mirrors.ended(ENDED)
    mirrors.close()
    expected = near([(10, 0.1), (20, 0.05), (30, 1 / 30), (40, 0.025)])
    assert tracker.read(ENDED).curves == {"loss": expected}
    assert tracker.count() == 1


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow"], indirect=True)
def test_a_run_goes_on_where_it_was_in_the_next_search(tracker: Tracker) -> None:
    """W&B joins the parts on its server, by the id: a test for which it is online."""
    for steps in [(10, 20, 30), (20, 30, 40)]:
        mirrors = open_mirrors(tracker.config)
        mirrors.begun(RUN)
        mirrors.points(RUN, points(*steps))
        mirrors.close()
    expected = near([(10, 0.1), (20, 0.05), (30, 1 / 30), (40, 0.025)])
    assert tracker.read(RUN).curves == {"loss": expected}
    assert tracker.count() == 1


def test_a_run_of_another_store_does_not_continue_this_one(
    tmp_path: Path, mlflow_tables: Path
) -> None:
    tracker = mlflow(tmp_path, mlflow_tables)
    mirrors = open_mirrors(tracker.config)
    mirrors.begun(RUN)
    mirrors.close()
    mirrors = open_mirrors(tracker.config)
    mirrors.begun(replace(RUN, created=datetime(2026, 1, 2, tzinfo=UTC)))
    mirrors.close()
    assert tracker.count() == 2


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RunState.RUNNING, "SCHEDULED"),
        (RunState.FINISHED, "FINISHED"),
        (RunState.STOPPED, "KILLED"),
        (RunState.INFEASIBLE, "FAILED"),
        (RunState.FAILED, "FAILED"),
    ],
)
def test_mlflow_has_a_word_for_every_state(
    tmp_path: Path, mlflow_tables: Path, state: RunState, status: str
) -> None:
    tracker = mlflow(tmp_path, mlflow_tables)
    mirrors = open_mirrors(tracker.config)
    mirrors.begun(RUN)
    if state.ended:
        mirrors.ended(replace(RUN, state=state))
    mirrors.close()
    assert tracker.read(RUN).state.split()[0] == status


def test_more_points_than_mlflow_takes_at_once(tmp_path: Path, mlflow_tables: Path) -> None:
    tracker = mlflow(tmp_path, mlflow_tables)
    mirrors = open_mirrors(tracker.config)
    mirrors.begun(RUN)
    mirrors.points(RUN, points(*range(1, 1502)))
    mirrors.close()
    assert [step for step, _ in tracker.read(RUN).curves["loss"]] == [*range(1, 1502)]


def test_a_server_that_is_away_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mirrors = open_mirrors(make_config(tmp_path, mirrors=["mlflow:http://me:word@127.0.0.1:9"]))
    with pytest.warns(LimbeckWarning, match=r"^the mirror mlflow:http://me:\*\*\*@127.0.0.1:9 is "):
        tell_all(mirrors)


def test_a_folder_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be here")
    mirrors = open_mirrors(make_config(tmp_path, mirrors=["tensorboard:file"]))
    with pytest.warns(LimbeckWarning, match=r"^the mirror tensorboard:file is off for the rest"):
        tell_all(mirrors)


def test_wandb_without_a_login_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    wandb.teardown()
    with pytest.raises(ConfigError, match=r"^mirrors: 'wandb:us/project' needs a login; run wand"):
        open_mirrors(make_config(tmp_path, mirrors=["wandb:us/project"]))
    wandb.teardown()


@pytest.mark.parametrize("kind", ["mlflow", "tensorboard", "wandb"])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    for module in (f"limbeck.integrations.mirrors.{kind}", "torch.utils.tensorboard"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigError, match=rf"^mirrors: '{kind}' .* pip install 'limbeck\[{kind}\]"):
        open_mirrors(make_config(tmp_path, mirrors=[f"{kind}:somewhere"]))


@pytest.mark.parametrize("text", ["mlflow", "tensorboard:", "comet:project", ""])
def test_a_mirror_that_there_is_not_is_refused_by_the_study_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^study.toml: mirrors\[0\]: must be 'mlflow:URI', 'ten"):
        make_config(tmp_path, mirrors=[text])
