import pickle
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from limbeck.config import (
    MEASURED,
    PRESETS,
    SEARCHABLE,
    Recipe,
    StudentSettings,
    StudyConfig,
    TeacherRecipe,
    load_config,
    needs_questions,
    parse_config,
    preset_summary,
    preset_text,
    split_layer,
    with_raised_thresholds,
    with_teacher,
    with_thresholds,
)
from limbeck.config.tables import IntegerSettings
from limbeck.errors import ConfigError
from limbeck.metrics import Goal, Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.quasirandom import QuasirandomSampler
from limbeck.runs import Run, RunState
from limbeck.space import Choice, Float, Integer, Value, When
from tests.tiny import merged

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCS = Path(__file__).parents[1] / "docs"

GOOD = """
name = "first-try_2.0"
task = "question-answering"
[teacher]
model = "teacher"
[data]
train = "train.json"
dev = "dev.json"
[space.num_layers]
type = "integer"
low = 1
high = 6
"""

# What is put over the good file, and how the one line that is the answer starts. The keys are
# those of the file, the valid name is the nearest.
MALFORMED = {
    # Keys that do not exist.
    "sead = 1": "sead: no such key; did you mean 'seed'?",
    "[recipee]\nseed = 1": "recipee: no such key; did you mean 'recipe'?",
    "[recipe]\nlearnin_rate = 1e-4": "recipe.learnin_rate: no such key; did you mean 'learning_",
    "[recipe]\nxyz = 1": "recipe.xyz: no such key; valid names are adam_epsilon, alpha_ce, ",
    "[student]\nlayer = 3": "student.layer: no such key; did you mean 'layers'?",
    "[teacher]\nmodell = 3": "teacher.modell: no such key; did you mean 'model'?",
    "[teacher.recipe]\nepoch = 3": "teacher.recipe.epoch: no such key; did you mean 'epochs'?",
    "[data]\nstride = 3": "data.stride: no such key; did you mean 'doc_stride'?",
    "[training]\nlog_evry = 3": "training.log_evry: no such key; did you mean 'log_every'?",
    "[latency]\nruntme = 'onnx'": "latency.runtme: no such key; did you mean 'runtime'?",
    "[stopping]\nchanse = 0.1": "stopping.chanse: no such key; did you mean 'chance'?",
    "[optimizer]\nsample = 'x'": "optimizer.sample: no such key; did you mean 'sampler'?",
    "[budget]\nrun = 3": "budget.run: no such key; did you mean 'runs'?",
    "[metrics.exact]\ntreshold = 50": "metrics.exact.treshold: no such key; did you mean 'thresh",
    "[space.num_layers]\nlogs = true": "space.num_layers.logs: no such key; did you mean 'log'?",
    "[space.dropout]\ntype = 'float'\nlow = 0\nhihg = 1": "space.dropout.hihg: no such key; did",
    # Names that do not exist.
    "[metrics.exat]": "metrics.exat: no such metric; did you mean 'exact'?",
    "[metrics.speed]": "metrics.speed: no such metric; valid names are HasAns_exact, HasAns_f1, ",
    "[space.num_layer]\ntype = 'integer'\nlow = 1\nhigh = 2": (
        "space.num_layer: no such parameter; did you mean 'num_layers'?"
    ),
    "[space.seed]\ntype = 'integer'\nlow = 1\nhigh = 2": "space.seed: no such parameter; did you ",
    # Values of another type.
    "name = 3": "name: must be text, but got 3",
    "seed = 1.0": "seed: must be a whole number, but got 1.0",
    "seed = true": "seed: must be a whole number, but got True",
    "recipe = 3": "recipe: must be a table, but got 3",
    "metrics = ['exact']": "metrics: must be a table, but got ['exact']",
    "[metrics]\nexact = 50": "metrics.exact: must be a table, but got 50",
    "[space]\nnum_layers = 3": "space.num_layers: must be a table, but got 3",
    "[recipe]\nlearning_rate = '1e-4'": "recipe.learning_rate: must be a number, but got '1e-4'",
    "[recipe]\nepochs = inf": "recipe.epochs: must be a finite number, but got inf",
    "[recipe]\nbatch_size = 2024-01-01": "recipe.batch_size: must be a whole number, but got date",
    "[space.num_layers]\nlow = 1.0": "space.num_layers.low: must be a whole number, but got 1.0",
    "[space.num_layers]\nlog = 1": "space.num_layers.log: must be true or false, but got 1",
    "[space.layers]\ntype = 'choice'\nchoices = 'first'": (
        "space.layers.choices: must be an array, but got 'first'"
    ),
    "[space.layers]\ntype = 'choice'\nchoices = ['first', ['last']]": (
        "space.layers.choices[1]: must be text, a finite number, true or false, but got ['last']"
    ),
    # Values outside their range.
    "name = 'a b'": "name: must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter ",
    "name = ''": "name: must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or",
    "task = 'qa'": "task: must be 'question-answering', but got 'qa'",
    "[teacher]\nmodel = ''": "teacher.model: must not be empty, but got ''",
    "[recipe]\nlearning_rate = 0": "recipe.learning_rate: must be greater than 0, but got 0",
    "[recipe]\nbeta_2 = 1.0": "recipe.beta_2: must be less than 1, but got 1.0",
    "[recipe]\ndropout = 1.5": "recipe.dropout: must be less than or equal to 1, but got 1.5",
    "[data]\ndev = ''": "data.dev: must not be empty, but got ''",
    "[data]\nheld_out = 1.0": "data.held_out: must be less than 1, but got 1.0",
    "[data]\nmax_length = 8": "data.max_length: must be greater than or equal to 16, but got 8",
    "[budget]\nworkers = 0": "budget.workers: must be greater than or equal to 1, but got 0",
    "[teacher.recipe]\nalpha_ce = 0.5": "teacher.recipe.alpha_ce: must be 0, but got 0.5",
    "[student]\nlayers = 'frist'": (
        "student.layers: must be 'first', 'last', 'spread' or a list like '0,2,5', but got 'frist"
    ),
    "[training]\ndevice = 'tpu'": "training.device: must be 'auto', 'cpu', 'cuda' or 'mps', but go",
    "[metrics.exact]\ngoal = 'up'": "metrics.exact.goal: must be 'maximize' or 'minimize', but got",
    "[optimizer]\nnoise = 'none'": "optimizer.noise: must be 'learned' or 'given', but got 'none'",
    "[optimizer]\nper_cost = 1": "optimizer.per_cost: must be true or false, but got 1",
    "[optimizer]\nearlier = ''": "optimizer.earlier: must not be empty, but got ''",
    "[space.num_layers]\ntype = 'int'": (
        "space.num_layers.type: must be 'float', 'integer' or 'choice', but got 'int'; did you mean"
    ),
    "[space.dropout]\nlow = 0": 'space.dropout.type: this key is missing; add "float", "integer" o',
    # Rules between keys.
    "[space.num_layers]\nhigh = 0": "space.num_layers: low <= high must hold, but got (low=1, high",
    "[space.num_layers]\nstep = 2": "space.num_layers: high must be low plus a multiple of step",
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 0.5\nlog = true": (
        "space.dropout: log = true needs low > 0, but got low=0.0"
    ),
    "[space.layers]\ntype = 'choice'\nchoices = []": "space.layers: choices must not be empty",
    "[space.layers]\ntype = 'choice'\nchoices = ['last', 'last']": "space.layers: choices must dif",
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1.5": (
        "space.dropout: must be less than or equal to 1, but got 1.5"
    ),
    "[space.batch_size]\ntype = 'float'\nlow = 16\nhigh = 64": (
        "space.batch_size: must be a whole number, but got 16.0"
    ),
    "[space.layers]\ntype = 'choice'\nchoices = ['first', 'lst']": (
        "space.layers: must be 'first', 'last', 'spread' or a list like '0,2,5', but got 'lst'; did"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0.2\nhigh = 0.5": (
        "recipe.dropout is the baseline's value and must lie in the search space: dropout must be "
    ),
    "[student]\nnum_heads = [2, -1]": (
        "student.num_heads[1]: must be greater than or equal to 0, but got -1"
    ),
    "[student]\nffn_size = 0": "student.ffn_size: must be greater than or equal to 1, but got 0",
    "[student]\nnum_heads = [4, 4]\n[space.num_heads]\ntype = 'integer'\nlow = 1\nhigh = 4": (
        "student.num_heads must be one number, or have one for the layer where space.num_heads is "
    ),
    "[metrics.exact]\nthreshold = 'high'": "metrics.exact.threshold: must be 'auto', but got 'high",
    "[recipe]\nkeep = 'best'": 'recipe.keep = "best" needs training.evaluate_every; set it, or',
    "[data]\nscore_on = 'test'": 'data.score_on = "test" needs data.test; name the questions',
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nprior = { near = 0.1, spred = 1 }": (
        "space.dropout.prior.spred: no such key; did you mean 'spread'?"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nprior = { near = 0.1, spread = 0 }": (
        "space.dropout.prior.spread: must be greater than 0, but got 0"
    ),
    "[student]\nnum_layers = 7": (
        "student.num_layers is the baseline's value and must lie in the search space: num_layers "
        "must be between 1 and 6, but got 7; set it, or widen space.num_layers"
    ),
    # Conditions and constraints.
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layer = [1]": (
        "space.dropout.when: no such parameter 'num_layer'; did you mean 'num_layers'?"
    ),
    "[space.num_layers]\nwhen.num_layers = [1]": (
        "space.num_layers.when: no parameter may depend on itself, but num_layers needs num_layers;"
    ),
    "[space.num_layers]\nwhen = 3": "space.num_layers.when: must be a table, but got 3",
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = 3": (
        "space.dropout.when.num_layers: must be an array of values, or a table with at_least, at_mo"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = [1, [2]]": (
        "space.dropout.when.num_layers[1]: must be text, a finite number, true or false, but got [2"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = { at_lest = 1 }": (
        "space.dropout.when.num_layers.at_lest: no such key; did you mean 'at_least'?"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = { at_least = '1' }": (
        "space.dropout.when.num_layers.at_least: must be a number, but got '1'"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = {}": (
        "space.dropout.when.num_layers: needs values, or at_least or at_most, and not both; give on"
    ),
    "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 1\nwhen.num_layers = [7]": (
        "space.dropout.when.num_layers: num_layers must be between 1 and 6, but got 7"
    ),
    "constraints = 'num_layers < 3'": "constraints: must be an array, but got 'num_layers < 3'",
    "constraints = [3]": "constraints[0]: must be text, but got 3",
    "constraints = ['num_layer < 3']": (
        "constraint 'num_layer < 3': no such parameter 'num_layer'; did you mean 'num_layers'?"
    ),
    "constraints = ['num_layers < 3', 'num_layers =']": (
        "constraint 'num_layers =': must be an expression, but: invalid syntax"
    ),
    "[metrics.exact]\nrole = 'constrain'": 'metrics.exact: role = "constrain" needs a threshold',
    "[metrics.exact]\nrole = 'store'\nthreshold = 1": 'metrics.exact: role = "store" takes no thr',
    "[metrics.exact]\nrole = 'store'": 'metrics: at least one must have role = "optimize"',
    "[metrics]": 'metrics: at least one must have role = "optimize"',
}

