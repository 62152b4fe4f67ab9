"""The model card of an export: what it was made from, what it scores, what it costs."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from limbeck.analysis.picture import save_frontier
from limbeck.artifacts import fetch
from limbeck.config import StudyConfig
from limbeck.environment import without_passwords
from limbeck.export.check import INT8_MARGIN, Comparison
from limbeck.export.source import Source
from limbeck.files import is_folder
from limbeck.metrics import Role
from limbeck.students.checkpoint import read_shape
from limbeck.students.shape import Shape, count_parameters
from limbeck.wording import format_value

PICTURE = "frontier.png"
STUDY = "study.toml"

_RUNTIMES = {
    "pytorch": "PyTorch",
    "onnx": "ONNX Runtime",
    "onnx-int8": "ONNX Runtime with int8 weights",
}
_LOAD = """\
```python
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

model = AutoModelForQuestionAnswering.from_pretrained("FOLDER"{trust})
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
```
"""
_TRUST = """
`trust_remote_code=True` runs `modeling_slim_bert.py` of this folder: read it first. Where Limbeck
is installed, `import limbeck` takes its place.
"""
_ANSWER = """\
```console
$ pip install -r requirements.txt
$ python answer.py --question "Who wrote it?" --context-file page.txt
```

or, in a program, `Answerer(folder)(question, context)` of `answer.py`: no torch is needed. Graph:
inputs `input_ids`, `attention_mask`, `token_type_ids`, outputs `start_logits` and `end_logits`, any
batch size and length.
"""


@dataclass(frozen=True, kw_only=True)
class Licenses:
    """Under what licence the parts are that a student was made from; None if that is not known."""

    teacher: str | None = None
    data: str | None = None


def write_card(
    folder: Path,
    source: Source,
    student: Path,
    *,
    kind: str,
    class_name: str | None,
    comparison: Comparison | None,
    licenses: Licenses,
) -> None:
    """Write ``README.md``, and the frontier's picture and the study file, which it names.

    Args:
        folder: Of the export, which is complete but for these.
        source: The run.
        student: Folder of its student.
        kind: Of the export: a word of ``--to``.
        class_name: The model's class, in a Hugging Face folder.
        comparison: How the answers compare with the student's; None if that was not looked at.
        licenses: Of teacher and data.
    """
    config, runs, shape = source.config, source.runs, read_shape(str(student))
    baseline = next((run for run in runs if run.number == 0), None)
    title = config.file.name
    save_frontier(folder / PICTURE, runs, config.metrics, baseline=baseline, title=title)
    (folder / STUDY).write_text(study_toml(config), encoding="utf-8")
    sections = (
        _front_matter(source, class_name, licenses),
        f"# {title}, run {source.run.number}\n\n"
        f"Answers questions from a text: a student distilled from {public_name(_teacher(config))} "
        f"by Limbeck {version('limbeck')}.\n",
        _facts(folder, source, shape, kind=kind, class_name=class_name, licenses=licenses),
        _scores(source),
        _latency(source),
        f"## Check of this export\n\n{describe_check(kind, comparison)}\n",
        f"## Frontier\n\n![Run {source.run.number} is one of these]({PICTURE})\n",
        f"## Use\n\n{_use(class_name)}",
        _reproduction(source),
    )
    (folder / "README.md").write_text("\n".join(sections), encoding="utf-8")


def describe_check(kind: str, comparison: Comparison | None) -> str:
    """Return in a few sentences how an export answered, beside its student."""
    if comparison is None:
        return "None: it was exported with `--check 0`, so nobody knows that it answers alike."
    spread = "" if comparison.error is None else f" ± {comparison.error:.2f}"
    exact = (
        f"Exact match {comparison.exact:.2f} %, of the student {comparison.student_exact:.2f} %: a "
        f"drop of {comparison.drop:.2f}{spread} points (one standard error of the difference)."
    )
    if kind == "onnx-int8":
        limit = f"The margin is {INT8_MARGIN:.1f} point: "
        verdict = "it is kept." if comparison.drop <= INT8_MARGIN else "IT IS EXCEEDED."
        changed = len(comparison.different) + comparison.ties
        return (
            f"{changed} of {comparison.questions} scored questions got another answer than from "
            f"the student in float32. {exact} {limit}{verdict}"
        )
    ties = f", {comparison.ties} of them ties that rounding decides" if comparison.ties else ""
    return (
        f"All {comparison.questions} scored questions that were asked got the student's answer"
        f"{ties}; the largest difference of a score is {comparison.largest_difference:.1e}. {exact}"
    )


def public_name(source: str) -> str:
    """Return a hub id as it is, and of a path its last part: where it lay helps nobody."""
    return Path(source).name if _is_local(source) else source


def _is_local(source: str) -> bool:
    """Whether a text is a path, perhaps of what is gone by now, and no hub id."""
    path = Path(source).expanduser()
    looks_local = source.startswith(".") or len(path.parts) > 2
    is_file = source.endswith((".json", ".json.gz"))
    return path.is_absolute() or looks_local or is_file or is_folder(path)


def study_toml(config: StudyConfig) -> str:
    """Return a study file that says all that the study had in force, without passwords."""
    table = config.file.model_dump(mode="json", exclude_none=True, exclude={"preset"})
    return without_passwords("".join(f"{line}\n" for line in _toml_lines(table)))


def _toml_lines(table: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Yield a line for each key, with the path of its table before it."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, f"{path}{key}.")
        else:
            yield f"{path}{key} = {_toml_value(value)}"


def _toml_value(value: object) -> str:
    """Return a value as TOML writes it: but for tables in arrays, as JSON does."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _teacher(config: StudyConfig) -> str:
    return config.model_path(config.file.teacher.model)


