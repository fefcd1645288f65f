"""The promises of the settings."""

import pytest

from safelight import config
from safelight.config import Settings, load
from safelight.errors import ConfigurationError


def test_nothing_needs_to_be_set() -> None:
    """An empty environment gives settings that work."""
    assert load({}) == Settings()


def test_only_our_variables_are_read() -> None:
    """Variables of other programs, and those of the client commands, are left alone."""
    assert load({"HOME": "/root", "SAFELIGHT_API": "http://x", "SAFELIGHT_KEY": "k"}) == Settings()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("100MB", 100_000_000), ("1.5GB", 1_500_000_000), ("64M", 64_000_000), ("16MiB", 2**24)],
)
def test_sizes_take_units(text: str, size: int) -> None:
    """Sizes may be written as people write them."""
    assert load({"SAFELIGHT_MAX_BYTES": text}).max_bytes == size


def test_text_stays_text() -> None:
    """A watermark that looks like a size is a watermark."""
    assert load({"SAFELIGHT_WATERMARK_TEXT": "5M"}).watermark_text == "5M"


def test_lists_are_separated_by_commas() -> None:
    """A list is its items, without the spaces around them."""
    origins = load({"SAFELIGHT_CORS_ORIGINS": "https://a.example, https://b.example"}).cors_origins
    assert origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_switches(text: str, value: bool) -> None:
    """A switch is true or false, 1 or 0."""
    assert load({"SAFELIGHT_INLINE_RECIPES": text}).inline_recipes is value


def test_the_command_line_wins() -> None:
    """What was given on the command line overrides the environment; what was not given does not."""
    settings = load({"SAFELIGHT_WORKERS": "2", "SAFELIGHT_DATA": "/srv/a"}, workers=3, data=None)
    assert (settings.workers, settings.data) == (3, "/srv/a")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SAFELIGHT_MAX_BYTES", "lots"),
        ("SAFELIGHT_MAX_BYTES", "0"),
        ("SAFELIGHT_RENDER_SECONDS", "-1"),
        ("SAFELIGHT_MAX_ATTEMPTS", "21"),
        ("SAFELIGHT_BACKEND", "floppy"),
        ("SAFELIGHT_LOG_LEVEL", "loud"),
        ("SAFELIGHT_WATERMARK_TEXT", ""),
        ("SAFELIGHT_UPLOAD_SECONDS", "604801"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, text: str) -> None:
    """A value that can not be used stops the start, in one line that names the variable and the value."""
    with pytest.raises(ConfigurationError) as caught:
        load({variable: text})
    assert variable in caught.value.message
    assert "received" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("SAFELIGHT_WORKERS", "many", "a whole number from 0 on"),
        ("SAFELIGHT_UPLOAD_SECONDS", "0", "a whole number from 1 to 604800"),
        ("SAFELIGHT_MAX_BYTES", "lots", "a number of bytes from 1 to 5GB, such as 100MB"),
        ("SAFELIGHT_RETENTION_DAYS", "0", "a number above 0 (days)"),
        ("SAFELIGHT_LOG_LEVEL", "loud", "debug, error, info or warning"),
        ("SAFELIGHT_INLINE_RECIPES", "maybe", "true or false"),
        ("SAFELIGHT_WATERMARK_TEXT", "", "text of 1 to 200 characters"),
        ("SAFELIGHT_PUBLIC_URL", "example.com", "an address such as https://pictures.example.org"),
    ],
)
def test_a_refusal_says_what_is_expected(variable: str, text: str, expected: str) -> None:
    """In words, and with the choices where there are any."""
    with pytest.raises(ConfigurationError) as caught:
        load({variable: text})
    assert caught.value.message == f"{variable}: expected {expected}, received {text!r}."


@pytest.mark.parametrize("url", ["", "https://a.example", "http://[::1]:8000/", "https://a.example/pictures"])
def test_a_public_address_is_one_of_the_web(url: str) -> None:
    """http or https, with a port, a path or neither; or nothing."""
    assert load({"SAFELIGHT_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize(
    "url", ["a.example", "ftp://a.example", "https://", "https://a.example?x=1", "https://a b"]
)
def test_what_no_browser_could_open_is_no_public_address(url: str) -> None:
    """An address that signed URLs could not begin with is refused at the start."""
    with pytest.raises(ConfigurationError, match="SAFELIGHT_PUBLIC_URL"):
        load({"SAFELIGHT_PUBLIC_URL": url})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "https://a.example,http://localhost:5173",
        "https://a.example/",
        "null",
        "capacitor://localhost",
    ],
)
def test_origins_are_as_browsers_say_them(text: str) -> None:
    """A scheme and a host, any number of them, or every page."""
    assert ",".join(load({"SAFELIGHT_CORS_ORIGINS": text}).cors_origins) == text


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "https://a.example,b.example",
        "https://a.example/app",
        "https://",
        "https://*.example.org",
        "https://user:password@a.example",
    ],
)
def test_what_no_browser_would_say_is_no_origin(text: str) -> None:
    """It would match no page: it is refused at the start, with what it should look like."""
    with pytest.raises(ConfigurationError) as caught:
        load({"SAFELIGHT_CORS_ORIGINS": text})
    assert caught.value.message == (
        "SAFELIGHT_CORS_ORIGINS: expected origins such as https://pictures.example.org, without a path, or *, "
        f"received {text!r}."
    )


def test_a_variable_that_does_not_exist_is_refused() -> None:
    """A misspelt variable is not ignored in silence."""
    with pytest.raises(ConfigurationError, match="SAFELIGHT_MAX_BITES"):
        load({"SAFELIGHT_MAX_BITES": "1"})


def test_settings_reach_another_process_unchanged() -> None:
    """The environment made from settings gives the same settings."""
    settings = Settings(
        max_bytes=5, cors_origins=("https://a.example", "https://b.example"), inline_recipes=False
    )
    assert load(config.to_environ(settings)) == settings


def test_a_lease_outlives_the_longest_rendering() -> None:
    """A claim does not run out while a job may still be rendered."""
    settings = Settings(render_seconds=7.0)
    assert settings.lease_seconds > settings.render_seconds


def test_every_setting_explains_itself() -> None:
    """Each setting is followed by its docstring, from which the reference is made."""
    import inspect
    import re

    source = inspect.getsource(Settings)
    fields = re.findall(r"^    (\w+): .*(?:\n    \"\"\"(.*))?", source, re.MULTILINE)
    assert [name for name, text in fields] == list(Settings.__struct_fields__)
    assert [name for name, text in fields if not text] == []
