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
        minutes_left: int | None
        spend: str | None
        period: str | None
        at_percent: list[int] | None
        kind: str | None
        organizer: str | None
        cost_center: str | None

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

    class PostAdjustmentEntry(TypedDict, total=False):
        sequence: int
        kind: str | None
        amount: str
        balance: str
        reason: str | None
        actor: str
        at: str

    class PostAdjustment(TypedDict, total=False):
        entry: PostAdjustmentEntry | None
        balance: str

    class AdjustmentBody(TypedDict, total=False):
        amount: str
        reason: str
        allow_overdraft: bool

    class ListAlertsItemData(TypedDict, total=False):
        alert: str
        balance: str
        currency: str
        threshold: str
        what_to_do: str

    class ListAlertsItem(TypedDict, total=False):
        id: str
        type: str
        status: str
        raised_at: str
        repeats: int
        data: ListAlertsItemData

    class AcknowledgeAlertData(TypedDict, total=False):
        alert: str
        balance: str
        currency: str
        threshold: str
        what_to_do: str

    class AcknowledgeAlert(TypedDict, total=False):
        id: str
        type: str
        status: str
        raised_at: str
        repeats: int
        acknowledged_at: str
        acknowledged_by: str
        data: AcknowledgeAlertData

    class ListCallsItemsItem(TypedDict, total=False):
        authorization: str | None
        direction: str
        to: str | None
        region: str | None
        organizer: str | None
        conference: str | None
        bridge: str
        since: str
        answered_at: str | None
        granted_seconds: int
        held: str
        price_per_minute: str
        amount_so_far: str

    class ListCalls(TypedDict, total=False):
        available: str
        burn_per_minute: str
        seconds_left: int | None
        exhausted_at: str | None
        currency: str
        as_of: str
        items: list[ListCallsItemsItem]
        shedding_order: list[str]

    class GetConferenceCostOpenItem(TypedDict, total=False):
        authorization: str | None
        direction: str
        to: str | None
        region: str | None
        organizer: str | None
        conference: str | None
        bridge: str
        since: str
        answered_at: str | None
        granted_seconds: int
        held: str
        price_per_minute: str
        amount_so_far: str

    class GetConferenceCostEnded(TypedDict, total=False):
        legs: int
        amount: str

    class GetConferenceCost(TypedDict, total=False):
        open: list[GetConferenceCostOpenItem]
        ended: GetConferenceCostEnded
        amount_so_far: str
        burn_per_minute: str
        seconds_left: int | None
        currency: str
        as_of: str

    class ListDenialsItem(TypedDict, total=False):
        at: str
        bridge: str
        direction: str
        to: str | None
        region: Any
        reason: str | None
        message: str | None
        organizer: str | None
        conference: str | None

    class RestartDialOut(TypedDict, total=False):
        stopped: bool

    class GetDialOutState(TypedDict, total=False):
        suspended: bool
        stopped: bool
        reason: str | None
        held: str
        open: list[Any]
        missing: list[Any]

    class StopDialOut(TypedDict, total=False):
        stopped: bool
        reason: str | None

    class StopBody(TypedDict, total=False):
        reason: str

    class TryDialOutDestination(TypedDict, total=False):
        number: str
        region: str | None
        name: str | None
        prefix: str
        number_class: str | None

    class TryDialOutChecksItem(TypedDict, total=False):
        check: str
        outcome: str
        detail: str

    class TryDialOut(TypedDict, total=False):
        decision: str
        granted_seconds: int
        final: bool
        price_per_minute: str
        connection_fee: str
        currency: str
        held: str
        destination: TryDialOutDestination | None
        checks: list[TryDialOutChecksItem]

    class TryBody(TypedDict, total=False):
        to: str
        conference_id: str | None
        organizer_id: str | None
        requested_seconds: int | None
        normalize: bool
        call: str

    class GetEntryReceiptItemsItemEntryLot(TypedDict, total=False):
        id: str
        kind: str | None
        amount: str
        remaining: str
        purchased_at: str
        expires_at: str | None

    class GetEntryReceiptItemsItemEntry(TypedDict, total=False):
        sequence: int
        kind: str | None
        amount: str
        balance: str
        at: str
        reference: str
        lot: GetEntryReceiptItemsItemEntryLot

    class GetEntryReceiptItemsItemEntryPath(TypedDict, total=False):
        index: int
        size: int
        hashes: list[Any]

    class GetEntryReceiptItemsItemCommit(TypedDict, total=False):
        format: str
        account: str | None
        commit: int
        at: str
        first: int
        entries: int
        balance: str
        root: str
        previous: str

    class GetEntryReceiptItemsItemCommitPath(TypedDict, total=False):
        index: int
        size: int
        hashes: list[str]

    class GetEntryReceiptItemsItem(TypedDict, total=False):
        entry: GetEntryReceiptItemsItemEntry | None
        entry_path: GetEntryReceiptItemsItemEntryPath
        commit: GetEntryReceiptItemsItemCommit
        commit_path: GetEntryReceiptItemsItemCommitPath
        root: int

    class GetEntryReceiptRootsItemRoot(TypedDict, total=False):
        format: str
        account: str | None
        currency: str
        time_zone: str
        day: str
        until: str | None
        interim: bool
        after: int | None
        commits: int
        base: str
        head: str
        first_entry: int
        last_entry: int
        opening: str
        closing: str
        tree: str
        rates: str
        previous: str
        signed_at: str
        key: str

    class GetEntryReceiptRootsItem(TypedDict, total=False):
        root: GetEntryReceiptRootsItemRoot
        signature: str

    class GetEntryReceipt(TypedDict, total=False):
        format: str
        account: str | None
        created_at: str
        items: list[GetEntryReceiptItemsItem]
        corrections: list[Any]
        roots: list[GetEntryReceiptRootsItem]
        digest: str

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

    class GetLegReceiptItemsItemEntryDrawsItem(TypedDict, total=False):
        lot: str
        amount: str

    class GetLegReceiptItemsItemEntry(TypedDict, total=False):
        sequence: int
        kind: str | None
        amount: str
        balance: str
        at: str
        leg: str
        charge_digest: str
        person_digest: str
        draws: list[GetLegReceiptItemsItemEntryDrawsItem]

    class GetLegReceiptItemsItemEntryPath(TypedDict, total=False):
        index: int
        size: int
        hashes: list[Any]

    class GetLegReceiptItemsItemCommit(TypedDict, total=False):
        format: str
        account: str | None
        commit: int
        at: str
        first: int
        entries: int
        balance: str
        root: str
        previous: str

    class GetLegReceiptItemsItemCommitPath(TypedDict, total=False):
        index: int
        size: int
        hashes: list[str]

    GetLegReceiptItemsItemPerson = TypedDict(
        "GetLegReceiptItemsItemPerson",
        {
            "from": str | None,
            "organizer": str | None,
            "salt": str,
            "to": str | None,
        },
        total=False,
    )

    class GetLegReceiptItemsItemChargeLinesItem(TypedDict, total=False):
        amount: str
        kind: str | None
        from_second: int
        increments: int
        price: str
        seconds: int
        unit_seconds: int

    class GetLegReceiptItemsItemChargeRate(TypedDict, total=False):
        card: str
        destination: str | None
        prefix: str
        version: str

    class GetLegReceiptItemsItemChargeRounding(TypedDict, total=False):
        decimals: int
        mode: str
        unrounded: str

    class GetLegReceiptItemsItemCharge(TypedDict, total=False):
        account: str | None
        amount: str
        answered_at: str | None
        authorization: Any
        billed_seconds: int
        bridge: str
        conference: str | None
        cost_center: str | None
        currency: str
        ended_at: str
        flags: list[Any]
        hangup_cause: Any
        kind: str | None
        license: str
        lines: list[GetLegReceiptItemsItemChargeLinesItem]
        number_class: str | None
        rate: GetLegReceiptItemsItemChargeRate | None
        region: str | None
        rounding: GetLegReceiptItemsItemChargeRounding
        started_at: str
        status: str
        talk_seconds: int | None

    class GetLegReceiptItemsItemRateRounding(TypedDict, total=False):
        mode: str
        decimals: int

    class GetLegReceiptItemsItemRateSlotsItem(TypedDict, total=False):
        from_second: int
        price: str
        unit_seconds: int
        increment_seconds: int

    class GetLegReceiptItemsItemRate(TypedDict, total=False):
        card: str
        version: str
        kind: str | None
        prefix: str
        destination: str | None
        currency: str
        time_zone: str
        rounding: GetLegReceiptItemsItemRateRounding
        connection_fee: str
        grace_seconds: int
        minimum_charge: str
        maximum_charge: Any
        maximum_charge_strategy: Any
        slots: list[GetLegReceiptItemsItemRateSlotsItem]
        bands: list[Any]

    class GetLegReceiptItemsItemRatePath(TypedDict, total=False):
        index: int
        size: int
        hashes: list[Any]

    class GetLegReceiptItemsItem(TypedDict, total=False):
        entry: GetLegReceiptItemsItemEntry | None
        entry_path: GetLegReceiptItemsItemEntryPath
        commit: GetLegReceiptItemsItemCommit
        commit_path: GetLegReceiptItemsItemCommitPath
        root: int
        person: GetLegReceiptItemsItemPerson
        charge: GetLegReceiptItemsItemCharge
        rate: GetLegReceiptItemsItemRate | None
        rate_path: GetLegReceiptItemsItemRatePath

    class GetLegReceiptRootsItemRoot(TypedDict, total=False):
        format: str
        account: str | None
        currency: str
        time_zone: str
        day: str
        until: str | None
        interim: bool
        after: int | None
        commits: int
        base: str
        head: str
        first_entry: int
        last_entry: int
        opening: str
        closing: str
        tree: str
        rates: str
        previous: str
        signed_at: str
        key: str

    class GetLegReceiptRootsItem(TypedDict, total=False):
        root: GetLegReceiptRootsItemRoot
        signature: str

    class GetLegReceipt(TypedDict, total=False):
        format: str
        account: str | None
        leg: str
        created_at: str
        items: list[GetLegReceiptItemsItem]
        corrections: list[Any]
        roots: list[GetLegReceiptRootsItem]
        digest: str

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

    class PostReversalLotsItem(TypedDict, total=False):
        lot: str
        amount: str

    class PostReversal(TypedDict, total=False):
        dry_run: bool
        entry: PostReversalEntry | None
        balance_before: str
        balance: str
        owed: str
        lots: list[PostReversalLotsItem]

    class ReversalBody(TypedDict, total=False):
        reason: str | None
        dry_run: bool

    class ListOrganizersItemBudgets(TypedDict, total=False):
        day: Any
        month: Any
        meeting: Any

    class ListOrganizersItem(TypedDict, total=False):
        id: str
        usage_location: Any
        license: str
        policy: Any
        toll_free_dial_in: bool
        budgets: ListOrganizersItemBudgets
        cost_center: str | None
        groups: list[Any]
        rules: Any
        etag: str

    class ListProofs(TypedDict, total=False):
        items: list[Any]

    PostReconciliationMissingHereItemLeg = TypedDict(
        "PostReconciliationMissingHereItemLeg",
        {
            "leg_id": str,
            "kind": str | None,
            "from": Any,
            "to": str | None,
            "started_at": str,
            "answered_at": str | None,
            "ended_at": str,
            "talk_seconds": int | None,
        },
        total=False,
    )

    PostReconciliationMissingHereItem = TypedDict(
        "PostReconciliationMissingHereItem",
        {
            "line": int,
            "id": str,
            "row_id": Any,
            "kind": str | None,
            "to": str | None,
            "from": Any,
            "answered_at": str | None,
            "seconds": int,
            "amount": str,
            "leg": PostReconciliationMissingHereItemLeg,
        },
        total=False,
    )

    class PostReconciliationSums(TypedDict, total=False):
        theirs: str
        ours: str
        difference: str

    class PostReconciliation(TypedDict, total=False):
        currency: str
        matched: int
        different: list[Any]
        missing_here: list[PostReconciliationMissingHereItem]
        missing_there: list[Any]
        outside: int
        sums: PostReconciliationSums
        left_out: dict[str, Any]

    class GetStatementEntries(TypedDict, total=False):
        first: int
        last: int

    class GetStatementByKindItem(TypedDict, total=False):
        name: str | None
        count: int
        amount: str

    class GetStatementCharges(TypedDict, total=False):
        count: int
        amount: str
        billed_seconds: int
        pool_seconds: int

    class GetStatementByLegKindItem(TypedDict, total=False):
        name: str | None
        count: int
        amount: str
        billed_seconds: int
        pool_seconds: int

    class GetStatementByDestinationItem(TypedDict, total=False):
        name: str | None
        count: int
        amount: str
        billed_seconds: int
        pool_seconds: int

    class GetStatementByOrganizerItem(TypedDict, total=False):
        name: str | None
        count: int
        amount: str
        billed_seconds: int
        pool_seconds: int

    class GetStatementByCostCenterItem(TypedDict, total=False):
        name: str | None
        count: int
        amount: str
        billed_seconds: int
        pool_seconds: int

    class GetStatementParked(TypedDict, total=False):
        open: int

    class GetStatement(TypedDict, total=False):
        account: str | None
        month: str
        currency: str
        opening: str
        closing: str
        re_adds: bool
        entries: GetStatementEntries
        by_kind: list[GetStatementByKindItem]
        restored: str
        charges: GetStatementCharges
        by_leg_kind: list[GetStatementByLegKindItem]
        by_destination: list[GetStatementByDestinationItem]
        by_organizer: list[GetStatementByOrganizerItem]
        by_cost_center: list[GetStatementByCostCenterItem]
        parked: GetStatementParked

    class PostTopUpEntry(TypedDict, total=False):
        sequence: int
        kind: str | None
        amount: str
        balance: str
        lot: str
        reference: str
        actor: str
        at: str

    class PostTopUp(TypedDict, total=False):
        entry: PostTopUpEntry | None
        balance: str

    class TopUpBody(TypedDict, total=False):
        amount: str
        kind: str
        reference: str | None
        expires_at: str | None

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

    class VerifyLedger(TypedDict, total=False):
        ok: bool
        commits: int
        entries: int
        legs: int
        balance: str
        head: str
        problems: list[Any]

    class ListAuditLogItem(TypedDict, total=False):
        at: str
        actor: str
        action: str
        kind: str | None
        key: str
        before: Any
        after: Any
        request_id: str
        account: str | None

    class ListBridgesItemAuth(TypedDict, total=False):
        scheme: str

    class ListBridgesItemControl(TypedDict, total=False):
        url: str

    class ListBridgesItem(TypedDict, total=False):
        id: str
        dialect: str
        auth: ListBridgesItemAuth
        accounts: list[str]
        country: str
        on_outage: str
        disabled: bool
        wait_seconds: int
        control: ListBridgesItemControl
        etag: str

    class GetBridgeAuth(TypedDict, total=False):
        scheme: str

    class GetBridgeControl(TypedDict, total=False):
        url: str

    class GetBridge(TypedDict, total=False):
        id: str
        dialect: str
        auth: GetBridgeAuth
        accounts: list[str]
        country: str
        on_outage: str
        disabled: bool
        wait_seconds: int
        control: GetBridgeControl
        etag: str

    class PutBridgeAuth(TypedDict, total=False):
        scheme: str
        secrets: list[str]

    class PutBridgeControl(TypedDict, total=False):
        url: str
        secrets: list[str]

    class PutBridge(TypedDict, total=False):
        id: str
        dialect: str
        auth: PutBridgeAuth
        accounts: list[str]
        country: str
        on_outage: str
        disabled: bool
        wait_seconds: int
        control: PutBridgeControl
        etag: str

    class AuthBody(TypedDict, total=False):
        scheme: str
        username: str | None
        secrets: list[str] | None
        public_url: str | None

    class ControlBody(TypedDict, total=False):
        url: str
        secrets: list[str] | None

    class BridgeBody(TypedDict, total=False):
        dialect: str
        auth: AuthBody
        accounts: list[str]
        default_account: str | None
        country: str | None
        on_outage: str
        assumed_seconds: int | None
        disabled: bool
        public_url: str | None
        wait_seconds: int
        outbound_contexts: list[str]
        service_number: str | None
        meetings_from: str | None
        control: ControlBody | None

    TryBridgePostLeg = TypedDict(
        "TryBridgePostLeg",
        {
            "conference": str | None,
            "kind": str | None,
            "from": str | None,
            "to": str | None,
            "account": Any,
            "organizer": Any,
            "started_at": str,
            "answered_at": str | None,
            "ended_at": str,
            "talk_seconds": int | None,
            "authorization": Any,
            "bridge": str,
            "leg_id": str,
            "hangup_cause": Any,
        },
        total=False,
    )

    class TryBridgePostChargeRate(TypedDict, total=False):
        card: str
        version: str
        prefix: str
        destination: str | None

    class TryBridgePostChargeLinesItem(TypedDict, total=False):
        kind: str | None
        amount: str
        from_second: int
        seconds: int
        increments: int
        price: str
        unit_seconds: int

    class TryBridgePostChargeRounding(TypedDict, total=False):
        mode: str
        decimals: int
        unrounded: str

    class TryBridgePostCharge(TypedDict, total=False):
        account: str | None
        bridge: str
        kind: str | None
        conference: str | None
        started_at: str
        answered_at: str | None
        ended_at: str
        talk_seconds: int | None
        currency: str
        authorization: Any
        hangup_cause: Any
        cost_center: str | None
        region: str | None
        number_class: str | None
        license: str
        status: str
        billed_seconds: int
        amount: str
        rate: TryBridgePostChargeRate | None
        lines: list[TryBridgePostChargeLinesItem]
        rounding: TryBridgePostChargeRounding
        flags: list[Any]

    class TryBridgePostStepsItem(TypedDict, total=False):
        step: str
        detail: str

    class TryBridgePost(TypedDict, total=False):
        outcome: str
        leg: TryBridgePostLeg
        account: str | None
        charge: TryBridgePostCharge
        steps: list[TryBridgePostStepsItem]

    class GetCaller(TypedDict, total=False):
        name: str | None
        roles: list[str]
        accounts: list[str]

    ListParkedLegsItemOriginal = TypedDict(
        "ListParkedLegsItemOriginal",
        {
            "account": Any,
            "answered_at": str | None,
            "authorization": Any,
            "bridge": str,
            "conference_id": str | None,
            "ended_at": str,
            "from": str | None,
            "hangup_cause": Any,
            "kind": str | None,
            "leg_id": str,
            "organizer_id": Any,
            "started_at": str,
            "talk_seconds": int | None,
            "to": str | None,
        },
        total=False,
    )

    class ListParkedLegsItem(TypedDict, total=False):
        id: str
        leg: str
        bridge: str
        account: str | None
        reason: str | None
        detail: str
        what_to_do: str
        received_at: str
        original: ListParkedLegsItemOriginal
        attempts: int
        status: str

    class DismissParkedLegsItemsItem(TypedDict, total=False):
        id: str
        leg: str
        account: str | None
        status: str
        reason: str | None
        detail: str

    class DismissParkedLegs(TypedDict, total=False):
        open: int
        replayed: int
        dismissed: int
        items: list[DismissParkedLegsItemsItem]

    class DismissAllBody(TypedDict, total=False):
        account: str | None
        reason: str | None
        limit: int
        cursor: str | None
        note: str

    class ReplayParkedLegsItemsItem(TypedDict, total=False):
        id: str
        leg: str
        account: str | None
        status: str
        reason: str | None
        detail: str

    class ReplayParkedLegs(TypedDict, total=False):
        open: int
        replayed: int
        dismissed: int
        items: list[ReplayParkedLegsItemsItem]

    class ReplayAllBody(TypedDict, total=False):
        account: str | None
        reason: str | None
        limit: int
        cursor: str | None

    DismissParkedLegOriginal = TypedDict(
        "DismissParkedLegOriginal",
        {
            "account": Any,
            "answered_at": str | None,
            "authorization": Any,
            "bridge": str,
            "conference_id": str | None,
            "ended_at": str,
            "from": str | None,
            "hangup_cause": Any,
            "kind": str | None,
            "leg_id": str,
            "organizer_id": Any,
            "started_at": str,
            "talk_seconds": int | None,
            "to": str | None,
        },
        total=False,
    )

    class DismissParkedLeg(TypedDict, total=False):
        id: str
        leg: str
        bridge: str
        account: str | None
        reason: str | None
        detail: str
        received_at: str
        original: DismissParkedLegOriginal
        attempts: int
        status: str
        actor: str
        note: str

    class DismissBody(TypedDict, total=False):
        note: str | None

    ReplayParkedLegOriginal = TypedDict(
        "ReplayParkedLegOriginal",
        {
            "account": Any,
            "answered_at": str | None,
            "authorization": Any,
            "bridge": str,
            "conference_id": str | None,
            "ended_at": str,
            "from": str | None,
            "hangup_cause": Any,
            "kind": str | None,
            "leg_id": str,
            "organizer_id": Any,
            "started_at": str,
            "talk_seconds": int | None,
            "to": str | None,
        },
        total=False,
    )

    class ReplayParkedLeg(TypedDict, total=False):
        id: str
        leg: str
        bridge: str
        account: str | None
        reason: str | None
        detail: str
        received_at: str
        original: ReplayParkedLegOriginal
        attempts: int
        status: str
        actor: str

    ReplayBodyLeg = TypedDict(
        "ReplayBodyLeg",
        {
            "leg_id": str,
            "conference_id": str | None,
            "kind": Any,
            "from": str | None,
            "to": str | None,
            "account": str | None,
            "organizer_id": str | None,
            "started_at": str,
            "answered_at": str | None,
            "ended_at": str,
            "talk_seconds": int | None,
            "authorization": str | None,
            "hangup_cause": str | None,
        },
        total=False,
    )

    class ReplayBody(TypedDict, total=False):
        leg: ReplayBodyLeg | None
        charge_as: str | None

    ListProofKeysKeysItem = TypedDict(
        "ListProofKeysKeysItem",
        {
            "id": str,
            "algorithm": str,
            "public_key": str,
            "from": str | None,
            "until": Any,
            "compromised_at": Any,
        },
        total=False,
    )

    class ListProofKeys(TypedDict, total=False):
        keys: list[ListProofKeysKeysItem]

    class PostQuoteRate(TypedDict, total=False):
        card: str
        version: str
        prefix: str
        destination: str | None

    class PostQuoteLinesItem(TypedDict, total=False):
        kind: str | None
        amount: str
        from_second: int
        seconds: int
        increments: int
        price: str
        unit_seconds: int

    class PostQuoteRounding(TypedDict, total=False):
        mode: str
        decimals: int
        unrounded: str

    class PostQuote(TypedDict, total=False):
        account: str | None
        kind: str | None
        to: str | None
        answered_at: str | None
        ended_at: str
        talk_seconds: int | None
        currency: str
        status: str
        billed_seconds: int
        amount: str
        rate: PostQuoteRate | None
        lines: list[PostQuoteLinesItem]
        rounding: PostQuoteRounding
        sentence: str
        won_over: list[Any]
        flags: list[Any]

    QuoteBody = TypedDict(
        "QuoteBody",
        {
            "account": str | None,
            "rate_card": str | None,
            "kind": str,
            "from": str | None,
            "to": str | None,
            "at": str | None,
            "talk_seconds": int,
            "organizer_id": str | None,
        },
        total=False,
    )

    class ListRateCardsItem(TypedDict, total=False):
        id: str

    class GetRateCardVersionsItem(TypedDict, total=False):
        card: str
        effective_from: str
        currency: str
        time_zone: str
        rate_count: int
        written_at: str
        etag: str

    class GetRateCard(TypedDict, total=False):
        id: str
        versions: list[GetRateCardVersionsItem]

    class DiffRateCardFrom(TypedDict, total=False):
        card: str
        version: str

    class DiffRateCardTo(TypedDict, total=False):
        card: str
        version: str

    class DiffRateCardCounts(TypedDict, total=False):
        added: int
        removed: int
        changed: int
        dearer: int
        cheaper: int

    class DiffRateCardItemsItemBeforeSlotsItem(TypedDict, total=False):
        from_second: int
        price: str
        unit_seconds: int
        increment_seconds: int

    class DiffRateCardItemsItemBefore(TypedDict, total=False):
        kind: str | None
        prefix: str
        destination: str | None
        connection_fee: str
        slots: list[DiffRateCardItemsItemBeforeSlotsItem]

    class DiffRateCardItemsItemAfterSlotsItem(TypedDict, total=False):
        from_second: int
        price: str
        unit_seconds: int
        increment_seconds: int

    class DiffRateCardItemsItemAfter(TypedDict, total=False):
        kind: str | None
        prefix: str
        destination: str | None
        connection_fee: str
        slots: list[DiffRateCardItemsItemAfterSlotsItem]

    class DiffRateCardItemsItem(TypedDict, total=False):
        change: str
        before: DiffRateCardItemsItemBefore | None
        after: DiffRateCardItemsItemAfter | None
        percent: str | None

    DiffRateCard = TypedDict(
        "DiffRateCard",
        {
            "from": DiffRateCardFrom | None,
            "to": DiffRateCardTo | None,
            "fields": dict[str, Any],
            "counts": DiffRateCardCounts,
            "items": list[DiffRateCardItemsItem],
        },
        total=False,
    )

    class ImportRateCardVersionDeck(TypedDict, total=False):
        rows: int
        rates: int
        left_out: int
        duplicates: int
        unknown_names: list[Any]

    class ImportRateCardVersionFindingsItem(TypedDict, total=False):
        code: str
        severity: str
        detail: str
        count: int
        examples: list[str]

    class ImportRateCardVersion(TypedDict, total=False):
        card: str
        effective_from: str
        currency: str
        time_zone: str
        rate_count: int
        written_at: str
        etag: str
        deck: ImportRateCardVersionDeck
        findings: list[ImportRateCardVersionFindingsItem]

    class GetPriceListCountriesItemPrices(TypedDict, total=False):
        fixed_line: Any
        mobile: Any
        premium_rate: Any
        shared_cost: Any
        toll_free: Any

    class GetPriceListCountriesItem(TypedDict, total=False):
        region: str | None
        name: str | None
        calling_code: str
        prices: GetPriceListCountriesItemPrices

    class GetPriceList(TypedDict, total=False):
        card: str
        version: str
        currency: str
        countries: list[GetPriceListCountriesItem]
        dial_in: list[Any]

    class PutRateCardVersion(TypedDict, total=False):
        card: str
        effective_from: str
        currency: str
        time_zone: str
        rate_count: int
        written_at: str
        etag: str

    class SlotBody(TypedDict, total=False):
        from_second: int
        price: str
        unit_seconds: int
        increment_seconds: int

    BandBody = TypedDict(
        "BandBody",
        {
            "name": str,
            "weekdays": list[int],
            "from": str,
            "until": str,
            "dates": list[str],
            "weight": int,
            "connection_fee": str | None,
            "slots": list[SlotBody],
        },
        total=False,
    )

    class RateBody(TypedDict, total=False):
        kind: str
        prefix: str
        destination: str
        connection_fee: str
        slots: list[SlotBody]
        minimum_charge: str
        maximum_charge: str | None
        maximum_charge_strategy: str | None
        bands: list[BandBody]
        origin: str | None
        grace_seconds: int

    class RoundingBody(TypedDict, total=False):
        mode: str
        decimals: int

    class RateCardBody(TypedDict, total=False):
        rates: list[RateBody]
        currency: str
        time_zone: str
        rounding: RoundingBody

    class LintRateCardVersionFindingsItem(TypedDict, total=False):
        code: str
        severity: str
        detail: str
        count: int
        examples: list[str]

    class LintRateCardVersion(TypedDict, total=False):
        findings: list[LintRateCardVersionFindingsItem]

    class GetStatusQueue(TypedDict, total=False):
        messages: int | None
        oldest_seconds: Any
        dead_letters: int | None

    class GetStatusInbox(TypedDict, total=False):
        messages: int | None
        oldest_seconds: Any

    class GetStatusOutbox(TypedDict, total=False):
        oldest_seconds: Any

    class GetStatusParked(TypedDict, total=False):
        open: int
        by_reason: dict[str, Any]

    class GetStatusTimersItem(TypedDict, total=False):
        name: str | None
        last_success_at: str | None
        late: bool
        late_after_seconds: int

    class GetStatusWebhooks(TypedDict, total=False):
        failing: int

    class GetStatusBridgesItem(TypedDict, total=False):
        bridge: str
        last_post_at: Any
        last_leg_at: Any
        legs_24h: int
        parked_24h: int
        ignored_24h: dict[str, Any]

    class GetStatus(TypedDict, total=False):
        status: str
        reasons: list[Any]
        queue: GetStatusQueue
        inbox: GetStatusInbox
        outbox: GetStatusOutbox
        parked: GetStatusParked
        timers: list[GetStatusTimersItem]
        last_charge_at: Any
        webhooks: GetStatusWebhooks
        bridges: list[GetStatusBridgesItem]
        version: str


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


