"""The command that shows in which way a model's answers are wrong, and where."""

import sys
from collections.abc import Sequence
from dataclasses import replace
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
    latest_study,
    make_folder,
    open_store,
    print_json,
)
from limbeck.errors import ConfigError
from limbeck.home import Home

if TYPE_CHECKING:
    from limbeck.analysis.mistakes import Answers, Examination
    from limbeck.store import Store
    from limbeck.tasks.question_answering.dataset import QuestionSet
    from limbeck.tasks.question_answering.mistakes import Kind

app = typer.Typer()


class KindChoice(StrEnum):
    """What --kind takes."""

    WRONG = "wrong"
    CORRECT = "correct"
    MOSTLY_CORRECT = "mostly-correct"
    MOSTLY_WRONG = "mostly-wrong"
    LABEL_HAS_ANSWER = "label-has-answer"
    LABEL_HAS_NO_ANSWER = "label-has-no-answer"


class FigureChoice(StrEnum):
    """What --figure takes."""

    KINDS = "kinds"
    TOPICS = "topics"
    CHANGES = "changes"


@app.command(epilog="Example: limbeck mistakes 7 --against baseline -o mistakes.html")
def mistakes(
    number: Annotated[
        int | None, typer.Argument(help="Number of the run.", metavar="[RUN]", min=0)
    ] = None,
    study: StudyName = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="What to compare with: baseline, teacher, a run, or a predictions file.",
            metavar="baseline|teacher|RUN|FILE",
        ),
    ] = None,
    topics: Annotated[
        int, typer.Option(min=1, help="How many topics to show, the largest first.")
    ] = 10,
    worst: Annotated[bool, typer.Option("--worst", help="Show the worst topics instead.")] = False,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            help="Show this topic, and only its examples; may be repeated.", metavar="TITLE"
        ),
    ] = None,
    kind: Annotated[
        list[KindChoice] | None,
        typer.Option(help="Kind of answers for the examples; by default all that are wrong."),
    ] = None,
    limit: Annotated[
        float, typer.Option(help="Token F1 from which on a wrong answer is mostly correct.")
    ] = 0.5,
    examples: Annotated[int, typer.Option(min=0, help="How many examples to show.")] = 3,
    csv: Annotated[
        Path | None, typer.Option(help="File to write the questions to, one a line.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Figure to write (.png, .svg or .html)."),
    ] = None,
    figure: Annotated[
        FigureChoice | None,
        typer.Option(help="Which figure; by default changes with --against, else topics."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Without a study: SQuAD 1.1 or 2.0 questions (.json, .json.gz)."),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Without a study: JSON object, question id to answer."),
    ] = None,
    na_prob_file: Annotated[
        Path | None,
        typer.Option(
            "--na-prob-file",
            "--na-probs",
            help="With --predictions: JSON object, question id to no-answer score.",
        ),
    ] = None,
    na_prob_thresh: Annotated[
        float, typer.Option(help="Above this no-answer score, no answer is predicted.")
    ] = 1.0,
    home: HomeFolder = DEFAULT_HOME,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Sort the answers of a run by the way in which they are wrong, and show where they are.

    An answer is correct, mostly correct or mostly wrong (by token F1), or there is an answer where
    the label has none, or none where it has one. --csv writes the questions of --kind and --topic,
    all of them by default.
    """
    from limbeck.analysis.mistake_tables import chosen, groups_by, worst_first
    from limbeck.analysis.mistakes import examine, select
    from limbeck.cli.mistake_tables import mistake_facts, print_mistakes, write_csv
    from limbeck.tasks.question_answering.mistakes import WRONG_KINDS

    _check_files(csv, output)
    _check_figure(figure, against, output)
    if worst and topic:
        raise ConfigError("--worst chooses topics, and so does --topic; leave one out")
    if data or predictions:
        if number is not None:
            raise ConfigError(f"--data and --predictions go without a run, but got run {number}")
        asked, answers = _from_files(
            data, predictions, against, na_probs=na_prob_file, threshold=na_prob_thresh
        )
    else:
        asked, answers = _from_study(
            number, study, against, home=Home(home.resolve()), store_url=store_url
        )
    examination = examine(answers, asked, limit=limit)
    groups = groups_by(examination, "topic")
    shown = chosen(groups, topic) if topic else (worst_first(groups) if worst else groups)[:topics]
    names = [group.name for group in shown]
    kinds, titles = _kinds(kind), names if topic else None
    found = select(examination.records, kinds=kinds or WRONG_KINDS, topics=titles)
    if as_json:
        print_json(mistake_facts(examination, names, found, examples=examples))
    else:
        print_mistakes(examination, names, found, examples=examples)
    if csv:
        write_csv(csv, select(examination.records, kinds=kinds, topics=titles))
        print(f"Questions: {csv}", file=sys.stderr)
    if output:
        _draw(examination, figure, names, output)
        print(f"Figure: {output}", file=sys.stderr)


def _from_study(
    number: int | None, study: str | None, against: str | None, *, home: Home, store_url: str | None
) -> "tuple[QuestionSet, list[Answers]]":
    """Return the questions of a study, and what a run and another model answered."""
    from limbeck.analysis.mistakes import run_answers
    from limbeck.questions import Questions
    from limbeck.study import stored_config

    if number is None:
        raise ConfigError(
            "a run must be named, as in limbeck mistakes 7, or files of questions and answers with "
            "--data and --predictions"
        )
    with open_store(home, store_url) as store:
        name = study or latest_study(store)
        config = stored_config(store, name)
        answers = [run_answers(name, store.run(name, number), home)]
        if against is not None:
            answers.append(_other(store, name, number, against, home))
    return Questions(config).scored, answers


def _other(store: "Store", study: str, number: int, against: str, home: Home) -> "Answers":
    """Return what the model answered that ``--against`` names."""
    from limbeck.analysis.mistakes import (
        BASELINE,
        TEACHER,
        file_answers,
        run_answers,
        teacher_answers,
    )

    if against == TEACHER:
        teacher = teacher_answers(study, home)
        if teacher is None:
            raise ConfigError(
                f"--against teacher needs answers of the teacher of {study!r}, but it was not "
                "examined; limbeck search does it when it goes on with the study"
            )
        return teacher
    if against != BASELINE and not against.isdecimal():
        return file_answers(Path(against))
    other = 0 if against == BASELINE else int(against)
    if other == number:
        raise ConfigError(f"--against must name another model, but run {number} is the same")
    return run_answers(study, store.run(study, other), home)


def _from_files(
    data: Path | None,
    predictions: Path | None,
    against: str | None,
    *,
    na_probs: Path | None,
    threshold: float,
) -> "tuple[QuestionSet, list[Answers]]":
    """Return the questions of a file, and the answers of one or two others."""
    from limbeck.analysis.mistakes import file_answers
    from limbeck.tasks.question_answering.dataset import read_squad

    if data is None or predictions is None:
        raise ConfigError("--data and --predictions go together: questions, and answers to them")
    answers = [file_answers(predictions, na_probs=na_probs, threshold=threshold)]
    if against is not None:
        answers.append(file_answers(Path(against)))
        if answers[0].name == answers[1].name:
            names = (str(predictions), against)
            answers = [replace(each, name=name) for each, name in zip(answers, names, strict=True)]
    return read_squad(data), answers


def _kinds(choices: Sequence[KindChoice] | None) -> "tuple[Kind, ...] | None":
    """Return the kinds of answers that ``--kind`` names; None without it."""
    from limbeck.tasks.question_answering.mistakes import WRONG_KINDS, Kind

    if not choices:
        return None
    if KindChoice.WRONG in choices:
        return WRONG_KINDS
    return tuple(Kind(choice.replace("-", " ")) for choice in choices)


def _check_figure(figure: FigureChoice | None, against: str | None, output: Path | None) -> None:
    """Check what is to be drawn."""
    if figure is FigureChoice.CHANGES and against is None:
        raise ConfigError("--figure changes needs --against: the model that it is compared with")
    if figure is not None and output is None:
        raise ConfigError("--figure needs -o: the file to draw it to")


def _check_files(csv: Path | None, output: Path | None) -> None:
    """Check the files that are to be written, before the work."""
    if csv is not None:
        make_folder(csv.parent, "--csv")
    if output is not None:
        from limbeck.analysis.figures.saving import check_figure_file

        check_figure_file(output)
        make_folder(output.parent, "--output")


def _draw(
    examination: "Examination", figure: FigureChoice | None, names: Sequence[str], path: Path
) -> None:
    """Write one of the figures."""
    from limbeck.analysis.figures.mistakes import changes_figure, groups_figure, kinds_figure
    from limbeck.analysis.figures.saving import save_figure

    other = examination.others[0].name if examination.others else None
    if figure is FigureChoice.KINDS:
        drawn = kinds_figure(examination)
    elif other is not None and figure is not FigureChoice.TOPICS:
        drawn = changes_figure(examination, other, names=names)
    else:
        drawn = groups_figure(examination, names=names)
    save_figure(drawn, path)
