"""The generated pages are those of the code, and their facts about settings and limits are true."""

import re
from functools import reduce
from pathlib import Path

import pytest

from functions.http import ROUTES
from perminute_cli.failures import ANSWER_IS_NO, USAGE
from shared.contracts.openapi.document import recorded
from shared.settings import Settings, SettingsError
from tests.docs import limits as limits_page
from tests.docs import tables
from tests.docs.error_routes import observed_codes
from tests.docs.reference import ROOT, pages
from tests.docs.row_properties import PROPERTIES
from tests.docs.settings import KEY, NEEDED, SETTINGS, Setting, uses
from tests.infra.test_settings import RecordingEnvironment
from tests.openapi.session import FILES
from tests.schemas.test_schemas import RELEASES, release

PAGES = pages()
ARCHIVE_PLACES = ("ARCHIVE_ENDPOINT", "ARCHIVE_CONNECTION_STRING")


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_that_of_the_code(path: str) -> None:
    """`python -m tests.docs.reference` writes it again."""
    assert (ROOT / path).read_text("utf-8") == PAGES[path]


def test_no_page_of_an_area_is_left_over() -> None:
    folder = ROOT / "docs" / "reference"
    written = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*.md")}

    generated = {path for path in PAGES if path.startswith("docs/reference/")}
    assert written == generated | {"docs/reference/errors.md"}


def test_error_codes_are_recorded_for_functions_that_exist() -> None:
    assert observed_codes().keys() <= {route.name for route in ROUTES}


@pytest.mark.parametrize("kind", tables.KINDS, ids=lambda kind: f"{kind.table}: {kind.key}")
def test_a_kind_of_row_was_written_with_exactly_its_described_properties(kind: tables.Kind) -> None:
    """`python -m tests.docs.recorder TESTS` adds the rows that tests write."""
    rows = tables.forms()[kind]
    written = {tables.base(name) for *_, types in rows for name in types}

    assert rows
    assert written - {"schema"} == kind.properties.keys()
    assert all(each.unit and each.about.endswith(".") for each in kind.properties.values())


def test_properties_are_described_for_kinds_that_exist() -> None:
    assert PROPERTIES.keys() == {(kind.table, kind.key) for kind in tables.KINDS}
    assert tables.NAMES.keys() == tables.table_names()


def test_every_limit_has_a_unit_and_a_meaning() -> None:
    """tests/docs/limit_meanings.txt."""
    names = {name for section in limits_page.sections().values() for name in section}

    assert limits_page.meanings().keys() == names
    assert [name for name in names if not limits_page.unit_of(name)] == []


def test_the_limits_that_callers_meet_exist_and_are_used() -> None:
    names = [name for section in limits_page.sections().values() for name in section]

    assert len(names) == len(set(names))
    assert limits_page.MET.keys() <= set(names)
    assert [name for name in names if not limits_page.is_used(name)] == []


def test_the_settings_are_those_that_the_code_reads() -> None:
    environment = RecordingEnvironment()
    Settings.from_environment(environment)
    for name in ("TABLES_CONNECTION_STRING", "ServiceBus"):
        assert name in environment.names

    assert {each.name for each in SETTINGS} == environment.names


def _value(settings: Settings, field: str) -> object:
    return reduce(getattr, field.split("."), settings)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.name)
def test_a_setting_has_its_default_and_its_type(setting: Setting) -> None:
    more = {}
    if setting.name.startswith("SMTP"):
        more = {"SMTP_HOST": "mail.example.test", "SMTP_FROM": "a@example.test"}
    if "ARCHIVE" in setting.name:
        more = {"PERMINUTE_ARCHIVE_KEY": KEY, "ARCHIVE_CLIENT_ID": "x"}
        more[ARCHIVE_PLACES[setting.name == "ARCHIVE_ENDPOINT"]] = "x"
    least = {**NEEDED, **more}
    without = {name: value for name, value in least.items() if name != setting.name}

    if setting.shown.startswith("needed") or setting.name in NEEDED:
        with pytest.raises(SettingsError, match=setting.name):
            Settings.from_environment(without)
    elif setting.name not in more:
        assert _value(Settings.from_environment(least), setting.field) == setting.default
    if setting.invalid:
        with pytest.raises(SettingsError, match=setting.name):
            Settings.from_environment({**least, setting.name: setting.invalid})
    if setting.valid and not setting.name.startswith("ENTRA"):
        assert Settings.from_environment({**least, setting.name: setting.valid})
    assert uses(setting.field)


def test_a_setting_that_is_read_is_on_the_page_of_the_configuration() -> None:
    page = (Path(ROOT) / "docs" / "configuration.md").read_text("utf-8")

    assert [each.name for each in SETTINGS if f"`{each.name}`" not in page] == []


def test_every_table_of_the_source_is_on_the_page_and_every_recorded_row_has_its_kind() -> None:
    assert tables.table_names() == tables.TABLES.keys()
    assert {kind.table for kind in tables.KINDS} == tables.TABLES.keys()
    for row in tables.observed():
        tables.kind_of(row)


@pytest.mark.parametrize("name", RELEASES)
def test_every_row_of_a_release_has_its_kind(name: str) -> None:
    for row in release(name)["rows"]:
        tables.kind_of([row["table"], row["partition"], row["key"]])


def test_the_page_of_the_command_line_has_its_exit_statuses() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    table = page.partition("| status | means |")[2].partition("\n\n")[0]

    assert re.findall(r"(?m)^\| (\d+) \|", table) == ["0", str(ANSWER_IS_NO), str(USAGE)]


def test_every_route_with_a_body_has_a_request_on_its_page() -> None:
    without = [
        route.name
        for route in ROUTES
        if route.body and "request" not in recorded()[route.name] and route.name not in FILES
    ]

    assert without == []
