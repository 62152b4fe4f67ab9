"""Commands for the chosen model on its way out: export, ask, push, bench."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.options import (
    DEFAULT_HOME,
    AsJson,
    HomeFolder,
    StoreUrl,
    StudyName,
    check_picture,
    latest_study,
    make_folder,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

if TYPE_CHECKING:
    from limbeck.answer import Answer, Answerer
    from limbeck.export.exporting import Exported
    from limbeck.export.serving import Timing
    from limbeck.export.source import Source
    from limbeck.students.modeling import SlimBertForQuestionAnswering

app = typer.Typer()


class Format(StrEnum):
    """Words of ``--to``."""

    HF = "hf"
    HF_STOCK = "hf-stock"
    ONNX = "onnx"
    ONNX_INT8 = "onnx-int8"


RunNumber = Annotated[int, typer.Argument(help="Number of the run.", metavar="RUN", min=0)]
To = Annotated[
    Format,
    typer.Option(
        "--to",
        help="hf: as small as it is; hf-stock: in a class of transformers' own, filled up with "
        "zeros; onnx, onnx-int8: with a program that answers without torch.",
    ),
]
Check = Annotated[
    int, typer.Option(min=0, help="Scored questions to compare its answers on; 0: no check.")
]
TeacherLicense = Annotated[
    str | None, typer.Option(help="Licence of the teacher, for the model card.")
]
DataLicense = Annotated[str | None, typer.Option(help="Licence of the data, for the model card.")]


@app.command(epilog="Example: limbeck export 7 --to onnx-int8 -o answers")
def export(
    number: RunNumber,
    to: To = Format.HF,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New or empty folder; by default STUDY-RUN-FORMAT."),
    ] = None,
    check: Check = 200,
    teacher_license: TeacherLicense = None,
    data_license: DataLicense = None,
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's student for other programs, with a model card.

    Before the folder appears, its answers to real questions are compared with the student's: they
    must be equal; of onnx-int8 the loss is measured and written down.
    """
    from limbeck.export.card import Licenses
    from limbeck.export.exporting import export_run

    _hide_bars()
    licenses = Licenses(teacher=teacher_license, data=data_license)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        folder = output or Path(f"{name}-{number}-{to}")
        make_folder(folder.absolute().parent, "--output")
        exported = export_run(
            *(store, name, number, folder),
            to=to.value,
            check=check,
            licenses=licenses,
            progress=_say,
        )
    _print_exported(exported, as_json=as_json)


