"""Whatever is wrong with what the user gave: one line says it, and the store stays as it was."""

import gzip
import json
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.config import load_config
from limbeck.home import Home
from limbeck.objective import Objective
from limbeck.runs import Outcome, RunState
from limbeck.store import Store
from limbeck.study import enter
from tests.tiny import write_study_file, write_tiny_study

MINIMAL = """name = "other"
task = "question-answering"
teacher.model = "teacher"
data.train = "train.json"
[recipe]
"""
LAYERS = {"type": "integer", "low": 1, "high": 3}
BERT = {
    "model_type": "bert",
    "architectures": ["BertForQuestionAnswering"],
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_position_embeddings": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "type_vocab_size": 2,
    "vocab_size": 34,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
CONTEXT = "the king of spain is bob"
QUESTION = {
    "id": "q1",
    "question": "who is the king of spain ?",
    "answers": [{"text": "bob", "answer_start": 21}],
    "is_impossible": False,
}


FILES = {
    "weights": "model.safetensors",
    "index": "model.safetensors.index.json",
    "pickle": "pytorch_model.bin",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
}
"""What a model folder holds beside its configuration."""

TEACHER = Path("teacher")
"""The good one, whose files can be taken."""

TOKENIZER: Mapping[str, object] = {
    stem: TEACHER / FILES[stem] for stem in ("tokenizer", "tokenizer_config")
}


@dataclass(frozen=True)
class Case:
    """Something wrong, and what the line about it must name."""

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    files: Mapping[str, object] = ()  # type: ignore[assignment]  # empty is empty


def study(case: str, /, *names: str, text: str | None = None, **overrides: object) -> object:
    """A study file to search with: ``bad.toml``, as text or with other keys."""
    files = {"bad.toml": overrides if text is None else text}
    return pytest.param(
        Case(("search", "bad.toml", "--home", "home"), names, files), id=f"study-{case}"
    )


def data(name: str, *names: str, content: object, file: str = "bad.json") -> object:
    """Questions that a study is to be scored on."""
    files = {"bad.toml": {"name": "other", "data": {"dev": file}}, file: content}
    return pytest.param(
        Case(("search", "bad.toml", "--home", "home"), (*names, file), files), id=f"data-{name}"
    )


def squad(
    question: Mapping[str, object], *more: Mapping[str, object], **paragraph: object
) -> object:
    paragraphs = [{"context": CONTEXT, "qas": [question, *more], **paragraph}]
    return {"version": "v2.0", "data": [{"title": "spain", "paragraphs": paragraphs}]}


def scoring(
    name: str, *names: str, predictions: object, data: object = None, options: tuple[str, ...] = ()
) -> object:
    """Answers to one question: ``bad.json``."""
    files = {"bad.json": predictions, "data.json": data or squad(QUESTION)}
    return pytest.param(Case(("score", "data.json", "bad.json", *options), names, files), id=name)


def adding(name: str, *names: str, content: object, file: str = "bad.csv") -> object:
    """Runs that were made elsewhere."""
    arguments = ("add", file, "--study", "tiny", "--home", "home")
    return pytest.param(Case(arguments, (file, *names), {file: content}), id=f"add-{name}")


def teacher(name: str, *names: str, config: object = None, **files: object) -> object:
    """A folder ``model`` to distil from: its configuration, and other files by their stems."""
    made = {f"model/{FILES[stem]}": content for stem, content in files.items()}
    made |= {
        "bad.toml": {"name": "other", "teacher": {"model": "model"}},
        "model/config.json": config,
    }
    arguments = ("search", "bad.toml", "--home", "home")
    return pytest.param(Case(arguments, (*names, "model"), made), id=f"teacher-{name}")


def command(*arguments: str, names: tuple[str, ...]) -> object:
    """Arguments; those without a home look into one with the study ``tiny``."""
    given = {"--home", "--store", "presets"} & {*arguments}
    home = () if given else ("--home", "home")
    return pytest.param(Case((*arguments, *home), names), id=" ".join(arguments)[:70])


CASES = [
    # Study files.
    study("no name", "name: this key is missing", name=None),
    study("empty", "bad.toml", "name", text=""),
    study("no TOML", "bad.toml", "line 2", text='name = "tiny"\ntask = \n'),
    study("a key twice", "bad.toml", "line 2", text='name = "a"\nname = "a"\n'),
    study("a huge number", "bad.toml", text=f"seed = {'9' * 5000}"),
    study("deep arrays", "bad.toml", text=f"seed = {'[' * 5000}"),
    study("no UTF-8", "bad.toml", "UTF-8", text=b'name = "\xe4"'.decode("latin-1")),
    study("an unknown key", "bad.toml", "data.tran", "'train'", data={"tran": "train.json"}),
    study("an unknown table", "bad.toml", "recipes", "recipe", recipes={"epochs": 3}),
    study("an unknown task", "task", "'question-answering'", task="translation"),
    study("a wrong name", "name", "'../tiny'", name="../tiny"),
    study("a long name", "name", "100", name="n" * 101),
    study("a number for a name", "name", "7", name=7),
    study("an unknown preset", "preset", "structured", preset="structure"),
    study("text for a number", "recipe.epochs", "'three'", recipe={"epochs": "three"}),
    study("a number for a table", "student", student=3),
    study("a share above 1", "recipe.dropout", "1.5", recipe={"dropout": 1.5}),
    study("no learning rate", "recipe.learning_rate", "0", recipe={"learning_rate": 0}),
    study("no finite number", "recipe.weight_decay", "nan", text=f"{MINIMAL}weight_decay = nan"),
    study("a key of two lines", "such a key", text=f'{MINIMAL}"such\\na key" = 1'),
    study("no metric", "metrics", "optimize", metrics={"exact": None, "num_parameters": None}),
    study("an unknown metric", "metrics.exat", "'exact'", metrics={"exat": {}}),
    study(
        "an unknown goal", "metrics.exact.goal", "maximise", metrics={"exact": {"goal": "maximise"}}
    ),
    study(
        "a constraint without threshold",
        "metrics.latency_ms",
        "threshold",
        metrics={"latency_ms": {"role": "constrain"}},
    ),
    study(
        "a stored metric with threshold",
        "metrics.f1",
        "threshold",
        metrics={"f1": {"role": "store", "threshold": 50.0}},
    ),
    study(
        "an unknown threshold",
        "metrics.exact.threshold",
        "'car'",
        metrics={"exact": {"threshold": "car"}},
    ),
    study(
        "an automatic threshold on sizes",
        "metrics.num_parameters",
        "auto",
        metrics={"num_parameters": {"threshold": "auto"}},
    ),
    study("no space", "space", space={"num_layers": None, "learning_rate": None}),
    study("an unknown parameter", "space.num_layer", "num_layers", space={"num_layer": LAYERS}),
    study("no type", "space.num_layers.type", space={"num_layers": {"type": None}}),
    study(
        "an unknown type", "space.num_layers.type", "'int'", space={"num_layers": {"type": "int"}}
    ),
    study("low above high", "num_layers", "low", space={"num_layers": {"low": 5}}),
    study("a log scale from 0", "learning_rate", "log", space={"learning_rate": {"low": 0.0}}),
    study(
        "a range beyond the rule",
        "space.dropout",
        space={"dropout": {"type": "float", "low": 0.0, "high": 2.0}},
    ),
    study("a step of 0", "space.num_layers", "step", space={"num_layers": {"step": 0}}),
    study(
        "no choice", "space.layers", "choices", space={"layers": {"type": "choice", "choices": []}}
    ),
    study(
        "a choice twice",
        "space.layers",
        "choices",
        space={"layers": {"type": "choice", "choices": ["first", "first"]}},
    ),
    study(
        "a wrong choice",
        "space.layers",
        "'frist'",
        space={"layers": {"type": "choice", "choices": ["frist"]}},
    ),
    study("the baseline left out", "recipe.learning_rate", recipe={"learning_rate": 0.5}),
    study(
        "a prior beyond the range",
        "learning_rate",
        "prior",
        space={"learning_rate": {"prior": {"near": 1.0, "spread": 0.1}}},
    ),
    study(
        "a prior without width",
        "space.learning_rate.prior.spread",
        space={"learning_rate": {"prior": {"near": 0.01, "spread": 0.0}}},
    ),
    study(
        "a condition on nothing",
        "space.learning_rate.when",
        "'layer'",
        space={"learning_rate": {"when": {"layer": [1]}}},
    ),
    study(
        "a condition on itself",
        "space.num_layers.when",
        "num_layers needs num_layers",
        space={"num_layers": {"when": {"num_layers": [2]}}},
    ),
    study(
        "a condition never met",
        "space.learning_rate.when.num_layers",
        "9",
        space={"learning_rate": {"when": {"num_layers": [9]}}},
    ),
    study("a constraint on nothing", "layer", constraints=["layer < 3"]),
    study("a constraint with a call", "constraint", "exit()", constraints=["exit() < num_layers"]),
    study("half a constraint", "constraint", "num_layers <", constraints=["num_layers <"]),
    study("a broken constraint", "constraint", "num_layers > 2", constraints=["num_layers > 2"]),
    study("no run", "budget.runs", "0", budget={"runs": 0}),
    study("an unknown sampler", "optimizer.sampler", "'bayesian'", optimizer={"sampler": "bayes"}),
    study(
        "a key of another sampler",
        "optimizer.noise",
        optimizer={"sampler": "quasirandom", "noise": "given"},
    ),
    study(
        "an unknown earlier study",
        "optimizer.earlier",
        "'tiny'",
        name="other",
        optimizer={"earlier": "tinny"},
    ),
    study("another study of the name", "'tiny'", "recipe", recipe={"epochs": 1.0}),
    study("no layers listed", "student.layers", "'0,'", student={"layers": "0,"}),
    study("layers that there are not", "layers", "7", name="other", student={"layers": "0,7"}),
    study("windows that are too long", "max_length", "512", name="other", data={"max_length": 512}),
    study(
        "the best of no score",
        "recipe.keep",
        name="other",
        recipe={"keep": "best"},
        training={"evaluate_every": None},
    ),
    # Questions.
    data("missing", "no such file", content=None),
    data("no JSON", "JSON", content='{"data": ['),
    data("deep JSON", "JSON", content="[" * 100_000),
    data("no gzip file", "gzip", content="{}", file="bad.json.gz"),
    data("half a gzip file", "gzip", content=gzip.compress(b"{}" * 99)[:-9], file="bad.json.gz"),
    data("no object", "object", content=[]),
    data("no question", "at least one question", content={"data": []}),
    data("no articles", "'data'", content={"version": "v2.0"}),
    data("no id", "data[0], paragraphs[0], qas[0]", "'id'", content=squad({**QUESTION, "id": 7})),
    data("an empty context", "'q1'", "context", content=squad(QUESTION, context=" ")),
    data(
        "an answer elsewhere",
        "'q1'",
        "'bob'",
        content=squad({**QUESTION, "answers": [{"text": "bob", "answer_start": 3}]}),
    ),
    data(
        "an answer to the impossible",
        "'q1'",
        "is_impossible",
        content=squad({**QUESTION, "is_impossible": True}),
    ),
    data("an id twice", "'q1'", content=squad(QUESTION, QUESTION)),
    data("another kind", "bad.csv", content="a,b", file="bad.csv"),
    # Predictions.
    scoring("no prediction", "'q1'", predictions={}),
    scoring("a prediction too many", "'q2'", predictions={"q1": "bob", "q2": ""}),
    scoring("a number predicted", "bad.json", "'q1'", predictions={"q1": 7}),
    scoring("predictions in a list", "bad.json", "object", predictions=["bob"]),
    scoring("predictions that are no JSON", "bad.json", "JSON", predictions="{'q1': 'bob'}"),
    scoring(
        "a score for 1.1",
        "--na-prob-file",
        predictions={"q1": "bob"},
        options=("--na-prob-file", "bad.json"),
    ),
    scoring(
        "text for a no-answer score",
        "'q1'",
        "'high'",
        predictions={"q1": "high"},
        data=squad(QUESTION, {"id": "q2", "question": "why ?", "answers": []}),
        options=("--na-prob-file", "bad.json"),
    ),
    scoring("deep predictions", "bad.json", "JSON", predictions='{"q1":' * 50_000),
    scoring("predictions without data", "data.json", predictions={"q1": "bob"}, data=[1]),
    # Runs made elsewhere; tests/test_past_runs.py has more of them.
    adding("missing", "No such file", content=None),
    adding("empty", "empty", content=""),
    adding(
        "an unknown column",
        "line 2",
        "'num_layer'",
        "'num_layers'",
        content="num_layer,exact\n1,50\n",
    ),
    adding(
        "a ragged row", "line 3", "3", content="num_layers,learning_rate,exact\n1,.02,5\n1,.03\n"
    ),
    adding(
        "beyond the range",
        "line 2",
        "num_layers",
        "7",
        content="num_layers,learning_rate,exact\n7,.02,5\n",
    ),
    adding(
        "no number",
        "line 2",
        "exact",
        "'high'",
        content="num_layers,learning_rate,exact\n1,.02,high\n",
    ),
    adding("no value", "line 2", "exact", content="num_layers,learning_rate,exact\n1,.02,\n"),
    adding(
        "another size",
        "line 2",
        "num_parameters",
        "9810",
        "9811",
        content="num_layers,learning_rate,exact,num_parameters\n1,.02,5,9811\n",
    ),
    adding(
        "a row twice",
        "line 4",
        "line 2",
        content="num_layers,learning_rate,exact\n1,.02,5\n2,.02,5\n1,2e-2,6\n",
    ),
    adding("no array", "array", content={"num_layers": 1}, file="bad.json"),
    adding("half an array", "JSON", content="[", file="bad.json"),
    # Teachers.
    teacher("without configuration", "config.json", weights="none"),
    teacher("that is a list", "config.json", "list", config=[1]),
    teacher("with text for a size", "hidden_size", "'big'", config={**BERT, "hidden_size": "big"}),
    teacher("with a size below 0", "vocab_size", "-1", config={**BERT, "vocab_size": -1}),
    teacher(
        "with a head too many",
        "num_attention_heads",
        "5",
        config={**BERT, "num_attention_heads": 5},
    ),
    teacher("without layers", "num_hidden_layers", "0", config={**BERT, "num_hidden_layers": 0}),
    teacher("without weights", "model.safetensors", config=BERT),
    teacher("with a pickle", "pytorch_model.bin", "safetensors", config=BERT, pickle="none"),
    teacher("with broken weights", "model.safetensors", config=BERT, weights="none", **TOKENIZER),
    teacher("without tokenizer", "tokenizer", config=BERT, weights=TEACHER / "model.safetensors"),
    teacher("with a broken tokenizer", "tokenizer", config=BERT, weights="none", tokenizer="{"),
    teacher(
        "with a broken index", "model.safetensors.index.json", config=BERT, index="[]", **TOKENIZER
    ),
    teacher(
        "with weights of another shape",
        "intermediate",
        config={**BERT, "intermediate_size": 64},
        weights=TEACHER / "model.safetensors",
        **TOKENIZER,
    ),
    teacher("of another kind", "model_type", "'gpt2'", config={"model_type": "gpt2"}),
    teacher("of no kind", "model_type", "None", config={}),
    teacher("without sizes", "hidden_size", config={"model_type": "bert"}),
    teacher("with half a configuration", "JSON", config='{"model_type":'),
    study("no model", "teacher.model", teacher={"model": ""}),
    study("an impossible model", "'a b c'", name="other", teacher={"model": "a b c"}),
    study("a very long model", "xxx", name="other", teacher={"model": "x" * 5000}),
    # Arguments.
    command("search", "none.toml", names=("none.toml",)),
    command("search", "teacher", names=("teacher",)),
    command("search", "study.toml", "--runs", "0", names=("--runs", "1")),
    command("search", "study.toml", "--runs", "many", names=("--runs", "integer")),
    command("search", "study.toml", "-o", "front.pdf", names=("front.pdf", ".png")),
    command(
        "search", "study.toml", "--home", "study.toml/home", names=("--home", "study.toml/home")
    ),
    command("search", "study.toml", "--store", "nothing", names=("'nothing'", "sqlite:///")),
    command("search", names=("STUDY.toml",)),
    command("serach", names=("'serach'", "'search'")),
    command("status", "--jsno", names=("--jsno", "--json")),
    command("status", "tyni", names=("'tyni'", "'tiny'")),
    command("status", "tiny", "--home", "nowhere", names=("'tiny'", "empty")),
    command("status", "--store", "oracle9://x", names=("oracle9",)),
    command("status", "--store", "sqlite:///train.json", names=("train.json",)),
    command("status", "--store", "sqlite:///none.db", names=("--store", "none.db")),
    command("frontier", "--home", "nowhere", names=("limbeck search",)),
    command("frontier", "tiny", "-o", "front.jpeg", names=("front.jpeg",)),
    command("frontier", "tiny", "-o", "study.toml/front.png", names=("study.toml",)),
    command("frontier", "tiny", "-o", "teacher", names=("teacher", ".html")),
    command("frontier", "tiny", "--under", "exact", names=("METRIC<=NUMBER", "'exact'")),
    command("frontier", "tiny", "--under", "exakt=5", names=("'exakt'", "'exact'")),
    command("frontier", "tiny", "--under", "exact=much", names=("20M", "'much'")),
    command("data", "tiny", names=("--output",)),
    command("data", "tiny", "-o", "runs.xlsx", names=("runs.xlsx", ".parquet")),
    command("data", "tyni", "-o", "runs.csv", names=("'tyni'", "'tiny'")),
    command("data", "tiny", "-o", "study.toml/runs.csv", names=("study.toml",)),
    command("show", "9", names=("no run 9",)),
    command("show", "nine", names=("RUN", "integer")),
    command("show", "-1", names=("-1",)),
    command("presets", "structred", names=("structred", "'structured'")),
    command("queue", "tiny", "--set", "num_layers", names=("--set", "'num_layers'")),
    command("queue", "tiny", "--set", "num_layers=0", names=("num_layers", "0")),
    command("queue", "tiny", "--set", "num_layer=1", names=("num_layer", "'num_layers'")),
    command("queue", "tiny", "--set", "learning_rate=nan", names=("learning_rate", "nan")),
    command("queue", "tiny", "--set", "layers=0,7", names=("layers", "7")),
    command("queue", "tiny", "--set", "learning_rate=0.01", names=("run 0",)),
    command("extend", "tiny", "--runs", "1", names=("--runs", "2 runs")),
    command("extend", "tiny", names=("--runs",)),
    command("pause", "tini", names=("'tini'", "'tiny'")),
    command("stop", "0", names=("run 0", "finished")),
    command("stop", "1", "5", names=("no run 5",)),
    command("stop", names=("RUN",)),
    command("confirm", "tiny", names=("data.test",)),
    command("confirm", "tiny", "--data", "none.json", names=("none.json",)),
    command("confirm", "tiny", "--run", "5", names=("no run 5",)),
    command("distill", "study.toml", "--set", "layers=0,7", names=("layers", "7")),
    command("distill", "study.toml", "--set", f"num_layers={'9' * 5000}", names=("num_layers",)),
    command("distill", "study.toml", "-o", "study.toml/x", names=("--output", "study.toml/x")),
    command("optuna", "import", "tiny", "--from", "sqlite:///none.db", names=("none.db",)),
]
"""What is wrong, and what the line about it must name: a key, a line, a file, the valid name."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good study file and a store whose study has two runs, one unfinished."""
    folder = tmp_path_factory.mktemp("bad")
    config = load_config(write_tiny_study(folder))
    values = {"exact": 75.0}
    with Store(Home(folder / "home").store_url) as store:
        enter(store, config, runs=4)
        outcome = Outcome(state=RunState.FINISHED, values=values)
        baseline = {"num_layers": 2, "learning_rate": 0.01}
        store.add_run("tiny", baseline, values={}, owner="host:1:1", outcome=outcome)
        store.add_run("tiny", {"num_layers": 3, "learning_rate": 0.02}, values={}, owner=None)
    questions = Objective(config, Home(folder / "home")).exams
    _ = questions.train, questions.scored  # Else the first case that needs them would say so.
    return folder


def write_file(path: Path, content: object) -> None:
    """Write text (with bytes of its characters, where these are no UTF-8), JSON or a study file."""
    path.parent.mkdir(exist_ok=True)
    match content:
        case None:
            return
        case Path():
            shutil.copy(content, path)
        case bytes():
            path.write_bytes(content)
        case str():
            path.write_bytes(content.encode("latin-1"))
        case dict() if path.suffix == ".toml":
            write_study_file(path, **content)
        case _:
            path.write_text(json.dumps(content))


def contents(folder: Path) -> Mapping[Path, list[str]]:
    """Return all that every store under a folder holds."""
    held = {}
    for path in sorted(folder.rglob("*.db")):
        connection = sqlite3.connect(path)
        held[path] = [*connection.iterdump()]
        connection.close()
    return held


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_changes_no_store(
    case: Case,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    for name in ("bad.toml", "bad.json", "bad.json.gz", "bad.csv", "data.json"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "model", ignore_errors=True)
    for name, content in dict(case.files).items():
        write_file(folder / name, content)
    before = contents(folder)
    monkeypatch.setattr(sys, "argv", ["limbeck", *case.arguments])
    with pytest.raises(SystemExit, match=r"^[0-9]+$") as ended:
        main()
    line = capsys.readouterr().err
    assert ended.value.code == 2, line
    assert line.startswith("Error: ")
    assert line.index("\n") == len(line) - 1, line
    for name in case.names:
        assert name in line
    assert contents(folder) == before


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