# The same, of files that were fine before the rule came: studies begun with them stay readable.
UNHEEDED = {
    "[optimizer]\nsampler = 'quasirandom'\ninitial_runs = 3": (
        'optimizer.initial_runs is not for sampler = "quasirandom"; remove it, or use sampler = "ba'
    ),
    "[optimizer]\nsampler = 'sigopt'\nnoise = 'given'": (
        'optimizer.noise is not for sampler = "sigopt"; remove it, or use sampler = "bayesian"'
    ),
    "[optimizer]\nsampler = 'sigopt'\nper_cost = true": "optimizer.per_cost is not for sampler = ",
    "[optimizer]\nsampler = 'sigopt'\nearlier = 'x'": 'optimizer.earlier is not for sampler = "sig',
    "[optimizer]\nearlier = 'first-try_2.0'": (
        "optimizer.earlier must be another study, but got 'first-try_2.0', which is this one; remov"
    ),
}


def parse(changes: str = "") -> StudyConfig:
    """Return the good study file with others of its keys."""
    table = merged(tomllib.loads(GOOD), tomllib.loads(changes))
    return parse_config(table, folder=Path("/studies"), name="study.toml")


def refused(table: Mapping[str, object], start: str) -> None:
    """Check that a study file is refused with a line that starts like this."""
    with pytest.raises(ConfigError, match=f"^{re.escape(f'study.toml: {start}')}") as raised:
        parse_config(table, folder=Path("/studies"), name="study.toml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("changes", MALFORMED)
def test_malformed_file_is_refused_in_one_line(changes: str) -> None:
    refused(merged(tomllib.loads(GOOD), tomllib.loads(changes)), MALFORMED[changes])


@pytest.mark.parametrize(
    ("removed", "start"),
    [
        ({"name": None}, "name: this key is missing; add it"),
        ({"task": None}, "task: this key is missing; add it"),
        ({"teacher": None}, "teacher: this key is missing; add it"),
        ({"data": {"train": None}}, "data.train: this key is missing; add it"),
        ({"space": None}, "space: this key is missing; add it"),
        ({"space": {"num_layers": None}}, "space: must not be empty, but got {}"),
        (
            {"space": {"batch_size": {"type": "integer", "low": 1}}},
            "space.batch_size.high: this key is missing; add it",
        ),
    ],
)
def test_missing_key_is_named(removed: dict[str, object], start: str) -> None:
    refused(merged(tomllib.loads(GOOD), removed), start)


def test_misspelt_key_comes_before_the_one_that_is_missing_because_of_it() -> None:
    table = merged(tomllib.loads(GOOD), {"name": None, "nmae": "x"})
    refused(table, "nmae: no such key; did you mean 'name'?")


@pytest.mark.parametrize("changes", UNHEEDED)
def test_an_optimizer_key_without_effect_is_refused_in_a_file_only(
    tmp_path: Path, changes: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD + changes)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'study.toml: {UNHEEDED[changes]}')}"):
        load_config(path)
    assert parse(changes).file.optimizer != parse().file.optimizer