def post_adjustment(
    account: str, body: AdjustmentBody, *, idempotency_key: str | None = None
) -> Call[PostAdjustment]:
    """Correct the balance, once per Idempotency-Key."""
    return Call(
        "post_adjustment",
        "POST",
        f"/api/v1/accounts/{segment(account)}/adjustments",
        body=body,
        headers=headers_of(idempotency_key=idempotency_key),
    )


def list_alerts(
    account: str, *, limit: str | int | None = None, format: str | int | None = None
) -> Listing[ListAlertsItem]:
    """An account's alerts, the newest first."""
    return Listing(
        "list_alerts",
        "GET",
        f"/api/v1/accounts/{segment(account)}/alerts",
        query_of(limit=limit, format=format),
    )


def acknowledge_alert(account: str, id: str) -> Call[AcknowledgeAlert]:
    """Acknowledge an alert: no reminder follows."""
    return Call(
        "acknowledge_alert",
        "POST",
        f"/api/v1/accounts/{segment(account)}/alerts/{segment(id)}/acknowledge",
    )


def list_calls(account: str, *, format: str | int | None = None) -> Call[ListCalls]:
    """The open calls, most expensive per minute first, as JSON or CSV."""
    return Call(
        "list_calls", "GET", f"/api/v1/accounts/{segment(account)}/calls", query_of(format=format)
    )


