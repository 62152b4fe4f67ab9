"""Studies from and to Optuna, with all that a search leaves: every state, odd values."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from limbeck.config import parse_config
from limbeck.errors import ConfigError, NotFoundError, StoreError
from limbeck.frontier import frontier
from limbeck.integrations.optuna import (
    add_trials,
    export_study,
    import_study,
    load_optuna_study,
    open_storage,
)
from limbeck.metrics import Goal, Metric, Role
from limbeck.runs import Outcome, RunState
from limbeck.space import Float, Integer, Parameters
from limbeck.store import Store
from limbeck.study import enter, stored_config
from tests.tiny import merged, tiny_study

ME = "host:1:100"
GOALS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
SPACE = {
    "num_layers": IntDistribution(1, 3),
    "learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
}


class Clock:
    """Every look at it takes a minute."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the study ``tiny``: exact of at least 30, num_parameters, train_seconds."""
    content = merged(tiny_study(), {"metrics": {"latency_ms": {"role": "store"}}})
    config = parse_config(content, folder=tmp_path, name="study")
    with Store(f"sqlite:///{tmp_path}/store.db", clock=Clock()) as opened:
        enter(opened, config, runs=12)
        yield opened


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    return open_storage(f"sqlite:///{tmp_path}/optuna.db")


def start(store: Store, num_layers: float, rate: float = 0.01) -> int:
    parameters: Parameters = {"num_layers": num_layers, "learning_rate": rate}
    values = {"num_parameters": 1000.0 * num_layers}
    run = store.add_run("tiny", parameters, values=values, owner=ME)
    assert run is not None
    return run.number


def end(
    store: Store, number: int, values: Mapping[str, float], state: RunState = RunState.FINISHED
) -> None:
    errors = {"exact": 1.5} if "exact" in values else {}
    reason = "" if state is RunState.FINISHED else "diverged"
    outcome = Outcome(state=state, values=values, errors=errors, reason=reason, seconds=2.5)
    store.end_run("tiny", number, outcome, owner=ME)


@pytest.fixture
def searched(store: Store) -> Store:
    """The study after runs of every kind; 0, 2 and 3 are its frontier."""
    end(store, start(store, 3), {"exact": 70.0, "latency_ms": 3.0})
    end(store, start(store, 3, 0.02), {"exact": 60.0, "latency_ms": math.nan})
    end(store, start(store, 2), {"exact": 50.0})
    end(store, start(store, 1), {"exact": 30.0})
    end(store, start(store, 1, 0.05), {"exact": 20.0})
    end(store, start(store, 2, 0.06), {"exact": 10.0}, RunState.STOPPED)
    end(store, start(store, 2, 0.1), {}, RunState.INFEASIBLE)
    end(store, start(store, 2, 0.09), {}, RunState.FAILED)
    end(store, start(store, 2, 0.08), {"exact": math.inf})
    start(store, 2, 0.07)
    store.add_run("tiny", {"num_layers": 9, "learning_rate": 0.0}, values={}, owner=None)
    return store


