"""Finalists trained again, with other seeds, and scored on questions that selected nothing."""

from collections.abc import Callable, Mapping, Sequence

from limbeck.config import StudyConfig, parse_config
from limbeck.errors import ConfigError
from limbeck.execute.local import search
from limbeck.home import Home
from limbeck.optimize.sampler import KnownMetrics
from limbeck.runs import Run, RunState
from limbeck.store import Store
from limbeck.study import (
    Study,
    confirmation_name,
    enter,
    missing,
    queue_all,
    this_process,
)


def confirmation_config(
    config: StudyConfig, *, name: str | None, test: str | None, questions: int | None
) -> StudyConfig:
    """Return the study file of the study that confirms another.

    Args:
        config: That other study's.
        name: Of the study that confirms it; by default NAME.confirm.
        test: Questions that selected nothing; by default the study file's.
        questions: How many of them; by default as the study file says.

    Raises:
        ConfigError: If no such questions are named, the study is one that confirms another, or
            the name is not one.
    """
    data = config.file.data
    if data.score_on == "test":
        raise ConfigError(
            f"{config.file.name} confirms another study already; name that one, to confirm it again"
        )
    test = test or data.test
    if test is None:
        raise ConfigError(
            "finalists must be scored on questions that selected nothing, but the study file names "
            "none; set data.test, or give --data"
        )
    table = config.file.model_dump(mode="json")
    table["name"] = name or confirmation_name(config.file.name)
    table["data"] |= {
        "test": test,
        "test_questions": questions or data.test_questions,
        "score_on": "test",
    }
    return parse_config(table, folder=config.folder, name=table["name"])


def confirm(
    store: Store,
    config: StudyConfig,
    home: Home,
    *,
    finalists: Sequence[Run],
    seeds: int,
    known: KnownMetrics,
    workers: int,
    watch: Callable[[Mapping[int, tuple[int, int]]], object],
) -> tuple[Run, ...]:
    """Train every finalist with ``seeds`` new seeds; return all runs of the confirming study.

    What was done before is not done again, unless it failed: the same call goes on with it, with
    more finalists or seeds too.

    Args:
        store: Where the confirming study goes.
        config: See `confirmation_config`.
        home: Where runs are kept.
        finalists: Runs of the study that is confirmed.
        seeds: Runs of each of them; their seeds follow the recipe's.
        known: Values that follow from the parameters.
        workers: See `search`.
        watch: See `search`.

    Raises:
        ConfigError: If the confirming study was begun on other questions.
        LimbeckError: See `search`.
    """
    first_seed = config.file.recipe.seed + 1
    wanted = [
        {**run.parameters, "seed": seed}
        for seed in range(first_seed, first_seed + seeds)
        for run in finalists
    ]
    name = config.file.name
    there = store.runs(name) if store.has_study(name) else ()
    new = missing(wanted, [run for run in there if run.state is not RunState.FAILED])
    enter(store, config, runs=len(there) + len(new))
    study = Study(
        store=store,
        name=name,
        space=config.space,
        sampler=None,
        known=known,
        owner=this_process(),
        retries=config.file.budget.retries,
    )
    queue_all(study, new)
    search(study, config, home, workers=workers, watch=watch)
    return study.runs