def test_long_values_are_not_shown() -> None:
    refused(merged(tomllib.loads(GOOD), {"seed": "x" * 200}), "seed: must be a whole number, but g")


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.toml")), ids=lambda path: path.name)
def test_example_is_a_good_study_file(path: Path) -> None:
    assert load_config(path).file.name


def test_what_is_left_out_has_a_default() -> None:
    config = parse()
    assert config.recipe({}) == Recipe()
    assert config.file.teacher.recipe == TeacherRecipe()
    assert config.file.teacher.recipe.alpha_ce == 0
    assert list(config.file.metrics) == ["exact", "num_parameters"]
    assert (config.file.budget.runs, config.file.budget.workers) == (24, 1)


def test_whole_numbers_become_real_where_real_ones_are_meant() -> None:
    epochs = parse("[recipe]\nepochs = 2").recipe({}).epochs
    assert (epochs, type(epochs)) == (2.0, float)


def test_metrics_have_the_files_order_and_what_is_always_true_of_them() -> None:
    config = parse(
        "[metrics.num_parameters]\nthreshold = 1e7\n[metrics.exact]\nthreshold = 50\n"
        "[metrics.latency_ms]\nrole = 'constrain'\nthreshold = 20\n[metrics.f1]\nrole = 'store'\n"
        "goal = 'minimize'"
    )
    assert config.metrics == (
        Metric(name="num_parameters", goal=Goal.MINIMIZE, threshold=1e7, known=True),
        Metric(name="exact", goal=Goal.MAXIMIZE, unit="%", threshold=50.0),
        Metric(
            name="latency_ms", goal=Goal.MINIMIZE, role=Role.CONSTRAIN, unit="ms", threshold=20.0
        ),
        Metric(name="f1", goal=Goal.MINIMIZE, role=Role.STORE, unit="%"),
    )


