"""Each dialect's shipped sample, signed by its vendor's scheme, on the product in this process."""

import base64
from collections.abc import Iterator

import pytest

from perminute_cli.samples import DIALECTS
from perminute_cli.signatures import USUAL
from shared.domain.directory.request_signatures import usual_scheme
from tests.cli.fakes import Terminal, product_transport
from tests.support.charging_app import ChargingApp
from tests.support.product import ADMIN_KEY

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, long enough").decode()
MEETINGS_ONLY = {"bigbluebutton", "jitsi"}


@pytest.fixture(scope="module")
def app() -> Iterator[ChargingApp]:
    with ChargingApp() as made:
        made.settle("contoso")
        put = {"dialect": "perminute", "auth": {"scheme": "standard-webhooks", "secrets": [SECRET]}}
        assert made.put("/api/v1/bridges/any", {**put, "accounts": ["*"]}).status == 201
        yield made


@pytest.fixture
def perminute(app: ChargingApp, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("PERMINUTE_KEY", ADMIN_KEY)
    monkeypatch.setenv("PERMINUTE_BRIDGE_SECRET", SECRET)
    monkeypatch.setattr("time.time", lambda: app.clock.now().timestamp())
    return Terminal(product_transport(app))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_sample_is_proven_read_and_rated(dialect: str, perminute: Terminal) -> None:
    ran = perminute("bridges", "try", dialect, "--bridge", "any", "--account", "contoso", "--json")

    assert ran.code == 0, ran.err
    steps = {each["step"]: each["detail"] for each in ran.json["steps"]}
    assert steps["authenticated"] == f"The credentials are right, by scheme {USUAL[dialect]}."
    if dialect in MEETINGS_ONLY:
        assert ran.json["outcome"] == "ignored"
    else:
        assert ran.json["outcome"] == "leg"
        assert ran.json["leg"]["to"] == "+442079460123"
        assert ran.json["charge"]["talk_seconds"] == 183
        assert ran.json["charge"]["account"] == "contoso"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_secret_is_refused_with_its_reason(
    dialect: str, perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "whsec_" + base64.b64encode(b"another secret, as long as the one").decode()
    monkeypatch.setenv("PERMINUTE_BRIDGE_SECRET", wrong)

    ran = perminute("bridges", "try", dialect, "--bridge", "any", "--account", "contoso")

    assert ran.code == 1
    assert "Refused by scheme" in ran.err


def test_schemes_are_those_of_the_product() -> None:
    assert {dialect: usual_scheme(dialect).value for dialect in DIALECTS} == USUAL