def get_conference_cost(
    account: str,
    conference: str,
    *,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
) -> Call[GetConferenceCost]:
    """The cost of a conference: its open calls and its charged legs, net of corrections."""
    return Call(
        "get_conference_cost",
        "GET",
        f"/api/v1/accounts/{segment(account)}/conferences/{segment(conference)}/cost",
        query_of(from_=from_, to=to, month=month),
    )


def list_denials(
    account: str,
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
    reason: str | int | None = None,
    organizer: str | int | None = None,
    group_by: str | int | None = None,
) -> Listing[ListDenialsItem]:
    """Denied dial-outs and dial-ins of the last 90 days, the newest first, or their number by reason, organizer, region or day; as JSON or CSV."""
    return Listing(
        "list_denials",
        "GET",
        f"/api/v1/accounts/{segment(account)}/denials",
        query_of(
            limit=limit,
            format=format,
            from_=from_,
            to=to,
            month=month,
            reason=reason,
            organizer=organizer,
            group_by=group_by,
        ),
    )


def restart_dial_out(account: str) -> Call[RestartDialOut]:
    """Restart dial-out after a stop."""
    return Call(
        "restart_dial_out", "POST", f"/api/v1/accounts/{segment(account)}/dial-out-policy/restart"
    )


def get_dial_out_state(account: str) -> Call[GetDialOutState]:
    """Status of dial-out, holds of open calls, and authorized calls without a call-ended event."""
    return Call(
        "get_dial_out_state", "GET", f"/api/v1/accounts/{segment(account)}/dial-out-policy/state"
    )