def test_parameters_have_the_files_order_and_ranges() -> None:
    config = parse(
        "[space.learning_rate]\ntype = 'float'\nlow = 1e-5\nhigh = 1e-3\nlog = true\n"
        "[space.dropout]\ntype = 'float'\nlow = 0\nhigh = 0.5\nstep = 0.1\n"
        "[space.batch_size]\ntype = 'integer'\nlow = 16\nhigh = 64\nstep = 16\n"
        "[space.layers]\ntype = 'choice'\nchoices = ['first', 'spread']\nordered = true"
    )
    assert config.parameters == (
        Integer(name="num_layers", low=1, high=6),
        Float(name="learning_rate", low=1e-5, high=1e-3, log=True),
        Float(name="dropout", low=0.0, high=0.5, step=0.1),
        Integer(name="batch_size", low=16, high=64, step=16),
        Choice(name="layers", choices=("first", "spread"), ordered=True),
    )


def test_parameters_take_the_place_of_what_the_file_says() -> None:
    config = parse("[recipe]\nepochs = 1.5\n[student]\nffn_size = 7")
    parameters: dict[str, Value] = {"num_layers": 3, "layers": "last", "learning_rate": 1e-4}
    assert config.recipe(parameters) == Recipe(learning_rate=1e-4, epochs=1.5)
    student = config.student(parameters)
    assert (student.num_layers, student.layers, student.ffn_size) == (3, "last", 7)
    assert config.file.student.num_layers is None


