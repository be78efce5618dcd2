"""Workbooks and alerts read only what the code logs, in queries that Kusto understands."""

import ast
import json
import re
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.infra.bicep import (
    COMPILER_SECONDS_MAX,
    ENVIRONMENTS,
    INFRA,
    ROOT,
    TEST_SECONDS_MAX,
    resources,
)
from tests.infra.catalogue import documented, events

HERE = ROOT / "tests" / "infra"
EVENTS_NAMED = re.compile(r'\be\.event (?:==|in) (\("[^)]*"\)|"\w+")')
FIELDS_NAMED = re.compile(r'\be(?:\.(\w+)|\["(\w+)"\])')
# What stands in the place of a workbook's parameter while a query is checked.
SAMPLE = {"{Account}": "contoso"}


def _alerts(environment: str) -> dict[str, str]:
    return {
        rule["name"]: rule["properties"]["criteria"]["allOf"][0]["query"]
        for rule in resources(environment, "Insights/scheduledQueryRules")
    }


def _workbooks(environment: str) -> dict[str, dict[str, Any]]:
    return {
        book["properties"]["displayName"]: json.loads(book["properties"]["serializedData"])
        for book in resources(environment, "Insights/workbooks")
    }


def _charts(environment: str) -> dict[str, str]:
    return {
        f"{title}: {item['name']}": item["content"]["query"]
        for title, book in _workbooks(environment).items()
        for item in book["items"]
        if item["type"] == 3
    }


@cache
def _queries() -> dict[str, str]:
    """Every query that would be deployed, as Azure evaluates the templates."""
    return _alerts("prod") | _charts("prod")


def _analysed(queries: dict[str, str]) -> dict[str, list[str]]:
    node = shutil.which("node")
    assert node, "Node.js runs Microsoft's analyser"
    request = {"tables": json.loads((HERE / "tables.json").read_text("utf-8")), "queries": queries}
    done = subprocess.run(
        [node, "check_kql.js"],
        cwd=HERE,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=COMPILER_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return {name: lines for name, lines in found.items() if lines}


def _with_samples(query: str) -> str:
    for parameter, sample in SAMPLE.items():
        query = query.replace(parameter, sample)
    return query


# Queries with something wrong, each with the code that the analyser must give it.
WRONG = {
    "AppTrace | count": "KS204",
    "AppTraces | project Mesage": "KS142",
    "AppTraces | where SeverityLevel startswith 1": "KS",
    "AppTraces | sumarize count()": "KS",
}


@cache
def _verdicts() -> dict[str, list[str]]:
    """All queries in one go: starting the analyser takes longer than its work."""
    sound = {name: _with_samples(text) for name, text in _queries().items()}
    return _analysed(sound | {query: query for query in WRONG})


@pytest.mark.timeout(TEST_SECONDS_MAX)
def test_kusto_finds_nothing_wrong_with_any_query() -> None:
    assert {name: reported for name, reported in _verdicts().items() if name not in WRONG} == {}


@pytest.mark.timeout(TEST_SECONDS_MAX)
@pytest.mark.parametrize(("query", "code"), WRONG.items())
def test_kusto_would_find_something(query: str, code: str) -> None:
    """A wrong table, column, type or operator is an error: the check has teeth."""
    assert code in " ".join(_verdicts()[query])


def _named_events(query: str) -> set[str]:
    return {name for text in EVENTS_NAMED.findall(query) for name in re.findall(r"\w+", text)}


def test_every_event_that_a_query_names_is_logged() -> None:
    unknown = {
        name: _named_events(query) - set(events())
        for name, query in _queries().items()
        if _named_events(query) - set(events())
    }

    assert unknown == {}


def test_every_invocation_without_http_is_reported() -> None:
    """Whatever came of it: the event stands in the body of the function, under no condition. The
    edge logs those with HTTP (`http_request`)."""
    manifest = json.loads((ROOT / "tests" / "golden" / "binding_manifest.json").read_text("utf-8"))
    others = {
        name
        for name, bindings in manifest.items()
        if not any(binding["type"] == "httpTrigger" for binding in bindings)
    }
    reporting = {
        node.name
        for path in (ROOT / "functions").glob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef)
        and any(
            re.match(r"(event|report|_report_outcome)\(", ast.unparse(statement))
            for statement in node.body
        )
    }

    assert len(others) >= 6
    assert others - reporting == set()