def stop_dial_out(account: str, body: StopBody) -> Call[StopDialOut]:
    """Stop dial-out of an account, on every process from the next request on."""
    return Call(
        "stop_dial_out",
        "POST",
        f"/api/v1/accounts/{segment(account)}/dial-out-policy/stop",
        body=body,
    )


def try_dial_out(account: str, body: TryBody) -> Call[TryDialOut]:
    """Try a dial-out of the account without a bridge: the decision and every check."""
    return Call(
        "try_dial_out",
        "POST",
        f"/api/v1/accounts/{segment(account)}/dial-out-policy/try",
        body=body,
    )


def get_entry_receipt(
    account: str,
    sequence: str,
    *,
    interim: bool | None = None,
    persons: str | int | None = None,
    format: str | int | None = None,
) -> Call[GetEntryReceipt]:
    """The receipt of one entry of the ledger; 409 while its day is open."""
    return Call(
        "get_entry_receipt",
        "GET",
        f"/api/v1/accounts/{segment(account)}/entries/{segment(sequence)}/receipt",
        query_of(interim=interim, persons=persons, format=format),
    )


def get_month_file(
    account: str, month: str, *, interim: bool | None = None, persons: bool | None = None
) -> Call[Any]:
    """One gzip file of JSON lines with all that verifies a month without the operator; 409 while the month is open."""
    return Call(
        "get_month_file",
        "GET",
        f"/api/v1/accounts/{segment(account)}/exports/{segment(month)}",
        query_of(interim=interim, persons=persons),
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
    without: str | int | None = None,
    min_amount: str | int | None = None,
    order: str | int | None = None,
) -> Listing[ListLegsItem]:
    """The legs of a span, net of corrections, as JSON or CSV."""
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
            without=without,
            min_amount=min_amount,
            order=order,
        ),
    )


