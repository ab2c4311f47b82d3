"""What a new password must be."""

import pytest

from streams.panel.people.passwords import is_easy


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password123!",
        "P@ssw0rd2024",
        "qwertyuiop12",
        "iloveyou1234",
        "letmeinletmein",
        "1234567890123456",
        "abcdefghijklmnop",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "hunter2hunter2",
        "annaanna1234",
        "example.org1",
        "loginwatch and more words",
        "passwordpasswordpasswordpassword",
    ],
)
def test_common_passwords_and_what_is_made_of_them_are_easy(password: str) -> None:
    """Lists of common ones, keyboards, repetitions, dates, the person's name and domain, the product's name."""
    assert is_easy(password, "anna@example.org")


@pytest.mark.parametrize(
    "password",
    [
        "a heap of unrelated words",
        "correct horse battery staple",
        "Trompete-Gurke-17",
        "zwölf Katzen im Schnee",
        "x9$Lq!r2Vw#8",
    ],
)
def test_several_words_and_random_ones_are_taken(password: str) -> None:
    """Nothing is demanded of the kinds of characters; spaces and every letter of Unicode count."""
    assert not is_easy(password, "anna@example.org")
