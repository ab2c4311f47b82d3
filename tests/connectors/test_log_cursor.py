"""Which lines of a journal are passed over after a restart: those that were read, and no others."""

from hypothesis import given
from hypothesis import strategies as st

from streams.connectors.log_cursor import MOST_SEQUENCES, JournalCursors
from tests.connectors.mail_log_kit import journal_line, login_line


def test_lines_up_to_the_known_cursor_are_passed_over() -> None:
    """Also where journalctl gives more than it was asked for; within one life nothing is passed over."""
    first = JournalCursors()
    assert all(first.is_new(journal_line(number)) for number in (9, 10, 10, 9))

    again = JournalCursors(first.last())
    assert [again.is_new(journal_line(number)) for number in (8, 9, 10, 17)] == [False, False, True, True]


def test_each_sequence_has_a_cursor_of_its_own() -> None:
    """Journals of several machines in one stream; of very many the oldest are forgotten, and their lines repeated."""
    first = JournalCursors()
    sequences = [f"{number:032x}" for number in range(MOST_SEQUENCES + 1)]
    assert all(first.is_new(journal_line(5, sequence)) for sequence in sequences)
    assert len(first.last()) == MOST_SEQUENCES

    again = JournalCursors(first.last())
    assert [again.is_new(journal_line(5, sequence)) for sequence in sequences] == [True] + [False] * MOST_SEQUENCES
    assert again.is_new(journal_line(6, sequences[-1]))


def test_what_has_no_cursor_is_read() -> None:
    """Lines of syslog, damaged ones, cursors of another form, and a cursor that somebody logged as his message."""
    known = JournalCursors([f"s={'a' * 32};i=ff;b=0"])

    assert known.is_new(login_line(1))
    assert known.is_new(b'{"__CURSOR":"s=1","MESSAGE":"x"}')
    assert known.is_new(b'{"MESSAGE":"\\"__CURSOR\\":\\"s=' + b"a" * 32 + b';i=1;b=0\\""}')
    assert known.last() == (f"s={'a' * 32};i=ff;b=0",)


@given(st.binary(max_size=400), st.lists(st.text(max_size=60), max_size=20))
def test_no_line_and_no_saved_cursor_stops_it(line: bytes, known: list[str]) -> None:
    """Whatever it is."""
    cursors = JournalCursors(known)
    cursors.is_new(line)
    cursors.is_new(b'{"__CURSOR":"' + line)
    assert len(cursors.last()) <= len(known) + 1
