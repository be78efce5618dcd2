"""Requests and types of the API. Generated from its OpenAPI document by
`python -m tests.cli.generate`; changes are made there."""

# ruff: noqa: A002, E501

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute_cli.calls import Call, Listing, headers_of, query_of, segment

if TYPE_CHECKING:
    from typing import TypedDict

    class ListAccountsItemAlertsItem(TypedDict, total=False):
        name: str | None
        below: str

    class ListAccountsItem(TypedDict, total=False):
        id: str
        currency: str
        name: str | None
        usage_location: str | None
        time_zone: str
        credit_limit: str
        rate_card: str
        alerts: list[ListAccountsItemAlertsItem]
        created_at: str
        etag: str

    class GetAccountAlertsItem(TypedDict, total=False):
        name: str | None
        below: str

    class GetAccountLotsItem(TypedDict, total=False):
        id: str
        kind: str | None
        amount: str
        remaining: str
        purchased_at: str
        expires_at: str | None

    class GetAccount(TypedDict, total=False):
        id: str
        currency: str
        name: str | None
        usage_location: str | None
        time_zone: str
        credit_limit: str
        rate_card: str
        alerts: list[GetAccountAlertsItem]
        created_at: str
        etag: str
        balance: str
        held: str
        available: str
        lots: list[GetAccountLotsItem]

    class PatchAccountAlertsItem(TypedDict, total=False):
        name: str | None
        below: str

    class PatchAccountLotsItem(TypedDict, total=False):
        id: str
        kind: str | None
        amount: str
        remaining: str
        purchased_at: str
        expires_at: str | None

    class PatchAccount(TypedDict, total=False):
        id: str
        currency: str
        name: str | None
        usage_location: str | None
        time_zone: str
        credit_limit: str
        rate_card: str
        alerts: list[PatchAccountAlertsItem]
        created_at: str
        etag: str
        balance: str
        held: str
        available: str
        lots: list[PatchAccountLotsItem]

    class PutAccountAlertsItem(TypedDict, total=False):
        name: str | None
        below: str

    class PutAccount(TypedDict, total=False):
        id: str
        currency: str
        name: str | None
        usage_location: str | None
        time_zone: str
        credit_limit: str
        rate_card: str
        alerts: list[PutAccountAlertsItem]
        created_at: str
        etag: str
        balance: str
        held: str
        available: str
        lots: list[Any]

    class AlertBody(TypedDict, total=False):
        name: str
        below: str | None
        below_percent: int | None
        days_left: int | None
        hours_left: int | None

    class AutoRechargeBody(TypedDict, total=False):
        trigger: str
        amount: str
        max_per_day: int
        max_per_month: int
        max_amount_per_month: str | None

    class AccountBody(TypedDict, total=False):
        currency: str
        name: str | None
        usage_location: str | None
        time_zone: str
        credit_limit: str
        rate_card: str
        alerts: list[AlertBody]
        auto_recharge: AutoRechargeBody | None
        emails: list[str]
        language: str
        subscription_licenses: int
        carrier_card: str | None

    ListLegsItem = TypedDict(
        "ListLegsItem",
        {
            "leg": str,
            "bridge": str,
            "kind": str | None,
            "status": str,
            "from": str | None,
            "to": str | None,
            "region": str | None,
            "destination": str | None,
            "number_class": str | None,
            "organizer": str | None,
            "cost_center": str | None,
            "conference": str | None,
            "started_at": str,
            "answered_at": str | None,
            "ended_at": str,
            "talk_seconds": int | None,
            "billed_seconds": int,
            "pool_seconds": int,
            "amount": str,
            "currency": str,
            "charged": str,
            "prefix": str,
            "version": str,
            "entry": int | None,
            "booked_at": str,
            "flags": list[Any],
            "corrections": list[Any],
        },
        total=False,
    )

    class GetLegLinesItem(TypedDict, total=False):
        amount: str
        kind: str | None
        from_second: int
        increments: int
        price: str
        seconds: int
        unit_seconds: int

    class GetLegRate(TypedDict, total=False):
        card: str
        destination: str | None
        prefix: str
        version: str

    class GetLegRounding(TypedDict, total=False):
        decimals: int
        mode: str
        unrounded: str

    class GetLegFundedByItem(TypedDict, total=False):
        lot: str
        amount: str

    GetLeg = TypedDict(
        "GetLeg",
        {
            "leg": str,
            "account": str | None,
            "amount": str,
            "answered_at": str | None,
            "authorization": Any,
            "billed_seconds": int,
            "bridge": str,
            "conference": str | None,
            "cost_center": str | None,
            "currency": str,
            "ended_at": str,
            "flags": list[Any],
            "hangup_cause": Any,
            "kind": str | None,
            "license": str,
            "lines": list[GetLegLinesItem],
            "number_class": str | None,
            "rate": GetLegRate | None,
            "region": str | None,
            "rounding": GetLegRounding,
            "started_at": str,
            "status": str,
            "talk_seconds": int | None,
            "sentence": str,
            "won_over": list[Any],
            "from": str | None,
            "to": str | None,
            "organizer": str | None,
            "funded_by": list[GetLegFundedByItem],
            "balance_before": str,
            "balance_after": str,
            "entry": int | None,
        },
        total=False,
    )

    class PostReversalEntry(TypedDict, total=False):
        sequence: int
        kind: str | None
        amount: str
        balance: str
        leg: str
        reason: str | None
        reverses: int
        actor: str
        at: str

    class PostReversal(TypedDict, total=False):
        entry: PostReversalEntry | None
        balance: str

    class ReversalBody(TypedDict, total=False):
        reason: str

    class GetUsageItemsItem(TypedDict, total=False):
        region: str | None
        organizer: str | None
        legs: int
        answered_legs: int
        talk_seconds: int | None
        billed_seconds: int
        pool_seconds: int
        amount: str

    class GetUsageTotal(TypedDict, total=False):
        legs: int
        answered_legs: int
        talk_seconds: int | None
        billed_seconds: int
        pool_seconds: int
        amount: str

    GetUsage = TypedDict(
        "GetUsage",
        {
            "currency": str,
            "from": str | None,
            "to": str | None,
            "time": str,
            "time_zone": str,
            "group_by": list[str],
            "items": list[GetUsageItemsItem],
            "total": GetUsageTotal,
        },
        total=False,
    )