def get_leg(account: str, leg: str) -> Call[GetLeg]:
    """A leg and its explained charge; 404 while it is queued."""
    return Call("get_leg", "GET", f"/api/v1/accounts/{segment(account)}/legs/{segment(leg)}")


def get_leg_receipt(
    account: str,
    leg: str,
    *,
    interim: bool | None = None,
    persons: str | int | None = None,
    format: str | int | None = None,
) -> Call[GetLegReceipt]:
    """The receipt of a leg and its corrections, which verifies without the operator; 409 while its day is open."""
    return Call(
        "get_leg_receipt",
        "GET",
        f"/api/v1/accounts/{segment(account)}/legs/{segment(leg)}/receipt",
        query_of(interim=interim, persons=persons, format=format),
    )


def post_reversal(account: str, leg: str, body: ReversalBody) -> Call[PostReversal]:
    """Reverse a leg's debit, once, however often this is requested."""
    return Call(
        "post_reversal",
        "POST",
        f"/api/v1/accounts/{segment(account)}/legs/{segment(leg)}/reversal",
        body=body,
    )


def list_organizers(
    account: str,
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    prefix: str | int | None = None,
) -> Listing[ListOrganizersItem]:
    """The account's organizers by id, as JSON or CSV."""
    return Listing(
        "list_organizers",
        "GET",
        f"/api/v1/accounts/{segment(account)}/organizers",
        query_of(limit=limit, format=format, prefix=prefix),
    )