def test_default_is_the_baselines_value() -> None:
    config = parse("[student]\nnum_layers = 4\n[recipe]\ndropout = 0.3")
    assert config.default("num_layers") == 4
    assert config.default("dropout") == 0.3
    assert config.default("num_heads") is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learnin_rate": 1.0}, "no such parameter: learnin_rate; did you mean 'learning_rate'?"),
        ({"seed": 1}, "no such parameter: seed; did you mean 'pruning_seed'?"),
        ({"learning_rate": -1.0}, "learning_rate: must be greater than 0, but got -1.0"),
        ({"num_layers": 2.5}, "num_layers: must be a whole number, but got 2.5"),
        ({"layers": "middle"}, "layers: must be 'first', 'last', 'spread' or a list like '0,2,5',"),
        ({"num_layers_1": 2}, "no such parameter: num_layers_1; did you mean 'num_layers'?"),
        ({"num_heads_1": -1}, "num_heads_1: must be greater than or equal to 0, but got -1"),
    ],
)
def test_check_refuses_what_cannot_be_searched(parameters: dict[str, Value], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        parse().check(parameters)


def test_check_takes_parameters_that_this_study_does_not_search() -> None:
    parse().check({"num_layers": 40, "dropout": 0.2, "importance": "random", "batch_size": 8})


def test_everything_but_seed_and_rules_of_training_can_be_searched() -> None:
    settings = Recipe.model_fields.keys() | StudentSettings.model_fields.keys()
    left_out = settings - SEARCHABLE.keys()
    assert left_out == {"seed", "gradient_clip", "steps", "keep"}


def test_every_score_is_better_when_larger_and_every_cost_when_smaller() -> None:
    larger = {name for name, measured in MEASURED.items() if measured.goal is Goal.MAXIMIZE}
    assert larger == {name for name in MEASURED if name.endswith(("exact", "f1"))}
    known = {name for name, measured in MEASURED.items() if measured.known}
    assert known == {"num_parameters", "num_encoder_parameters", "flops", "bytes"}


@pytest.mark.parametrize(
    "changes",
    ["[budget]\nruns = 99", "[optimizer]\nsampler = 'quasirandom'", "[training]\ndevice = 'cpu'"],
)
def test_how_a_study_is_carried_out_is_no_part_of_its_identity(changes: str) -> None:
    assert parse(changes).identity == parse().identity


@pytest.mark.parametrize(
    "changes",
    [
        "name = 'other'",
        "seed = 1",
        "[teacher]\nmodel = 'x'",
        "[data]\ntrain_questions = 5",
        "[recipe]\nepochs = 1.0",
        "[student]\nnum_layers = 2",
        "[metrics.exact]\nthreshold = 5",
        "[space.num_layers]\nhigh = 5",
        "constraints = ['num_layers != 2']",
        "[space.epochs]\ntype = 'float'\nlow = 1\nhigh = 3\nwhen.num_layers = [1]",
    ],
)
def test_what_a_study_searches_is_its_identity(changes: str) -> None:
    assert parse(changes).identity != parse().identity


def test_file_survives_being_written_as_json() -> None:
    config = parse(
        "[metrics.exact]\nthreshold = 5\n[teacher.recipe]\nepochs = 1.0\n"
        "[space.layers]\ntype = 'choice'\nchoices = ['first', 'last']\nwhen.num_layers = [1]\n"
        "[space.epochs]\ntype = 'float'\nlow = 1\nhigh = 3\nwhen.num_layers = { at_most = 4 }"
    )
    written = config.file.model_dump(mode="json")
    assert parse_config(written, folder=config.folder, name="stored") == config


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "study.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("studies/study.toml"))
    assert config.folder == tmp_path / "studies"
    assert config.file == parse().file


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, r"^the study file .*study\.toml must be readable, but: No such file or directory$"),
        (b"\xff\xfe", r"^the study file .*study\.toml must be UTF-8 text, but "),
        (
            b"name = \n",
            r"^the study file .*study\.toml must be TOML, but: .* \(at line 1, column 8\)$",
        ),
        (b"name = 'a'\nname = 'b'\n", r"must be TOML, but: Cannot overwrite a value \(at line 2"),
    ],
)
def test_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes | None, rule: str) -> None:
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rule):
        load_config(path)


