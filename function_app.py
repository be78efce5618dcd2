"""The one FunctionApp: a line per blueprint."""

import azure.functions as func

from functions import (
    accounts,
    alerts,
    api_keys,
    audit_log,
    bridges,
    call_ended,
    calls,
    console,
    denials,
    dial_out,
    dial_out_control,
    directory,
    end_waits,
    fallback,
    forward_spillover,
    health,
    ledger,
    low_balance,
    nightly_audit,
    openapi,
    outlook,
    parked_legs,
    proofs,
    rate_and_debit,
    rate_card_reports,
    rate_cards,
    recharges,
    reconciliations,
    regions,
    reratings,
    status,
    usage,
    webhooks,
)
from shared.telemetry import silence_libraries

silence_libraries()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(call_ended.bp)
app.register_functions(rate_and_debit.bp)
app.register_functions(dial_out.bp)
app.register_functions(dial_out_control.bp)
app.register_functions(denials.bp)
app.register_functions(calls.bp)
app.register_functions(low_balance.bp)
app.register_functions(forward_spillover.bp)
app.register_functions(end_waits.bp)
app.register_functions(nightly_audit.bp)
app.register_functions(ledger.bp)
app.register_functions(usage.bp)
app.register_functions(proofs.bp)
app.register_functions(parked_legs.bp)
app.register_functions(accounts.bp)
app.register_functions(directory.bp)
app.register_functions(bridges.bp)
app.register_functions(rate_cards.bp)
app.register_functions(rate_card_reports.bp)
app.register_functions(reratings.bp)
app.register_functions(regions.bp)
app.register_functions(reconciliations.bp)
app.register_functions(api_keys.bp)
app.register_functions(audit_log.bp)
app.register_functions(alerts.bp)
app.register_functions(recharges.bp)
app.register_functions(outlook.bp)
app.register_functions(webhooks.bp)
app.register_functions(openapi.bp)
app.register_functions(console.bp)
app.register_functions(health.bp)
app.register_functions(status.bp)
app.register_functions(fallback.bp)