def list_proofs(
    account: str, *, from_: str | int | None = None, to: str | int | None = None
) -> Call[ListProofs]:
    """The signed roots of closed days, in order, at most 1,000: each names the one before, so that the later day is proved to continue the earlier one."""
    return Call(
        "list_proofs",
        "GET",
        f"/api/v1/accounts/{segment(account)}/proofs",
        query_of(from_=from_, to=to),
    )


def post_reconciliation(
    account: str,
    body: bytes,
    *,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
    format: str | int | None = None,
    content_type: str | None = None,
) -> Call[PostReconciliation]:
    """Differences between the account's answered legs and a file of call records, as JSON or CSV."""
    return Call(
        "post_reconciliation",
        "POST",
        f"/api/v1/accounts/{segment(account)}/reconciliations",
        query_of(from_=from_, to=to, month=month, format=format),
        body=body,
        headers=headers_of(content_type=content_type),
    )


def get_statement(
    account: str, month: str, *, format: str | int | None = None, language: str | int | None = None
) -> Call[GetStatement]:
    """Sums of a month: opening balance, totals by kind, destination, organizer and cost center, closing balance; as JSON, CSV, or a page to print."""
    return Call(
        "get_statement",
        "GET",
        f"/api/v1/accounts/{segment(account)}/statements/{segment(month)}",
        query_of(format=format, language=language),
    )