def test_a_layer_has_a_width_of_its_own_where_one_is_searched() -> None:
    config = parse(
        "[student]\nnum_heads = [4, 2, 4]\n[space.num_heads_1]\ntype = 'integer'\nlow = 0\nhigh = 4"
    )
    assert config.default("num_heads_1") == 2
    assert split_layer("num_heads_1") == ("num_heads", 1)
    assert split_layer("num_layers_1") == ("num_layers_1", None)
    assert config.student({"num_heads_1": 3}).num_heads == [4, 2, 4]


def test_an_inert_parameter_is_searched_but_has_no_effect() -> None:
    config = parse(
        "[space.beta_1]\ntype = 'float'\nlow = 0.7\nhigh = 0.99\ninert = true\n"
        "[space.eval_batch_size]\ntype = 'integer'\nlow = 4\nhigh = 32\ninert = true"
    )
    assert [parameter.name for parameter in config.parameters if parameter.inert] == [
        "beta_1",
        "eval_batch_size",
    ]
    assert config.recipe({"beta_1": 0.8, "eval_batch_size": 8, "num_layers": 2}) == Recipe()


def test_the_teacher_settles_the_largest_values_that_are_left_to_it() -> None:
    table = merged(
        tomllib.loads(GOOD),
        {
            "space": {
                "num_layers": {"high": None},
                "ffn_size": {"type": "integer", "low": 64, "step": 100},
                "num_heads_0": {"type": "integer", "low": 1},
            }
        },
    )
    config = parse_config(table, folder=Path(), name="study.toml")
    resolved = with_teacher(config, {"num_layers": 12, "num_heads": 8, "ffn_size": 1000})
    assert resolved.parameters == (
        Integer(name="num_layers", low=1, high=12),
        Integer(name="ffn_size", low=64, high=964, step=100),
        Integer(name="num_heads_0", low=1, high=8),
    )


def test_an_automatic_threshold_is_two_standard_errors_above_answering_nothing() -> None:
    config = parse("[metrics.exact]\nthreshold = 'auto'\n[metrics.num_parameters]")
    assert needs_questions(config)
    resolved = with_thresholds(config, unanswerable=5945, questions=11873)
    # 50.0716 + 2 * 0.4589 = 50.989 (the standard error is sqrt(0.2500 / 11873) = 0.4589 %).
    assert resolved.metrics[0].threshold == 51.0
    assert resolved.metrics[1].threshold is None
    assert not needs_questions(resolved)
    answerable = with_thresholds(config, unanswerable=0, questions=10)
    assert answerable.metrics[0].threshold == 0.0


def test_thresholds_are_raised_where_other_questions_have_more_without_an_answer() -> None:
    config = parse(
        "[metrics.exact]\nthreshold = 36\n[metrics.f1]\nthreshold = 60\n[metrics.best_f1]\n"
        "[metrics.latency_ms]\nthreshold = 20"
    )
    raised = with_raised_thresholds(config.metrics, unanswerable=5945, questions=11873)
    assert [metric.threshold for metric in raised] == [51.0, 60.0, None, 20.0]


def test_an_automatic_threshold_needs_a_score_over_all_questions() -> None:
    config = parse("[metrics.HasAns_f1]\nthreshold = 'auto'")
    with pytest.raises(ConfigError, match='HasAns_f1: threshold = "auto" needs one of exact, f1, '):
        with_thresholds(config, unanswerable=1, questions=2)


def test_the_control_is_the_baseline_without_distillation() -> None:
    config = parse("[recipe]\nalpha_ce = 0.5\nalpha_hidden = 2.0")
    control = config.control({"num_layers": 3})
    assert control == {"num_layers": 3, "alpha_ce": 0.0, "alpha_hidden": 0.0}
    with pytest.raises(ConfigError, match="needs a baseline that is distilled"):
        parse("[recipe]\nalpha_ce = 0.0").control({"num_layers": 3})