def test_every_field_that_a_query_names_is_logged_with_one_of_its_events() -> None:
    unknown: dict[str, set[str]] = {}
    for name, query in _queries().items():
        known = {"event"}.union(*(events()[event] for event in _named_events(query)))
        if missing := {a or b for a, b in FIELDS_NAMED.findall(query)} - known:
            unknown[name] = missing

    assert unknown == {}


def test_a_query_of_events_names_them() -> None:
    """Else its fields could not be held against the code."""
    silent = [
        name for name, query in _queries().items() if "e." in query and "e.event" not in query
    ]

    assert silent == []
    assert all(
        _named_events(query) for query in _queries().values() if "parse_json(Message)" in query
    )


def test_the_catalogue_is_what_the_code_logs() -> None:
    """After a wanted change: `python -m tests.infra.catalogue`."""
    assert {name: fields for name, (_, fields) in documented().items()} == events()
    assert [name for name, (when, _) in documented().items() if not when] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_query_file_is_used_as_it_stands(environment: str) -> None:
    """One place for each query; the same ones in every environment."""
    files = {path.read_text("utf-8") for path in INFRA.glob("queries/*/*.kql")}
    deployed = {*_alerts(environment).values(), *_charts(environment).values()}

    assert deployed == files
    assert all(text.startswith("// ") and text.endswith("\n") for text in files)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_workbooks_are_whole(environment: str) -> None:
    """Each chart has its own name, follows the chosen time and fits into a row."""
    books = _workbooks(environment)

    assert {title.split(" (")[0] for title in books} == {
        "Perminute: Finance",
        "Perminute: Operations",
    }
    (operations,) = (book for title, book in books.items() if "Operations" in title)
    assert next(item for item in operations["items"] if item["type"] == 3)["name"] == "Status"
    for book in books.values():
        assert book["version"] == "Notebook/1.0"
        names = [item["name"] for item in book["items"]]
        assert len(names) == len(set(names))
        (choices,) = (item["content"] for item in book["items"] if item["type"] == 9)
        assert {each["name"] for each in choices["parameters"]} == {"TimeRange", "Account"}
        for item in book["items"]:
            if item["type"] == 3:
                assert item["content"]["timeContextFromParameter"] == "TimeRange"
                assert item["customWidth"] in {"50", "100"}


def test_finance_finds_its_figures() -> None:
    titles = {name.partition(": Finance (prod): ")[2] for name in _charts("prod")}

    assert {
        *(
            "Spend by destination",
            "Spend by organizer",
            "Spend by cost center",
            "Most expensive meetings",
        ),
        *("Credits and forecast", "Denied dial-outs"),
    } <= titles


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_alert_notifies_someone_and_leads_to_the_runbook(environment: str) -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in runbook.splitlines()
        if line.startswith("#")
    }
    (group,) = resources(environment, "Insights/actionGroups")
    logged = resources(environment, "Insights/scheduledQueryRules")
    counted = resources(environment, "Insights/metricAlerts")

    for rule in logged:
        assert rule["properties"]["actions"]["actionGroups"] == [group["id"]]
    for rule in counted:
        assert rule["properties"]["actions"] == [{"actionGroupId": group["id"]}]
    for rule in [*logged, *counted]:
        named = re.search(
            r"Runbook: docs/operations\.md#([\w-]+)\. First command: ((?:perminute|curl) .+)$",
            rule["properties"]["description"],
        )
        assert named, rule["properties"]["description"]
        assert named[1] in headings, named[1]
    assert group["properties"]["emailReceivers"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_alerts_watch_what_was_promised(environment: str) -> None:
    prefix = resources(environment, "Insights/actionGroups")[0]["name"].removesuffix("people")
    names = {
        rule["name"].removeprefix(prefix)
        for kind in ("Insights/scheduledQueryRules", "Insights/metricAlerts")
        for rule in resources(environment, kind)
    }

    assert {
        *("dead-letters", "backlog", "backlog-age", "failures", "dial-out-latency", "parked-legs"),
        *("timer-missing", "outbox-age", "anchor-missing", "throttling-0", "negative-balances"),
        *("verification-failed", "not-available", "queue-unreachable", "unauthorized"),
    } <= names
    page = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
    assert [
        name
        for name in names
        if f"`{name.partition('throttling-')[0] or 'throttling'}`" not in page
    ] == []


def test_logs_are_never_sampled() -> None:
    """Charts add up money."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]

    assert {"Trace", "Request", "Exception"} <= set(sampling["excludedTypes"].split(";"))