def post_top_up(
    account: str, body: TopUpBody, *, idempotency_key: str | None = None
) -> Call[PostTopUp]:
    """Add credits, once per Idempotency-Key."""
    return Call(
        "post_top_up",
        "POST",
        f"/api/v1/accounts/{segment(account)}/top-ups",
        body=body,
        headers=headers_of(idempotency_key=idempotency_key),
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
    """Legs, seconds and amounts of a span by group, net of corrections, as JSON or CSV."""
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


def verify_ledger(account: str, *, anchors: bool | None = None) -> Call[VerifyLedger]:
    """Recompute the account's ledger from the stored rows; `?anchors=true` also compares it with its newest anchor."""
    return Call(
        "verify_ledger",
        "GET",
        f"/api/v1/accounts/{segment(account)}/verify",
        query_of(anchors=anchors),
    )


def list_audit_log(
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    from_: str | int | None = None,
    to: str | int | None = None,
    month: str | int | None = None,
    account: str | int | None = None,
    actor: str | int | None = None,
    kind: str | int | None = None,
) -> Listing[ListAuditLogItem]:
    """Changes of settings, the newest first, as JSON or CSV: those of `?account=`, else all that the caller sees."""
    return Listing(
        "list_audit_log",
        "GET",
        "/api/v1/audit-log",
        query_of(
            limit=limit,
            format=format,
            from_=from_,
            to=to,
            month=month,
            account=account,
            actor=actor,
            kind=kind,
        ),
    )


def list_bridges(
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    prefix: str | int | None = None,
) -> Listing[ListBridgesItem]:
    """Bridges without their secrets, by id."""
    return Listing(
        "list_bridges",
        "GET",
        "/api/v1/bridges",
        query_of(limit=limit, format=format, prefix=prefix),
    )


def get_bridge(bridge: str) -> Call[GetBridge]:
    """A bridge without its secrets."""
    return Call("get_bridge", "GET", f"/api/v1/bridges/{segment(bridge)}")


def put_bridge(bridge: str, body: BridgeBody, *, if_match: str | None = None) -> Call[PutBridge]:
    """Create or replace a bridge."""
    return Call(
        "put_bridge",
        "PUT",
        f"/api/v1/bridges/{segment(bridge)}",
        body=body,
        headers=headers_of(if_match=if_match),
    )


def try_bridge_post(
    bridge: str,
    body: Any | bytes,
    *,
    dialect: str | int | None = None,
    default_account: str | int | None = None,
    content_type: str | None = None,
) -> Call[TryBridgePost]:
    """Try a post of the bridge, with one event or several, in its dialect: the post is read, resolved and rated, with every step."""
    return Call(
        "try_bridge_post",
        "POST",
        f"/api/v1/bridges/{segment(bridge)}/try",
        query_of(dialect=dialect, default_account=default_account),
        body=body,
        headers=headers_of(content_type=content_type),
    )


def get_caller() -> Call[GetCaller]:
    """Name, roles and accounts of the caller, for clients that offer only the allowed actions."""
    return Call("get_caller", "GET", "/api/v1/caller")


def list_parked_legs(
    *,
    limit: str | int | None = None,
    format: str | int | None = None,
    account: str | int | None = None,
    reason: str | int | None = None,
    status: str | int | None = None,
    summary: bool | None = None,
) -> Listing[ListParkedLegsItem]:
    """Parked legs, the oldest first."""
    return Listing(
        "list_parked_legs",
        "GET",
        "/api/v1/parked-legs",
        query_of(
            limit=limit,
            format=format,
            account=account,
            reason=reason,
            status=status,
            summary=summary,
        ),
    )


def dismiss_parked_legs(body: DismissAllBody) -> Call[DismissParkedLegs]:
    """Dismiss the next open parked legs of an account or a reason."""
    return Call("dismiss_parked_legs", "POST", "/api/v1/parked-legs/dismiss", body=body)


def replay_parked_legs(body: ReplayAllBody | None = None) -> Call[ReplayParkedLegs]:
    """Charge the next open parked legs of an account or a reason, unchanged."""
    return Call("replay_parked_legs", "POST", "/api/v1/parked-legs/replay", body=body)


def dismiss_parked_leg(id: str, body: DismissBody | None = None) -> Call[DismissParkedLeg]:
    """Dismiss a parked leg, so that it is not charged."""
    return Call(
        "dismiss_parked_leg", "POST", f"/api/v1/parked-legs/{segment(id)}/dismiss", body=body
    )


def replay_parked_leg(id: str, body: ReplayBody | None = None) -> Call[ReplayParkedLeg]:
    """Charge a parked leg."""
    return Call("replay_parked_leg", "POST", f"/api/v1/parked-legs/{segment(id)}/replay", body=body)


def list_proof_keys() -> Call[ListProofKeys]:
    """The public keys that sign day roots, with the times in which each holds."""
    return Call("list_proof_keys", "GET", "/api/v1/proof-keys")


def post_quote(body: QuoteBody) -> Call[PostQuote]:
    """The cost of a call, explained like a charge; with `organizer_id` by the organizer's license, with included minutes."""
    return Call("post_quote", "POST", "/api/v1/quotes", body=body)


def list_rate_cards(
    *, limit: str | int | None = None, format: str | int | None = None
) -> Listing[ListRateCardsItem]:
    """The names of the cards that the caller may see: all, or those that the caller's accounts use."""
    return Listing(
        "list_rate_cards", "GET", "/api/v1/rate-cards", query_of(limit=limit, format=format)
    )


def get_rate_card(card: str) -> Call[GetRateCard]:
    """A card's versions, without their rates."""
    return Call("get_rate_card", "GET", f"/api/v1/rate-cards/{segment(card)}")


def diff_rate_card(
    card: str,
    *,
    limit: str | int | None = None,
    cursor: str | int | None = None,
    format: str | int | None = None,
    from_: str | int | None = None,
    to: str | int | None = None,
    to_card: str | int | None = None,
    account: str | int | None = None,
    month: str | int | None = None,
) -> Call[DiffRateCard]:
    """Differences between the versions in force at `?from=` and at `?to=`, the latter of `?to_card=` if it is given: JSON pages or all of it as CSV."""
    return Call(
        "diff_rate_card",
        "GET",
        f"/api/v1/rate-cards/{segment(card)}/diff",
        query_of(
            limit=limit,
            cursor=cursor,
            format=format,
            from_=from_,
            to=to,
            to_card=to_card,
            account=account,
            month=month,
        ),
    )


def import_rate_card_version(
    card: str,
    body: bytes,
    *,
    effective_from: str | int | None = None,
    backdate: bool | None = None,
    dry_run: bool | None = None,
    account: str | int | None = None,
    month: str | int | None = None,
    if_match: str | None = None,
    content_type: str | None = None,
) -> Call[ImportRateCardVersion]:
    """Import a carrier's deck as a version, by a mapping of columns."""
    return Call(
        "import_rate_card_version",
        "POST",
        f"/api/v1/rate-cards/{segment(card)}/import",
        query_of(
            effective_from=effective_from,
            backdate=backdate,
            dry_run=dry_run,
            account=account,
            month=month,
        ),
        body=body,
        headers=headers_of(if_match=if_match, content_type=content_type),
    )


def get_price_list(
    card: str, *, at: str | int | None = None, format: str | int | None = None
) -> Call[GetPriceList]:
    """Prices by country in force now or `?at=`: as JSON, CSV, or text to read."""
    return Call(
        "get_price_list",
        "GET",
        f"/api/v1/rate-cards/{segment(card)}/price-list",
        query_of(at=at, format=format),
    )


def put_rate_card_version(
    card: str,
    effective_from: str,
    body: RateCardBody | bytes,
    *,
    backdate: bool | None = None,
    dry_run: bool | None = None,
    lint: bool | None = None,
    account: str | int | None = None,
    month: str | int | None = None,
    if_match: str | None = None,
    content_type: str | None = None,
) -> Call[PutRateCardVersion]:
    """Create or replace a version, as JSON or CSV; `?backdate=true`, `?dry_run=true`."""
    return Call(
        "put_rate_card_version",
        "PUT",
        f"/api/v1/rate-cards/{segment(card)}/versions/{segment(effective_from)}",
        query_of(backdate=backdate, dry_run=dry_run, lint=lint, account=account, month=month),
        body=body,
        headers=headers_of(if_match=if_match, content_type=content_type),
    )


def lint_rate_card_version(card: str, effective_from: str) -> Call[LintRateCardVersion]:
    """Findings on a version, warnings first."""
    return Call(
        "lint_rate_card_version",
        "GET",
        f"/api/v1/rate-cards/{segment(card)}/versions/{segment(effective_from)}/lint",
    )


def get_status() -> Call[GetStatus]:
    """The status of the product: `ok`, `degraded` or `failing`, with reasons."""
    return Call("get_status", "GET", "/api/v1/status")