def test_the_example_of_the_optimizers_page_has_a_baseline_and_is_heeded() -> None:
    match = re.search(r"```toml\n(.*?)```", (DOCS / "optimizer.md").read_text(), re.DOTALL)
    assert match
    config = parse(match[1])
    values: dict[str, Value] = {"num_layers": 3, "num_heads": 12, "ffn_size": 2304}
    baseline = {**values, "alpha_ce": 0.5, "temperature": 2.0}
    assert config.space.validate(baseline) == baseline
    assert config.space.violated(baseline) is None
    assert (config.file.optimizer.earlier, config.file.optimizer.per_cost) == ("squad1", True)


EXAMPLE = re.search(r"```toml\n(.*?)```", (DOCS / "study-file.md").read_text(), re.DOTALL)
"""The documented example of conditions and constraints."""


def test_the_documented_conditions_and_constraints_are_kept_by_every_sampler() -> None:
    assert EXAMPLE
    config = parse(EXAMPLE[1] + "[student]\nnum_heads = 4\nffn_size = 256")
    config = pickle.loads(pickle.dumps(config))
    assert {p.name: p.when for p in config.parameters if p.when} == {
        "temperature": (When(parameter="alpha_ce", at_least=0.1),),
        "pruning_seed": (When(parameter="importance", values=("random",)),),
    }
    baseline: dict[str, Value] = {
        "num_layers": 2, "ffn_size": 256, "num_heads": 4, "alpha_ce": 0.5,
        "importance": "magnitude", "temperature": 2.0,
    }  # fmt: skip
    metrics = (Metric(name="exact", goal=Goal.MAXIMIZE),)
    for make in (BayesianSampler, QuasirandomSampler):
        sampler = make(config.space, metrics, known=lambda _: {}, baseline=baseline, seed=1)
        runs: list[Run] = []
        for number in range(16):
            values = {"exact": float(number % 5)}
            parameters = sampler.suggest(runs)
            runs.append(
                Run(number=number, parameters=parameters, state=RunState.FINISHED, values=values)
            )
        assert runs[0].parameters == baseline
        assert len({str(run.parameters) for run in runs}) == 16
        for run in runs:
            p: Any = run.parameters
            assert p["ffn_size"] <= 256 * p["num_heads"]
            assert ("temperature" in p) is (p["alpha_ce"] >= 0.1)
            assert ("pruning_seed" in p) is (p["importance"] == "random")
            if "temperature" in p:
                assert p["alpha_ce"] > 0.5 or (p["temperature"] < 4 and p["importance"] != "random")
        assert len({"pruning_seed" in run.parameters for run in runs}) == 2


def test_what_is_inactive_is_as_the_file_has_it() -> None:
    assert EXAMPLE
    config = parse(EXAMPLE[1] + "[recipe]\ntemperature = 3.0\n[student]\npruning_seed = 5")
    inactive: dict[str, Value] = {"alpha_ce": 0.05, "importance": "magnitude"}
    assert config.recipe(inactive).temperature == 3.0
    assert config.recipe({"alpha_ce": 0.2, "temperature": 7.0}).temperature == 7.0
    assert config.student(inactive).pruning_seed == 5


def test_the_control_has_nothing_that_depends_on_distillation() -> None:
    assert EXAMPLE
    config = parse(EXAMPLE[1])
    baseline: dict[str, Value] = {"alpha_ce": 0.5, "temperature": 2.0, "num_layers": 3}
    assert config.control(baseline) == {"alpha_ce": 0.0, "num_layers": 3}


def test_the_default_of_a_conditional_parameter_may_lie_outside_its_range() -> None:
    """It is not the baseline's value where the parameter is inactive there."""
    config = parse(
        "[space.dropout]\ntype = 'float'\nlow = 0.2\nhigh = 0.5\nwhen.num_layers = [1]\n"
        "[student]\nnum_layers = 2"
    )
    assert config.space.complete(lambda p: config.default(p.name) or 0) == {"num_layers": 2}


def test_conditions_and_constraints_are_on_what_is_left_to_the_teacher() -> None:
    table = merged(
        tomllib.loads(GOOD),
        {
            "constraints": ["num_heads_2 < num_layers"],
            "space": {
                "num_layers": {"high": None},
                "num_heads_2": {
                    "type": "integer", "low": 1, "when": {"num_layers": {"at_least": 8}}
                },
            },
        },
    )  # fmt: skip
    config = parse_config(table, folder=Path(), name="study.toml")
    deep = with_teacher(config, {"num_layers": 12, "num_heads": 8, "ffn_size": 1000})
    assert deep.space.names == ("num_layers", "num_heads_2")
    assert deep.space.violated({"num_layers": 8, "num_heads_2": 8}) == "num_heads_2 < num_layers"
    shallow = with_teacher(config, {"num_layers": 4, "num_heads": 8, "ffn_size": 1000})
    with pytest.raises(
        ConfigError, match=r"^space\.num_heads_2\.when\.num_layers: must be met by a"
    ):
        _ = shallow.space


