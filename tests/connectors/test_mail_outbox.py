"""Which mail is sent next, and which notifications are finished."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.bus.record import Record
from streams.connectors.mail_address import parse_address
from streams.connectors.mail_outbox import HOUR_MS, Backoff, Notice, Outbox, Patience, Pending, finish

DAY = Patience(give_up_ms=24 * HOUR_MS)
PATIENCE = Patience(recipient=Backoff(1000, 8000), server=Backoff(100, 400), give_up_ms=HOUR_MS)


def record(offset: int, partition: int = 0) -> Record:
    return Record("notifications", partition, offset, 1_000 + offset, b"user@example.org", b"")


def mail(to: str, offset: int, notice: Notice | None = None, partition: int = 0) -> Pending:
    address = parse_address(f"{to}@example.org")
    return Pending(address, f"<{offset}-{to}>", [notice or Notice(record(offset, partition))])


def outbox(rate: int = 30, most: int = 100, patience: Patience = PATIENCE) -> Outbox:
    return Outbox(rate=rate, most=most, patience=patience)


def test_mails_to_one_recipient_go_in_order() -> None:
    """The oldest first."""
    box = outbox()
    mails = [mail("soc", offset) for offset in range(3)]
    box.add(mails, 0)

    sent = []
    while (due := box.next_due(0)) is not None:
        sent.append(due)
        box.delivered(due, 0)

    assert sent == mails
    assert len(box) == 0


def test_recipients_take_turns() -> None:
    """Nobody waits behind another's hundred mails."""
    box = outbox()
    box.add([mail("soc", offset) for offset in range(3)], 0)
    box.add([mail("admin", 3)], 0)

    first = box.next_due(0)
    assert first is not None
    box.delivered(first, 0)
    second = box.next_due(0)

    assert second is not None
    assert second.address.local == "admin"


def test_a_refused_recipient_waits_longer_each_time_and_holds_nobody() -> None:
    """Greylisting of one is not everybody's."""
    box = outbox()
    bad, good = mail("bad", 0), mail("good", 1)
    box.add([bad, good], 0)

    assert box.next_due(0) is bad
    assert not box.failed(bad, 0)
    assert box.next_due(0) is good
    box.delivered(good, 0)

    assert box.next_due(999) is None
    assert box.wait_ms(600) == 400
    assert box.next_due(1000) is bad
    assert not box.failed(bad, 1000)
    assert box.next_due(2999) is None
    assert box.next_due(3000) is bad


def test_a_mail_on_which_the_server_chokes_lets_the_next_to_its_recipient_pass() -> None:
    """After the recipient's own pause the others are tried, and a success ends that pause."""
    box = outbox()
    poison, second, third = (mail("soc", offset) for offset in range(3))
    box.add([poison, second, third], 0)
    box.failed(poison, 0)
    box.failed(poison, 1000)

    assert box.next_due(2999) is None
    assert box.next_due(3000) is poison
    box.failed(poison, 3000)
    assert box.next_due(7000) is poison
    box.failed(poison, 7000)
    assert box.next_due(15000) is poison
    poison.not_before_ms = 30_000
    assert box.next_due(15000) is second
    box.delivered(second, 15000)

    assert box.next_due(15001) is third


def test_a_failing_server_holds_everybody_with_growing_pauses() -> None:
    """Nothing is tried before the pause is over, then any mail is the test."""
    box = outbox()
    box.add([mail("a", 0), mail("b", 1)], 0)

    box.server_failed(0)
    assert box.server_failing
    assert box.next_due(99) is None
    assert box.wait_ms(40) == 60
    box.server_failed(100)
    assert box.next_due(299) is None
    assert box.next_due(300) is not None
    box.server_answered()

    assert not box.server_failing
    assert box.next_due(300) is not None


def test_a_failing_server_is_probed_when_there_is_no_mail_to_try() -> None:
    """Or it would be failing for ever."""
    box = outbox()
    assert not box.probe_due(0)

    box.server_failed(0)

    assert not box.probe_due(99)
    assert box.wait_ms(0) == 100
    assert box.probe_due(100)


def test_a_mail_is_given_up_after_being_refused_for_the_whole_time() -> None:
    """Counted from its first refusal, not from when it was read."""
    box = outbox()
    bad = mail("bad", 0)
    box.add([bad], 0)

    assert not box.failed(bad, 5000)
    assert not box.failed(bad, 5000 + HOUR_MS - 1)
    assert box.failed(bad, 5000 + HOUR_MS)