def _front_matter(source: Source, class_name: str | None, licenses: Licenses) -> str:
    teacher = _teacher(source.config)
    base = [] if _is_local(teacher) else [f"base_model: {teacher}"]
    return "\n".join(
        [
            "---",
            f"license: {licenses.teacher or 'unknown'}",
            f"library_name: {'transformers' if class_name else 'onnx'}",
            "pipeline_tag: question-answering",
            *base,
            "tags: [limbeck, distillation]",
            "---",
            "",
        ]
    )


def _facts(
    folder: Path,
    source: Source,
    shape: Shape,
    *,
    kind: str,
    class_name: str | None,
    licenses: Licenses,
) -> str:
    data = source.config.file.data
    dev = public_name(data.dev) if data.dev else f"{data.held_out:.0%} of its articles, held out"
    if data.score_on == "test":
        dev = public_name(str(data.test))
    files = [path for path in folder.iterdir() if path.name not in (PICTURE, STUDY)]
    rows = {
        "format": f"{kind}{f', class {class_name}' if class_name else ''}",
        "teacher": public_name(_teacher(source.config)),
        "licence of the teacher": licenses.teacher or "not known",
        "learned from": public_name(data.train),
        "scored on": dev,
        "licence of the data": licenses.data or "not known",
        "parameters": f"{count_parameters(shape):,}",
        "heads of each layer": ", ".join(map(str, shape.heads_per_layer)),
        "feed-forward neurons of each layer": ", ".join(map(str, shape.ffn_per_layer)),
        "tokens in the vocabulary": f"{shape.vocab_size:,}",
        "bytes of this folder": f"{sum(path.stat().st_size for path in files):,}",
    }
    padded = (
        "\nParameters are those of the student; this folder is filled up with zeros.\n"
        if kind == "hf-stock"
        else ""
    )
    return f"{_table(rows)}{padded}"


def _scores(source: Source) -> str:
    run, config = source.run, source.config
    rows = {
        metric.name: format_value(run.values[metric.name], metric, run.errors.get(metric.name))
        for metric in config.metrics
        if metric.name in run.values
    }
    count = f"{run.values['total']:,.0f} questions" if "total" in run.values else "questions"
    selected = (
        "These questions selected nothing."
        if config.file.data.score_on == "test"
        else f"The study chose among {len(source.runs)} runs by the same questions, which makes "
        "the best scores too high by something that the spread does not tell."
    )
    spread = " ± is one standard error." if any(name in run.errors for name in rows) else ""
    return f"## Score\n\n{_table(rows)}\nOn {count}.{spread} {selected}\n"


def _latency(source: Source) -> str:
    times, place = _read(source, "latency.json"), _read(source, "environment.json")
    if not times:
        return "## Latency\n\nNot measured.\n"
    runtime = _RUNTIMES[str(times.get("runtime", "pytorch"))]
    processor = f", {place['processor']}" if place.get("processor") else ""
    return (
        f"## Latency\n\n{float(str(times['p50_ms'])):.1f} ms (median), "
        f"{float(str(times['p90_ms'])):.1f} ms (90th percentile) for {times['batch']} window of "
        f"{times['length']} tokens: the student in {runtime} on {times['device']}{processor}, "
        f"{times['threads']} threads, {times['repeats']} passes after {times['warmup']} to warm "
        "up.\n"
    )


def _use(class_name: str | None) -> str:
    if class_name is None:
        return _ANSWER
    is_slim = class_name.startswith("Slim")
    return _LOAD.format(trust=", trust_remote_code=True" if is_slim else "") + (
        _TRUST if is_slim else ""
    )


def _reproduction(source: Source) -> str:
    run = source.run
    sets = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in run.parameters.items()
    ]
    arguments = [part for text in sets for part in ("--set", text)]
    command = shlex.join(["limbeck", "distill", STUDY, *arguments])
    stored = [metric.name for metric in source.config.metrics if metric.role is Role.OPTIMIZE]
    return (
        f"## How to make it again\n\n```console\n$ {command}\n```\n\n"
        f"[{STUDY}]({STUDY}) is the study file as it was in force; its paths start where that was. "
        f"`limbeck search {STUDY}` is the whole search, for {' and '.join(stored)}.\n"
    )


def _read(source: Source, name: str) -> Mapping[str, object]:
    """Return what a JSON artifact of the run holds; nothing if the run has none."""
    if all(artifact.name != name for artifact in source.run.artifacts):
        return {}
    with TemporaryDirectory() as folder:
        path = fetch(source.artifact(name), Path(folder))
        found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _table(rows: Mapping[str, str]) -> str:
    lines: Sequence[str] = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines, ""])