def with_preset_file(folder: Path, text: str) -> StudyConfig:
    path = folder / "study.toml"
    path.write_text(text)
    return load_config(path)


STUDY = """
name = "mine"
task = "question-answering"
[teacher]
model = "teacher"
[data]
train = "train.json"
"""


def test_without_a_space_the_structured_preset_is_taken(tmp_path: Path) -> None:
    config = with_preset_file(tmp_path, STUDY)
    assert config.file.preset == "structured"
    assert {"num_layers", "num_heads", "ffn_size", "alpha_ce"} <= config.file.space.keys()
    assert config.file.metrics["exact"].threshold == "auto"
    assert config.file.student.importance == "fisher"
    assert not any(given.inert for given in config.file.space.values())
    assert with_preset_file(tmp_path, GOOD).file.preset is None


def test_what_the_file_says_takes_the_presets_place(tmp_path: Path) -> None:
    config = with_preset_file(
        tmp_path,
        'preset = "structured"'
        + STUDY
        + "[metrics.f1]\n[recipe]\nalpha_ce = 0.7\n"
        + "[space.num_layers]\ntype = 'integer'\nlow = 2\nhigh = 4\n"
        + "[space.batch_size]\ntype = 'integer'\nlow = 8\nhigh = 32",
    )
    assert list(config.file.metrics) == ["f1"]
    assert (config.file.recipe.alpha_ce, config.file.recipe.learning_rate) == (0.7, 1e-4)
    assert config.file.space.keys() > {"num_layers", "num_heads", "batch_size"}
    assert config.file.space["num_layers"] == IntegerSettings(type="integer", low=2, high=4)


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="preset: must be one of structured, efficient-bert, but"):
        with_preset_file(tmp_path, 'preset = "small"' + STUDY)


def test_efficient_bert_is_the_search_of_2020(tmp_path: Path) -> None:
    config = with_preset_file(tmp_path, 'preset = "efficient-bert"' + STUDY)
    # What sigopt_hyperparameter_definition.py says, by our names.
    assert {p.name: p.range_text for p in config.parameters} == {
        "learning_rate": "2e-06 to 0.1, log",
        "beta_1": "0.7 to 0.9999",
        "beta_2": "0.7 to 0.9999",
        "adam_epsilon": "1e-10 to 1e-05, log",
        "weight_decay": "1e-07 to 0.01, log",
        "alpha_ce": "1e-07 to 1",
        "temperature": "1 to 10",
        "initializer_range": "0 to 1",
        "attention_dropout": "0 to 1",
        "qa_dropout": "0 to 1",
        "warmup_steps": "0 to 100",
        "num_layers": "1 to 20",
        "num_heads": "1 to 12",
        "pruning_seed": "1 to 100",
        "dropout": "0 to 1",
        "batch_size": "4 to 32",
        "eval_batch_size": "4 to 32",
    }
    assert {p.name for p in config.parameters if p.inert} == {"beta_1", "beta_2", "eval_batch_size"}
    assert {(m.name, m.role, m.threshold) for m in config.metrics} == {
        ("exact", Role.OPTIMIZE, 50.0),
        ("num_parameters", Role.OPTIMIZE, None),
        ("f1", Role.STORE, None),
        ("inference_time", Role.STORE, None),
    }
    data = config.file.data
    assert (data.max_length, data.doc_stride, data.max_query_length) == (384, 128, 64)
    assert (data.max_answer_length, config.file.recipe.epochs) == (30, 3.0)
    assert config.file.training.precision == "fp32"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_says_what_it_is_for_and_is_a_study_file_without_its_data(
    tmp_path: Path, preset: str
) -> None:
    assert len(preset_summary(preset)) > 50
    below = tomllib.loads(preset_text(preset))
    config = with_preset_file(tmp_path, f"preset = '{preset}'" + STUDY)
    assert list(config.file.space) == list(below["space"])
    assert list(config.file.metrics) == list(below["metrics"])