def test_mails_are_given_up_when_the_server_failed_for_the_whole_time_since_they_were_read() -> None:
    """A mail that came later has its own time."""
    box = outbox()
    old, young = mail("a", 0), mail("b", 1)
    box.add([old], 0)
    assert box.server_failed(0) == []
    box.add([young], 1000)

    assert box.server_failed(HOUR_MS - 1) == []
    assert box.server_failed(HOUR_MS) == [old]
    box.server_answered()
    assert box.server_failed(HOUR_MS + 5000) == []


def test_at_most_rate_mails_go_to_one_recipient_in_any_hour() -> None:
    """The rest wait for the hour to pass, and others do not wait with them."""
    box = outbox(rate=2, patience=DAY)
    added = box.add([mail("soc", offset) for offset in range(4)], 0)
    assert added.held == 2
    for now_ms in (0, 1000):
        due = box.next_due(now_ms)
        assert due is not None
        box.delivered(due, now_ms)
    other = mail("admin", 9)
    box.add([other], 1000)

    assert box.next_due(1000) is other
    box.delivered(other, 1000)
    assert box.next_due(HOUR_MS - 1) is None
    assert box.wait_ms(1000) == HOUR_MS - 1000
    due = box.next_due(HOUR_MS)
    assert due is not None
    box.delivered(due, HOUR_MS)
    assert box.next_due(HOUR_MS + 999) is None
    assert box.next_due(HOUR_MS + 1000) is not None


def test_waiting_for_the_rate_is_no_failure() -> None:
    """A mail that was held for longer than the whole time of retries is still sent."""
    box = outbox(rate=1, patience=DAY)
    box.add([mail("soc", 0), mail("soc", 1)], 0)
    first = box.next_due(0)
    assert first is not None
    box.delivered(first, 30 * HOUR_MS)

    second = box.next_due(31 * HOUR_MS)

    assert second is not None
    assert not box.failed(second, 31 * HOUR_MS)


def test_nobody_fills_the_outbox_alone() -> None:
    """A quarter of it is for one recipient; what is more comes back at once, for the dead letters."""
    box = outbox(most=40)
    mails = [mail("soc", offset) for offset in range(12)]

    added = box.add(mails, 0)

    assert added.surplus == tuple(mails[10:])
    assert len(box) == 10
    assert not box.full


def test_many_busy_recipients_together_do_not_keep_mail_from_the_others() -> None:
    """Reading never pauses for mails that wait for their hour, so every owner is told at once."""
    box = outbox(rate=2, most=40, patience=DAY)
    surplus, told = 0, []
    for incident in range(100):
        busy = [mail(f"soc{n}", incident) for n in range(5)]
        surplus += len(box.add([*busy, mail(f"owner{incident}", incident)], incident).surplus)
        while (due := box.next_due(incident)) is not None:
            told.append(due.address.local)
            box.delivered(due, incident)
        assert not box.full

    assert [name for name in told if name.startswith("owner")] == [f"owner{incident}" for incident in range(100)]
    assert len(box) == 20
    assert surplus == 5 * 100 - 5 * 2 - 20


def delivered(box: Outbox) -> None:
    due = box.next_due(HOUR_MS)
    assert due is not None
    box.delivered(due, HOUR_MS)


def given_up(box: Outbox) -> None:
    box.done(next(iter(box)))


def moved_away(box: Outbox) -> None:
    box.keep_only({("notifications", partition) for partition in range(1, 4)})


@pytest.mark.parametrize("leaves", [delivered, given_up, moved_away])
def test_a_place_that_a_held_mail_leaves_is_free_for_another(leaves: Callable[[Outbox], None]) -> None:
    """Or the half for them would shrink with time, until every busy recipient's mail went to the dead letters."""
    box = outbox(rate=1, most=8, patience=DAY)
    box.add([mail(f"soc{n}", offset, partition=n) for n in range(4) for offset in range(2)], 0)
    while (due := box.next_due(0)) is not None:
        box.delivered(due, 0)
    first, second, third = (mail("admin", offset, partition=1) for offset in range(3))
    assert box.add([first, second], HOUR_MS - 1).surplus == (second,)

    leaves(box)

    assert box.add([second, mail("other", 1), third], HOUR_MS).surplus == (third,)
    assert second in list(box)


