"""Contracts and commits over the API: what is left of them, making them, and changing them with a reason."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account, Organization
from budgets.actions import commits as actions
from budgets.actions.contracts import ContractError, NewContract, create_contract
from budgets.api import commit_serializers as shapes
from budgets.models import Commit, Contract
from budgets.reports.balances import CommitState, commits_of
from consumption_cs.lib.tenancy import Viewer
from usage.api.exact_fields import shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Meter
from usage.reports.freshness import data_through

_MONEY = ("amount", "rate", "value", "rollover_least", "rollover_most")
_PLAIN = (
    "id name kind unit priority effective_on cancelled_on recurs_months rollover_months"
).split()  # fmt: skip


class ContractListView(APIView):
    """The account's contracts. A POST makes one."""

    schema = ReadSchema()
    capability = "money.view"
    write_capability = "commit.manage"

    @extend_schema(responses=shapes.ContractsSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        rows = Contract.objects.visible_to(viewer).filter(account=account).order_by("-starts_on")
        return Response({"results": [_contract(viewer, row) for row in rows]})

    @idempotent
    @extend_schema(request=shapes.NewContractSerializer, responses={201: shapes.ContractSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = _asked(shapes.NewContractSerializer, request)
        try:
            contract = create_contract(viewer, account, NewContract(**asked), timezone.now())
        except ContractError as error:
            raise _refusal(error) from error
        return Response(_contract(viewer, contract), status=status.HTTP_201_CREATED)


class CommitListView(APIView):
    """The account's commits with what each has left. A POST makes one."""

    schema = ReadSchema()
    capability = "money.view"
    write_capability = "commit.manage"

    @extend_schema(responses=shapes.CommitsSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        account = account_of_key(viewer, key)
        balance = commits_of(viewer, account, now)
        sums = {name: shown(getattr(balance, name)) for name in ("settled", "ongoing", "overage")}
        rows = _commits(viewer, account, balance.commits)
        through = data_through(viewer, now).data_through
        return Response({"currency": account.currency, **sums, "data_through": through, "results": rows})

    @idempotent
    @extend_schema(request=shapes.NewCommitSerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer, now = viewer_of(request), timezone.now()
        account = account_of_key(viewer, key)
        asked = _asked(shapes.NewCommitSerializer, request)
        contract = Contract.objects.visible_to(viewer).filter(account=account, pk=asked["contract"]).first()
        if contract is None:
            raise ValidationError({"contract": ["The account has no such contract: see its contracts for their ids."]})
        asked |= {"contract": contract, "unit": asked.get("unit", account.currency)} | _meter_ids(viewer, asked)
        try:
            commit = actions.create_commit(viewer, account, actions.NewCommit(**asked), now)
        except actions.CommitError as error:
            raise _refusal(error) from error
        return Response(_one(viewer, commit, now), status=status.HTTP_201_CREATED)


class CommitView(APIView):
    """One commit."""

    schema = ReadSchema()
    capability = "money.view"

    @extend_schema(responses=shapes.CommitSerializer)
    def get(self, request: Request, commit_id: UUID) -> Response:
        viewer = viewer_of(request)
        return Response(_one(viewer, _commit_of(viewer, commit_id), timezone.now()))


class _ChangeView(APIView):
    """Base of the ways to change a commit."""

    schema = ReadSchema()
    capability = "commit.manage"
    asks: type[serializers.Serializer]

    def change(self, request: Request, commit_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        commit = _commit_of(viewer, commit_id)
        asked = _asked(self.asks, request)
        try:
            changed = self.act(viewer, commit, asked, now)
        except actions.CommitError as error:
            raise _refusal(error) from error
        return Response(_one(viewer, changed, now), status=status.HTTP_201_CREATED)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        """Do it, and return the commit that it leads to. Raises CommitError."""
        raise NotImplementedError


class AmendmentView(_ChangeView):
    """Adds to what is left of a commit, or takes some back that is not drawn yet."""

    asks = shapes.NewAmendmentSerializer

    @idempotent
    @extend_schema(request=shapes.NewAmendmentSerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, commit_id: UUID) -> HttpResponseBase:
        return self.change(request, commit_id)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        return actions.amend_commit(viewer, commit, asked["value_change"], asked["effective_on"], asked["reason"], now)


class ExpiryView(_ChangeView):
    """Moves the day on which a commit expires."""

    asks = shapes.NewExpirySerializer

    @idempotent
    @extend_schema(request=shapes.NewExpirySerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, commit_id: UUID) -> HttpResponseBase:
        return self.change(request, commit_id)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        return actions.extend_commit(viewer, commit, asked["expires_on"], asked["reason"], now)


class CommitOrderView(_ChangeView):
    """Changes when a commit is drawn and for which meters; days that are not closed are drawn again."""

    asks = shapes.NewDrawOrderSerializer

    @idempotent
    @extend_schema(request=shapes.NewDrawOrderSerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, commit_id: UUID) -> HttpResponseBase:
        return self.change(request, commit_id)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        order = actions.DrawOrder(priority=asked.get("priority"), **_meter_ids(viewer, asked))
        return actions.reorder_commit(viewer, commit, order, asked["reason"], now)


class CancellationView(_ChangeView):
    """Ends a commit: what is left falls to zero."""

    asks = shapes.NewCancellationSerializer

    @idempotent
    @extend_schema(request=shapes.NewCancellationSerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, commit_id: UUID) -> HttpResponseBase:
        return self.change(request, commit_id)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        return actions.cancel_commit(viewer, commit, asked["on"], asked["reason"], now)


class RolloverView(_ChangeView):
    """Makes a new commit of what expired unused; the answer is the new one."""

    asks = shapes.NewRolloverSerializer

    @idempotent
    @extend_schema(request=shapes.NewRolloverSerializer, responses={201: shapes.CommitSerializer})
    def post(self, request: Request, commit_id: UUID) -> HttpResponseBase:
        return self.change(request, commit_id)

    def act(self, viewer: Viewer, commit: Commit, asked: dict[str, Any], now: datetime) -> Commit:
        reason = asked.pop("reason")
        return actions.roll_over_commit(viewer, commit, actions.Rollover(**asked), reason, now)


def _asked(shape: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    # The field writes out all its places; an amount has those that were sent.
    return {
        name: Decimal(shown(value)) if isinstance(value, Decimal) else value
        for name, value in asked.validated_data.items()
    }


def _refusal(error: actions.CommitError | ContractError) -> ValidationError:
    return ValidationError({error.field or "non_field_errors": [str(error)]})


def _commit_of(viewer: Viewer, commit_id: UUID) -> Commit:
    commit: Commit | None = (
        Commit.objects.visible_to(viewer).select_related("account", "contract").filter(pk=commit_id).first()
    )
    if commit is None:
        raise Http404("There is no such commit.")
    return commit


def _meter_ids(viewer: Viewer, asked: dict[str, Any]) -> dict[str, tuple[UUID, ...]]:
    """Return the ids of the meters whose keys were asked for. Raises ValidationError for an unknown one."""
    ids: dict[str, tuple[UUID, ...]] = {}
    for name in ("only_meters", "except_meters"):
        if name not in asked:
            continue
        keys = [key.replace("\x00", "") for key in asked[name]]
        found = dict(Meter.objects.visible_to(viewer).filter(key__in=keys).values_list("key", "pk"))
        for key in keys:
            if key not in found:
                raise ValidationError({name: [f"No meter has the key “{key[:60]}”."]})
        ids[name] = tuple(dict.fromkeys(found[key] for key in keys))
    return ids


def _contract(viewer: Viewer, row: Contract) -> dict[str, Any]:
    names = ("id", "name", "starts_on", "ends_on", "draw_policy")
    own = {} if viewer.is_portal else {"note": row.note}
    return {name: getattr(row, name) for name in names} | {"overage_factor": shown(Decimal(row.overage_factor))} | own


def _one(viewer: Viewer, commit: Commit, now: datetime) -> dict[str, Any]:
    account: Account = commit.account
    balance = commits_of(viewer, account, now)
    (row,) = _commits(viewer, account, [row for row in balance.commits if row.commit.pk == commit.pk])
    return row


def _commits(viewer: Viewer, account: Account, rows: Iterable[CommitState]) -> list[dict[str, Any]]:
    meters = dict(Meter.objects.visible_to(viewer).values_list("pk", "key"))
    vendor = Organization.objects.get(pk=viewer.organization_id).name if viewer.is_portal else ""
    return [_commit(account, row, meters, vendor) for row in rows]


def _commit(account: Account, row: CommitState, meters: dict[UUID, str], vendor: str) -> dict[str, Any]:
    commit = row.commit
    return {
        **{name: getattr(commit, name) for name in _PLAIN},
        **{name: shown(Decimal(getattr(commit, name))) for name in _MONEY},
        **{name: shown(getattr(row, name)) for name in ("granted", "drawn", "settled", "ongoing", "expiring")},
        "account": account.key,
        "contract": commit.contract_id,
        "state": row.state,
        "currency": account.currency,
        "expires_on": commit.expires_on,
        "rolled_from": commit.rolled_from_id,
        "only_meters": [meters[one] for one in commit.only_meters if one in meters],
        "except_meters": [meters[one] for one in commit.except_meters if one in meters],
        "changes": [
            {
                **{name: getattr(change, name) for name in ("kind", "effective_on", "before", "after", "reason")},
                "value_change": shown(change.value_change),
                "by": vendor or change.actor_name,
                "created_at": change.created_at,
            }
            for change in row.changes
        ],
    }