@app.command(epilog='Example: limbeck ask 7 --question "Who wrote it?" --context-file page.txt')
def ask(
    number: RunNumber,
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask.")],
    context: Annotated[str | None, typer.Option(help="Text that answers it.")] = None,
    context_file: Annotated[Path | None, typer.Option(help="File that holds the text.")] = None,
    n_best: Annotated[int, typer.Option(min=1, help="Candidates to show.")] = 5,
    threshold: Annotated[
        float | None,
        typer.Option(help="Above these null odds there is no answer; by default the study's, 0."),
    ] = None,
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ask a run's student a question about a text of any length.

    It answers as its ONNX export does, which is made when a run is first asked.
    """
    from dataclasses import asdict

    from limbeck.export.answering import answering_folder
    from limbeck.export.source import find_source

    text = _context(context, context_file)
    if not (question.strip() and text.strip()):
        raise ConfigError("question and context must not be empty; give both")
    with open_store(Home(home), store_url) as store:
        source = find_source(store, study or latest_study(store), number)
    folder = answering_folder(source, Home(home), say=_say)
    answer = _answer(folder, question, text, n_best=n_best, threshold=threshold)
    print_json(asdict(answer)) if as_json else _print_answer(answer)


@app.command(epilog="Example: limbeck push 7 me/small-reader --to hf --dry-run")
def push(
    number: RunNumber,
    repository: Annotated[str, typer.Argument(help="USER/NAME on the hub.", metavar="REPO")],
    to: To = Format.HF,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Export and list the files, but upload nothing.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository public, not private.")
    ] = False,
    check: Check = 200,
    teacher_license: TeacherLicense = None,
    data_license: DataLicense = None,
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Export a run's student and upload it to the Hugging Face hub."""
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from limbeck.export.card import Licenses
    from limbeck.export.exporting import export_run
    from limbeck.export.hub import check_hub, check_repository, uploads
    from limbeck.export.hub import push as upload

    check_repository(repository)
    if not dry_run:
        check_hub(repository)
    _hide_bars()
    licenses = Licenses(teacher=teacher_license, data=data_license)
    with open_store(Home(home), store_url) as store, TemporaryDirectory() as parent:
        folder = Path(parent) / "export"
        name = study or latest_study(store)
        export_run(
            *(store, name, number, folder),
            to=to.value,
            check=check,
            licenses=licenses,
            progress=_say,
        )
        files = uploads(folder)
        address = None if dry_run else upload(folder, repository, private=not public)
    if as_json:
        facts = [asdict(file) for file in files]
        print_json({"repository": repository, "files": facts, "uploaded": address})
        return
    for file in files:
        print(f"{file.bytes:>12,}  {file.path}")
    total = sum(file.bytes for file in files)
    done = f"uploaded: {address}" if address else "would be uploaded; nothing was"
    print(f"{total:>12,}  bytes in {len(files)} files for {repository} {done}")


@app.command(epilog="Example: limbeck bench 7 11 -o speed.png")
def bench(
    numbers: Annotated[
        list[int], typer.Argument(help="Numbers of the runs.", metavar="RUN...", min=0)
    ],
    batches: Annotated[
        list[int] | None, typer.Option("--batch", min=1, help="Windows at once: 1 and 8.")
    ] = None,
    lengths: Annotated[
        list[int] | None, typer.Option("--length", min=4, help="Tokens a window: 128, the study's.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Passes measured of each.")] = 20,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; torch's default if left out.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--output", "-o", help="Figure to write (.png or .svg).")
    ] = None,
    study: StudyName = None,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Measure latency and throughput on this CPU: PyTorch, ONNX and int8, teacher and baseline."""
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    import torch

    from limbeck.export.exporting import serving_module
    from limbeck.export.source import find_source

    check_picture(picture)
    serving = serving_module()
    if threads:
        torch.set_num_threads(threads)
    with open_store(Home(home), store_url) as store:
        name = study or latest_study(store)
        sources = [find_source(store, name, number) for number in dict.fromkeys(numbers)]
    if 0 not in numbers:
        sources += _baseline(sources[0])
    longest = sources[0].config.file.data.max_length
    models = _models(sources, Home(home))
    _check_lengths(lengths or [], models)
    with TemporaryDirectory() as parent:
        passes = {}
        for index, (label, model) in enumerate(models.items()):
            _say(f"exporting {label}")
            folder = Path(parent) / str(index)
            folder.mkdir()
            passes[label] = serving.passes(model, folder)
        _say("measuring")
        timings = serving.measure(
            passes,
            batches=batches or [1, 8],
            lengths=lengths or sorted({min(128, longest), longest}),
            repeats=repeats,
        )
    if picture is not None:
        serving.save_figure(picture, timings)
        _say(f"figure: {picture}")
    if as_json:
        print_json([{**asdict(t), "windows_per_second": t.windows_per_second} for t in timings])
    else:
        _print_timings(timings)


def _hide_bars() -> None:
    """Keep transformers from drawing a bar for every file."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers'


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_exported(exported: "Exported", *, as_json: bool) -> None:
    from dataclasses import asdict

    from limbeck.export.card import describe_check

    if as_json:
        print_json(asdict(exported))
        return
    print(f"{exported.folder}: {exported.kind}, {exported.bytes:,} bytes")
    print(f"Check: {describe_check(exported.kind, exported.comparison)}")


def _context(context: str | None, file: Path | None) -> str:
    """Return the text that is asked about.

    Raises:
        ConfigError: If none or two are given, or the file cannot be read.
    """
    if (context is None) == (file is None):
        raise ConfigError("the text must be given once: --context TEXT or --context-file FILE")
    if file is None:
        return context or ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--context-file must be a text in UTF-8, but {error}") from error


def _answer(
    folder: Path, question: str, context: str, *, n_best: int, threshold: float | None
) -> "Answer":
    """Ask the model of a folder.

    Raises:
        ConfigError: If it cannot be asked this, or onnxruntime is missing.
    """
    from limbeck.config.packages import module_with_onnx

    answering = module_with_onnx("limbeck.answer")
    try:
        answerer: Answerer = answering.Answerer(folder)
        return answerer(question, context, n_best=n_best, threshold=threshold)
    except answering.AnsweringError as error:
        raise ConfigError(str(error)) from error


def _print_answer(answer: "Answer") -> None:
    from limbeck.cli.tables import OUT, new_table

    print(answer.text or "(no answer)")
    table = new_table("candidate", "score", "probability", "characters")
    for each in answer.candidates:
        place = f"{each.start}-{each.end}"
        table.add_row(each.text, f"{each.score:.2f}", f"{each.probability:.3f}", place)
    table.add_row("(no answer)", "", f"{answer.no_answer_probability:.3f}", "")
    OUT.print(table)
    print(f"{answer.windows} windows, {answer.milliseconds:.0f} ms", file=sys.stderr)


def _check_lengths(lengths: list[int], models: "dict[str, SlimBertForQuestionAnswering]") -> None:
    """Raise a `ConfigError` if a model cannot read windows so long."""
    for label, model in models.items():
        longest = model.config.max_position_embeddings
        if max(lengths, default=0) > longest:
            raise ConfigError(
                f"--length must not exceed the {longest} positions of {label}, but got "
                f"{max(lengths)}; lower it"
            )


def _baseline(source: "Source") -> "list[Source]":
    """Return the baseline, if it has its student still."""
    from dataclasses import replace

    from limbeck.artifacts import WEIGHTS

    first = source.runs[0]
    has_weights = any(artifact.name == WEIGHTS for artifact in first.artifacts)
    return [replace(source, run=first)] if has_weights else []


def _models(sources: "list[Source]", home: Home) -> "dict[str, SlimBertForQuestionAnswering]":
    """Return the models to measure: students, the baseline last but one, the teacher last."""
    from limbeck.objective import Objective
    from limbeck.students.loading import load_teacher

    models = {}
    for source in sources:
        with source.student() as folder:
            label = f"run {source.run.number}{' (baseline)' if source.run.number == 0 else ''}"
            models[label] = load_teacher(str(folder))
    models["teacher"] = load_teacher(Objective(sources[0].config, home).teacher_path)
    return models


def _print_timings(timings: "list[Timing]") -> None:
    from limbeck.cli.tables import OUT, new_table

    table = new_table("model", "format", "batch", "length", "median ms", "90 % ms", "windows/s")
    for timing in timings:
        table.add_row(
            timing.model,
            timing.format,
            str(timing.batch),
            str(timing.length),
            f"{timing.p50_ms:.2f}",
            f"{timing.p90_ms:.2f}",
            f"{timing.windows_per_second:.1f}",
        )
    OUT.print(table)
    print(f"CPU, {timings[0].threads} threads, {timings[0].repeats} passes each, in turn")
