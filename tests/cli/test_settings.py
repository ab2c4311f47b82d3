"""`loginwatch settings`."""

from tests.cli.conftest import Loginwatch


def test_settings_show_value_origin_and_unit(loginwatch: Loginwatch) -> None:
    """What is in force and where it came from, for people."""
    answer = loginwatch("settings", env={"lateness": "20"})

    [line] = [line.split() for line in answer.out.splitlines() if line.strip().startswith("lateness")]
    assert line == ["lateness", "20", "environment", "minutes"]


def test_secrets_are_never_shown(loginwatch: Loginwatch) -> None:
    """Not for people, and not for programs."""
    for form in ([], ["--json"]):
        answer = loginwatch("settings", *form, env={"gateway_api_key": "hunter2-hunter2"})
        assert "hunter2" not in answer.out
        assert "(set)" in answer.out
