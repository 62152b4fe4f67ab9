from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from limbeck.tasks.question_answering.dataset import Answer, Question
from limbeck.tasks.question_answering.excerpts import Piece, Role, excerpt, find_answer

CONTEXT = "In 1066 the Normans came. The living remember 1066 in the north of the kingdom."


def asked(context: str, *gold: tuple[int, int]) -> Question:
    answers = tuple(Answer(context[start:end], start) for start, end in gold)
    return Question("q", "", context, "when?", answers)


def test_an_answer_is_found_nearest_to_the_gold_one() -> None:
    second = CONTEXT.rindex("1066")
    assert find_answer(asked(CONTEXT, (second, second + 7)), "1066") == second
    assert find_answer(asked(CONTEXT), "1066") == 3


def test_a_whole_word_goes_before_a_part_of_one() -> None:
    assert find_answer(asked(CONTEXT), "in") == CONTEXT.index(" in the") + 1
    assert find_answer(asked(CONTEXT), "livin") == CONTEXT.index("livin")


def test_what_stands_nowhere_is_not_found() -> None:
    assert find_answer(asked(CONTEXT), "1067") is None
    assert find_answer(asked(CONTEXT), " ") is None
    assert find_answer(asked(CONTEXT), "") is None


def test_overlapping_answers_are_marked_piece_by_piece() -> None:
    question = asked("one two three four", (4, 13))  # two three
    assert excerpt(question, "three four") == (
        Piece("one ", Role.CONTEXT),
        Piece("two ", Role.GOLD),
        Piece("three", Role.BOTH),
        Piece(" four", Role.PREDICTED),
    )


def test_gold_answers_far_from_each_other_are_shown_with_a_gap_between_them() -> None:
    context = f"aaa {'x ' * 40}mmm {'y ' * 40}zzz"
    question = asked(context, (0, 3), (len(context) - 3, len(context)))
    assert excerpt(question, "", margin=6) == (
        Piece("aaa", Role.GOLD),
        Piece(" x x x", Role.CONTEXT),
        Piece("…", Role.CUT),
        Piece("y y y ", Role.CONTEXT),
        Piece("zzz", Role.GOLD),
    )


def test_without_an_answer_the_context_begins() -> None:
    assert excerpt(asked("one two three four five"), "", margin=3) == (
        Piece("one two", Role.CONTEXT),  # 12 characters would end within "three"
        Piece("…", Role.CUT),
    )


def test_a_short_context_is_shown_whole() -> None:
    assert excerpt(asked("<b>no</b>"), "none") == (Piece("<b>no</b>", Role.CONTEXT),)


TEXT = st.text(alphabet="ab .\n\U0001f600\u0645", min_size=1, max_size=120).filter(
    lambda text: bool(text.strip())
)


@given(data=st.data(), context=TEXT, margin=st.integers(0, 30))
def test_pieces_are_the_context_with_every_answer_whole(
    data: st.DataObject, context: str, margin: int
) -> None:
    places = st.integers(0, len(context) - 1)
    spans = data.draw(st.lists(st.tuples(places, places), max_size=3))
    gold = [(min(pair), max(pair) + 1) for pair in spans]
    question = asked(context, *[span for span in gold if context[slice(*span)].strip()])
    answer = data.draw(st.one_of(st.just(""), places.map(lambda at: context[at : at + 5])))
    pieces = excerpt(question, answer, margin=margin)

    place = 0
    for piece in pieces:
        if piece.role is Role.CUT:
            assert piece.text == "…"
        else:
            place = context.index(piece.text, place) + len(piece.text)
    assert all(first.role is not second.role for first, second in pairwise(pieces))
    shown = "".join(piece.text for piece in pieces if piece.role in (Role.PREDICTED, Role.BOTH))
    assert shown == (answer if answer.strip() else "")
    gold_letters = sum(len(piece.text) for piece in pieces if piece.role in (Role.GOLD, Role.BOTH))
    assert gold_letters == len(
        {at for each in question.answers for at in range(each.start, each.start + len(each.text))}
    )