def test_the_best_trials_of_an_exported_study_are_the_frontier(
    searched: Store, storage: BaseStorage
) -> None:
    study = export_study(searched, "tiny", storage).study
    front = frontier(searched.runs("tiny"), stored_config(searched, "tiny").metrics)
    assert {trial.number for trial in study.best_trials} == {run.number for run in front}
    assert study.metric_names == ["exact", "num_parameters"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_states_and_times_of_exported_runs(searched: Store, storage: BaseStorage) -> None:
    trials = export_study(searched, "tiny", storage).study.trials
    complete, pruned, fail = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
    running = TrialState.RUNNING
    assert [trial.state for trial in trials] == [
        *[complete] * 5, pruned, fail, fail, fail, running, running
    ]  # fmt: skip
    for trial, run in zip(trials, searched.runs("tiny"), strict=True):
        began, ended = trial.datetime_start, trial.datetime_complete
        assert began is not None
        assert began.astimezone(UTC) == (run.started or run.created)
        assert (ended and ended.astimezone(UTC)) == run.ended


def test_attributes_of_exported_runs(searched: Store, storage: BaseStorage) -> None:
    study = export_study(searched, "tiny", storage).study
    first, second, stopped, waiting = (study.trials[number] for number in (0, 1, 5, 10))
    assert first.user_attrs == {
        "exact": 70.0,
        "num_parameters": 3000.0,
        "latency_ms": 3.0,
        "limbeck_run": 0,
        "limbeck_state": "finished",
        "limbeck_seconds": 2.5,
        "limbeck_errors": {"exact": 1.5},
    }
    assert first.values == [70.0, 3000.0]
    assert (first.params, first.distributions) == (
        {"num_layers": 3, "learning_rate": 0.01},
        SPACE,
    )
    assert second.user_attrs["latency_ms"] == "nan"
    assert stopped.user_attrs["exact"] == 10.0
    assert stopped.user_attrs["limbeck_reason"] == "diverged"
    # Deeper than the range, and without a logarithm.
    assert waiting.distributions == {"num_layers": IntDistribution(1, 9)}
    assert waiting.user_attrs["limbeck_parameters"] == {"learning_rate": 0.0}


def test_an_export_is_brought_up_to_date(searched: Store, storage: BaseStorage) -> None:
    first = export_study(searched, "tiny", storage)
    assert (first.added, first.ended) == (11, 0)
    before = first.study.trials
    again = export_study(searched, "tiny", storage)
    assert (again.added, again.ended) == (0, 0)
    assert again.study.trials == before
    end(searched, 9, {"exact": 55.0})
    end(searched, start(searched, 1, 0.03), {"exact": 40.0})
    third = export_study(searched, "tiny", storage)
    assert (third.added, third.ended) == (1, 1)
    trials = third.study.trials
    assert trials[:9] == before[:9]
    assert [trial.number for trial in trials] == list(range(12))
    assert (trials[9].state, trials[9].values) == (TrialState.COMPLETE, [55.0, 2000.0])
    assert trials[9].user_attrs["limbeck_state"] == "finished"
    front = frontier(searched.runs("tiny"), stored_config(searched, "tiny").metrics)
    assert {trial.number for trial in third.study.best_trials} == {run.number for run in front}


def test_trials_of_others_in_an_exported_study_stay(searched: Store, storage: BaseStorage) -> None:
    study = export_study(searched, "tiny", storage).study
    study.tell(study.ask(dict(SPACE)), (1.0, 2.0))
    number = start(searched, 1, 0.03)
    assert export_study(searched, "tiny", storage).added == 1
    assert study.trials[11].values == [1.0, 2.0]
    assert study.trials[12].user_attrs["limbeck_run"] == number


def test_an_exported_study_comes_back_as_it_was(searched: Store, storage: BaseStorage) -> None:
    imported = import_study(export_study(searched, "tiny", storage).study)
    assert imported.space.parameters == (
        Float(name="learning_rate", low=1e-3, high=1e-1, log=True),
        Integer(name="num_layers", low=1, high=3),
    )
    assert imported.metrics == (
        Metric(name="exact", goal=Goal.MAXIMIZE),
        Metric(name="num_parameters", goal=Goal.MINIMIZE),
        Metric(name="constraints:0", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, threshold=0.0),
    )
    # The waiting run is not of the space.
    for run, back in zip(searched.runs("tiny")[:10], imported.runs, strict=True):
        assert (back.number, back.parameters, back.state) == (run.number, run.parameters, run.state)
        finite = {name: value for name, value in run.values.items() if math.isfinite(value)}
        assert {name: back.values[name] for name in finite} == finite
        assert (back.reason, back.seconds, back.ended) == (run.reason, run.seconds, run.ended)


def test_a_study_of_other_objectives_is_not_written_into(
    searched: Store, storage: BaseStorage
) -> None:
    optuna.create_study(storage=storage, study_name="tiny", directions=["minimize", "minimize"])
    with pytest.raises(ConfigError, match="must maximize exact and minimize num_parameters, but"):
        export_study(searched, "tiny", storage)
    assert export_study(searched, "tiny", storage, study_name="other").added == 11


def test_only_exports_of_the_same_study_are_written_into(
    searched: Store, storage: BaseStorage, tmp_path: Path
) -> None:
    mine = optuna.create_study(storage=storage, study_name="tiny", directions=GOALS)
    mine.tell(mine.ask(dict(SPACE)), (1.0, 2.0))
    with pytest.raises(ConfigError, match=r"'tiny', but is not made by an export; choose another"):
        export_study(searched, "tiny", storage)
    assert (len(mine.trials), mine.metric_names, mine.user_attrs) == (1, None, {})
    optuna.create_study(storage=storage, study_name="empty", directions=GOALS)
    study = export_study(searched, "tiny", storage, study_name="empty").study
    with Store(f"sqlite:///{tmp_path}/other.db") as other:
        enter(other, stored_config(searched, "tiny"), runs=12)
        end(other, start(other, 3), {"exact": 1.0})
        with pytest.raises(ConfigError, match="but is an export of another study; choose another"):
            export_study(other, "tiny", storage, study_name="empty")
    assert len(study.trials) == 11


def test_a_store_is_no_storage_of_optunas(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a database of its own, but sqlite:.*store\.db is a"):
        open_storage(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(StoreError, match=r"must be a database that can be opened, but: .*nothing"):
        open_storage("nothing://x")
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_storage(f"sqlite:///{tmp_path}/text.db")


def test_studies_are_found_by_name_or_if_alone(storage: BaseStorage) -> None:
    with pytest.raises(NotFoundError, match="holds no study"):
        load_optuna_study(storage, None)
    optuna.create_study(storage=storage, study_name="one")
    assert load_optuna_study(storage, None).study_name == "one"
    optuna.create_study(storage=storage, study_name="two")
    assert load_optuna_study(storage, "two").study_name == "two"
    with pytest.raises(NotFoundError, match="2 studies needs the name of one: one, two"):
        load_optuna_study(storage, None)
    with pytest.raises(NotFoundError, match="no study 'ones' in Optuna's storage; did you mean"):
        load_optuna_study(storage, "ones")


def test_a_study_without_common_parameters_is_not_imported() -> None:
    with pytest.raises(ConfigError, match="none in common"):
        import_study(optuna.create_study())


def optuna_study() -> optuna.Study:
    """A study of what run 0 of `searched` and others may have been; values by position only."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    for layers, rate in ((3, 0.01), (2, 0.03), (2, 0.03), (1, 0.04)):
        study.enqueue_trial({"num_layers": layers, "learning_rate": rate})
        study.tell(study.ask(dict(SPACE)), (40.0 + layers, 1000.0 * layers))
    study.tell(study.ask(dict(SPACE)), state=TrialState.FAIL)
    other = {**SPACE, "optimizer": CategoricalDistribution(["adam", None])}
    study.tell(study.ask(other), (1.0, 1.0))
    study.tell(study.ask({"num_layers": IntDistribution(1, 3)}), (1.0, 1.0))
    return study


def test_fitting_trials_are_added_once(searched: Store) -> None:
    before = searched.runs("tiny")
    names = ["exact", "num_parameters"]
    runs, skipped = add_trials(searched, "tiny", optuna_study(), owner=ME, metrics=names)
    assert [(run.number, run.parameters, run.values) for run in runs] == [
        (
            11,
            {"num_layers": 2, "learning_rate": 0.03},
            {"exact": 42.0, "num_parameters": 2000.0},
        ),
        (
            12,
            {"num_layers": 1, "learning_rate": 0.04},
            {"exact": 41.0, "num_parameters": 1000.0},
        ),
    ]
    assert searched.runs("tiny") == (*before, *runs)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert searched.study("tiny").budget == 13
    assert [(each.number, each.reason.partition(";")[0]) for each in skipped[:3]] == [
        (0, "run 0 has its parameters"),
        (2, "trial 1 has its parameters"),
        (4, "it is fail, not complete"),
    ]
    assert "optimizer" in skipped[3].reason
    assert "missing" in skipped[4].reason
    again, all_skipped = add_trials(searched, "tiny", optuna_study(), owner=ME, metrics=names)
    assert (len(again), len(all_skipped)) == (0, 7)
    assert searched.runs("tiny") == (*before, *runs)


def test_an_import_that_is_cut_off_leaves_no_run_running(searched: Store, tmp_path: Path) -> None:
    before = searched.runs("tiny")
    times = [START]
    names = ["exact", "num_parameters"]
    # Cut off between the run's beginning and its end.
    with (
        Store(f"sqlite:///{tmp_path}/store.db", clock=times.pop) as cut_off,
        pytest.raises(IndexError, match="pop from empty list"),
    ):
        add_trials(cut_off, "tiny", optuna_study(), owner=ME, metrics=names)
    assert times == []
    assert searched.runs("tiny") == before


def test_a_metric_may_be_a_user_attribute_but_not_missing(searched: Store) -> None:
    study = optuna.create_study(direction="maximize")
    for rate, attributes in ((0.03, {"num_parameters": 7}), (0.04, {})):
        trial = study.ask(
            {"num_layers": IntDistribution(1, 1), "learning_rate": SPACE["learning_rate"]}
        )
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        study.tell(trial, rate)
    runs, skipped = add_trials(searched, "tiny", study, owner=ME, metrics=["exact"])
    assert [run.values for run in runs] == [{"exact": 0.03, "num_parameters": 7.0}]
    assert [each.number for each in skipped] == [1]
    assert "no num_parameters, neither as objective nor as user attribute" in skipped[0].reason


def test_trials_that_break_a_constraint_or_are_not_finite_are_left_out(tmp_path: Path) -> None:
    content = merged(
        tiny_study(), {"constraints": ["num_layers < 3"], "student": {"num_layers": 2}}
    )
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        enter(store, parse_config(content, folder=tmp_path, name="study"), runs=12)
        end(store, start(store, 2), {"exact": 70.0})
        study = optuna.create_study(directions=GOALS)
        for layers, exact in ((3, 40.0), (2, math.inf), (1, 40.0)):
            study.enqueue_trial({"num_layers": layers, "learning_rate": 0.03})
            study.tell(study.ask(dict(SPACE)), (exact, 1000.0))
        names = ["exact", "num_parameters"]
        runs, skipped = add_trials(store, "tiny", study, owner=ME, metrics=names)
    assert [run.parameters["num_layers"] for run in runs] == [1]
    assert [each.reason for each in skipped] == [
        "its parameters break the constraint 'num_layers < 3'",
        "exact must be finite, but it has inf",
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "must have names of metrics, but one is 'values_0'"),
        (["exact"], r"but got the metrics \['exact'\] for them; give one for each"),
        (["exakt", "num_parameters"], "one is 'exakt'; did you mean 'exact'"),
        (
            ["num_parameters", "exact"],
            "one is to minimize num_parameters, and Optuna's to maximize",
        ),
    ],
)
def test_objectives_must_be_metrics_of_the_study(
    searched: Store, names: list[str] | None, message: str
) -> None:
    before = searched.runs("tiny")
    with pytest.raises(ConfigError, match=message):
        add_trials(searched, "tiny", optuna_study(), owner=ME, metrics=names)
    assert searched.runs("tiny") == before


def test_run_0_is_never_an_imported_one(store: Store) -> None:
    names = ["exact", "num_parameters"]
    with pytest.raises(ConfigError, match="needs its baseline first, but has no run"):
        add_trials(store, "tiny", optuna_study(), owner=ME, metrics=names)
    assert store.runs("tiny") == ()


def test_imported_runs_are_dated_now_but_keep_their_seconds(
    searched: Store, storage: BaseStorage
) -> None:
    study = export_study(searched, "tiny", storage).study
    trial = study.ask(dict(SPACE))
    trial.set_user_attr("limbeck_seconds", 77.0)
    study.tell(trial, (45.0, 2000.0))
    runs, _ = add_trials(searched, "tiny", study, owner=ME)
    assert [(run.seconds, run.number) for run in runs] == [(77.0, 11)]