def test_the_outbox_is_full_at_its_bound() -> None:
    """Then reading pauses."""
    box = outbox(most=8)
    box.add([mail(f"r{n}", n) for n in range(8)], 0)
    assert box.full

    due = box.next_due(0)
    assert due is not None
    box.delivered(due, 0)

    assert not box.full


def test_a_notification_is_finished_by_its_last_mail() -> None:
    """Not by its first: a commit may not pass the one that waits."""
    box = outbox()
    notice = Notice(record(7))
    first, second = mail("a", 7, notice), mail("b", 7, notice)
    box.add([first, second], 0)

    assert box.delivered(first, 0) == []
    assert box.delivered(second, 0) == [record(7)]


def test_a_mail_already_delivered_is_not_sent_again() -> None:
    """The same notification read again holds nothing open."""
    box = outbox()
    first = mail("soc", 1)
    box.add([first], 0)
    box.delivered(first, 0)
    again = Notice(record(1), open=1)

    added = box.add([mail("soc", 1, again)], 0)

    assert added.repeated == 1
    assert len(box) == 0
    assert finish([again]) == [record(1)]


def test_a_repetition_of_a_waiting_mail_waits_with_it() -> None:
    """It is sent once, and both records are finished by that."""
    box = outbox()
    first, again = mail("soc", 1), Notice(record(5))
    box.add([first], 0)
    repeated = mail("soc", 1, again)

    assert box.add([repeated], 0).repeated == 1
    assert len(box) == 1
    assert box.delivered(first, 0) == [record(1), record(5)]


def test_mails_of_partitions_that_moved_are_forgotten() -> None:
    """The other mailer sends them; one of two partitions that hold the same mail is enough to keep it."""
    box = outbox()
    moved, kept = mail("a", 1, partition=0), mail("b", 2, partition=1)
    both = mail("c", 3, partition=0)
    box.add([moved, kept, both, mail("c", 3, partition=1)], 0)

    box.keep_only({("notifications", 1)})

    assert list(box) == [kept, both]
    assert box.delivered(moved, 0) == []
    assert box.delivered(both, 0) == [record(3, 1)]


def test_the_oldest_notification_is_known() -> None:
    """For the metric of its age."""
    box = outbox()
    assert box.oldest_timestamp_ms() is None

    box.add([mail("a", 9), mail("b", 3)], 0)

    assert box.oldest_timestamp_ms() == 1003


def test_the_rate_of_the_silent_is_forgotten() -> None:
    """Memory follows those who were written to within the hour."""
    box = outbox(rate=1)
    box.add([mail("soc", 0)], 0)
    due = box.next_due(0)
    assert due is not None
    box.delivered(due, 0)

    box.sweep(HOUR_MS - 1)
    box.add([mail("soc", 1)], HOUR_MS - 1)
    assert box.next_due(HOUR_MS - 1) is None
    box.sweep(HOUR_MS)

    assert box.next_due(HOUR_MS) is not None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "deliver", "fail", "server", "answer", "give up"]),
        st.integers(0, 3),
        st.integers(0, 4000),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_whatever_happens_every_mail_is_kept_until_it_is_done(steps: list[tuple[str, int, int]]) -> None:
    """Each added mail is finished exactly once, and the wait said is the wait needed."""
    box = outbox(rate=3, most=1000, patience=Patience(Backoff(1000, 8000), Backoff(100, 400), 24 * HOUR_MS))
    now_ms, added, finished = 0, 0, []
    for what, who, passed in steps:
        now_ms += passed
        if what == "add":
            box.add([mail(f"r{who}", added)], now_ms)
            added += 1
        elif what == "server":
            box.server_failed(now_ms)
        elif what == "answer":
            box.server_answered()
        elif (due := box.next_due(now_ms)) is not None:
            if what == "deliver":
                finished += box.delivered(due, now_ms)
            elif what == "fail":
                box.failed(due, now_ms)
            else:
                finished += box.done(due)
        wait_ms = box.wait_ms(now_ms)
        if len(box) and wait_ms is not None:
            assert box.next_due(now_ms + wait_ms) is not None
            assert wait_ms == 0 or box.next_due(now_ms + wait_ms - 1) is None

    assert len(box) + len(finished) == added
    assert len({done.offset for done in finished}) == len(finished)