def list_accounts(
    *, limit: str | int | None = None, format: str | int | None = None
) -> Listing[ListAccountsItem]:
    """The accounts that the caller sees: settings only."""
    return Listing("list_accounts", "GET", "/api/v1/accounts", query_of(limit=limit, format=format))


def get_account(account: str) -> Call[GetAccount]:
    """Settings, balance, held and available amounts, open lots."""
    return Call("get_account", "GET", f"/api/v1/accounts/{segment(account)}")


def patch_account(
    account: str,
    body: dict[str, Any],
    *,
    if_match: str | None = None,
    content_type: str | None = None,
) -> Call[PatchAccount]:
    """Change some settings: omitted fields stay, null takes the default (RFC 7396)."""
    return Call(
        "patch_account",
        "PATCH",
        f"/api/v1/accounts/{segment(account)}",
        body=body,
        headers=headers_of(if_match=if_match, content_type=content_type),
    )


def put_account(
    account: str, body: AccountBody, *, if_match: str | None = None
) -> Call[PutAccount]:
    """Create or replace the settings; omitted fields take their defaults."""
    return Call(
        "put_account",
        "PUT",
        f"/api/v1/accounts/{segment(account)}",
        body=body,
        headers=headers_of(if_match=if_match),
    )


def list_legs(
    account: str,
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
    time: str | int | None = None,
    kind: str | int | None = None,
    status: str | int | None = None,
    organizer: str | int | None = None,
    cost_center: str | int | None = None,
    conference: str | int | None = None,
    region: str | int | None = None,
    destination: str | int | None = None,
    number: str | int | None = None,
    bridge: str | int | None = None,
    flag: str | int | None = None,
    min_amount: str | int | None = None,
    order: str | int | None = None,
) -> Listing[ListLegsItem]:
    """The legs of a span, net of corrections, as JSON or CSV; without a span of the present month."""
    return Listing(
        "list_legs",
        "GET",
        f"/api/v1/accounts/{segment(account)}/legs",
        query_of(
            limit=limit,
            format=format,
            from_=from_,
            to=to,
            month=month,
            time=time,
            kind=kind,
            status=status,
            organizer=organizer,
            cost_center=cost_center,
            conference=conference,
            region=region,
            destination=destination,
            number=number,
            bridge=bridge,
            flag=flag,
            min_amount=min_amount,
            order=order,
        ),
    )


def get_leg(account: str, leg: str) -> Call[GetLeg]:
    """A leg and its explained charge; 404 while it is queued."""
    return Call("get_leg", "GET", f"/api/v1/accounts/{segment(account)}/legs/{segment(leg)}")


def post_reversal(account: str, leg: str, body: ReversalBody) -> Call[PostReversal]:
    """Reverse a leg's debit, once, however often this is requested."""
    return Call(
        "post_reversal",
        "POST",
        f"/api/v1/accounts/{segment(account)}/legs/{segment(leg)}/reversal",
        body=body,
    )


def get_usage(
    account: str,
    *,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
    time: str | int | None = None,
    group_by: str | int | None = None,
    order: str | int | None = None,
    limit: str | int | None = None,
    format: str | int | None = None,
) -> Call[GetUsage]:
    """Legs, seconds and amounts of a span by group, net of corrections, as JSON or CSV; without a span of the present month."""
    return Call(
        "get_usage",
        "GET",
        f"/api/v1/accounts/{segment(account)}/usage",
        query_of(
            from_=from_,
            to=to,
            month=month,
            time=time,
            group_by=group_by,
            order=order,
            limit=limit,
            format=format,
        ),
    )
