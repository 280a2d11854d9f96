"""Imports over the API: create, send the file, validate, look, close or revert. Nothing counts before the close."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account, ApiKey, Scope
from accounts.pagination import CursorPagination
from usage.actions.imports import create, files
from usage.actions.imports.create import ImportRefused
from usage.api.read_schema import ReadSchema
from usage.api.serializers import decimal_text
from usage.models import BadRow, ImportChange, Meter, UsageImport
from usage.reports import imports
from usage.tasks import request_import_work

_OF_CONTENT = frozenset(
    {
        "bad_rows",
        "empty_file",
        "empty_window",
        "no_reason",
        "nothing_new",
        "refused",
        "unknown_column",
        "window_too_long",
        "wrong_type",
    }
)


class Refused(APIException):
    """What was asked for cannot be done: 409 for its state, 422 for its content, 413 for its size."""

    def __init__(self, refused: ImportRefused) -> None:
        self.status_code = 413 if refused.code == "file_too_large" else 422 if refused.code in _OF_CONTENT else 409
        self.default_code = refused.code
        super().__init__(str(refused), refused.code)


class WindowSerializer(serializers.Serializer):
    """Events of a meter in [from, to) that the file replaces: those that it does not have are voided at the close."""

    meter = serializers.CharField(help_text="Key of the meter.")
    accounts = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=1000, help_text="Keys; every account if absent."
    )
    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.DateTimeField()}


class NewImportSerializer(serializers.Serializer):
    """An import to make."""

    format = serializers.ChoiceField(choices=UsageImport.Format.choices)
    file_name = serializers.CharField(required=False, max_length=200)
    columns = serializers.DictField(
        child=serializers.CharField(max_length=256),
        required=False,
        help_text="Our name of a column → its name in the file.",
    )
    default_source = serializers.CharField(
        required=False, max_length=200, help_text="The source of rows that name none; `import` if absent."
    )
    window = WindowSerializer(required=False, allow_null=True)


class ImportSerializer(serializers.ModelSerializer):
    """An import, how far it is, and what it found."""

    rows = serializers.SerializerMethodField()
    reasons = serializers.DictField(child=serializers.IntegerField(), help_text="Bad rows by reason.")
    progress = serializers.SerializerMethodField()
    window = serializers.SerializerMethodField()
    difference = serializers.SerializerMethodField(help_text="Money by currency, as decimal strings.")
    leaves_bad_rows_out = serializers.BooleanField(source="leaves_bad_out")

    class Meta:
        model = UsageImport
        fields = (
            "id", "state", "format", "file_name", "bytes", "rows", "reasons", "progress", "window", "difference",
            "problem", "events_voided", "leaves_bad_rows_out", "default_source", "columns", "created_at",
            "uploaded_at", "validated_at", "closed_at",
        )  # fmt: skip

    def get_rows(self, one: UsageImport) -> dict[str, int]:
        return {
            "total": one.rows,
            "new": one.rows_new,
            "known": one.rows_known,
            "known_differing": one.rows_differing,
            "repeated": one.rows_repeated,
            "bad": one.rows_bad,
        }

    def get_progress(self, one: UsageImport) -> dict[str, Any] | None:
        found = imports.progress_of(one, timezone.now())
        return found._asdict() if found else None

    def get_window(self, one: UsageImport) -> dict[str, Any] | None:
        if one.window_from is None or one.window_to is None or one.window_meter is None:
            return None
        times = {"from": one.window_from.isoformat(), "to": one.window_to.isoformat()}
        return {"meter": one.window_meter.key, "accounts": self._keys_of(one.window_accounts), **times}

    def _keys_of(self, accounts: list[UUID]) -> list[str]:
        """The keys of the accounts of a window; those of a whole page of imports are looked up once."""
        known: dict[UUID, str] = cast("dict[str, Any]", self.context).setdefault("account_keys", {})
        missing = set(accounts) - known.keys()
        if missing:
            known.update(Account.objects.filter(pk__in=missing).values_list("pk", "key"))
        return [known[pk] for pk in accounts if pk in known]

    def get_difference(self, one: UsageImport) -> dict[str, dict[str, str]]:
        return {
            money.currency: {
                "before": decimal_text(money.before),
                "after": decimal_text(money.after),
                "difference": decimal_text(money.difference),
                "adjustment": decimal_text(money.late),
            }
            for money in imports.money_of(one)
        }


class BadRowSerializer(serializers.ModelSerializer):
    """A row that cannot be imported. The first 1,000 are kept; `reasons` of the import counts all."""

    class Meta:
        model = BadRow
        fields = ("line", "code", "detail", "excerpt")


class ImportChangeSerializer(serializers.ModelSerializer):
    """One account and meter: the billing periods [from, to) that the file touches, now and after the close.

    Money is null where no price is in force. `adjustment` is the part of the difference that falls into closed
    billing periods, and will be booked in the open one.
    """

    account = serializers.CharField(source="account.key")
    meter = serializers.CharField(source="meter.key")
    quantity_before = serializers.SerializerMethodField()
    quantity_after = serializers.SerializerMethodField()
    spend_before = serializers.SerializerMethodField()
    spend_after = serializers.SerializerMethodField()
    adjustment = serializers.SerializerMethodField()
    to = serializers.DateField(source="ends_on")

    class Meta:
        model = ImportChange
        fields = (
            "account", "meter", "currency", "to", "rows_new", "rows_known", "rows_voided", "quantity_before",
            "quantity_after", "spend_before", "spend_after", "adjustment",
        )  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.DateField(source="starts_on")}

    def get_quantity_before(self, row: ImportChange) -> str:
        return decimal_text(row.quantity_before)

    def get_quantity_after(self, row: ImportChange) -> str:
        return decimal_text(row.quantity_after)

    def get_spend_before(self, row: ImportChange) -> str | None:
        return None if row.spend_before is None else decimal_text(row.spend_before)

    def get_spend_after(self, row: ImportChange) -> str | None:
        return None if row.spend_after is None else decimal_text(row.spend_after)

    def get_adjustment(self, row: ImportChange) -> str:
        return decimal_text(row.adjustment)


class CloseSerializer(serializers.Serializer):
    """How to close."""

    leave_bad_rows_out = serializers.BooleanField(default=False)


class UndoSerializer(serializers.Serializer):
    """Why the import is taken back."""

    reason = serializers.CharField(max_length=create.REASON_CHARS)


class ImportListView(ListAPIView):
    """The organization's imports, the newest first."""

    schema = ReadSchema()
    capability = "import.manage"
    staff_only = True
    serializer_class = ImportSerializer

    def get_queryset(self) -> "QuerySet[UsageImport]":
        return imports.imports_of(viewer_of(self.request))

    @idempotent
    @extend_schema(request=NewImportSerializer, responses={201: ImportSerializer})
    def post(self, request: Request) -> HttpResponseBase:
        """Make an import; then send its file."""
        viewer = viewer_of(request)
        asked = NewImportSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        key = request.auth if isinstance(request.auth, ApiKey) else None
        window = given.pop("window", None)
        new = create.NewImport(
            **given,
            may_backfill=key is None or Scope.EVENTS_BACKFILL in key.scopes,
            window=_window(request, window) if window else None,
        )
        try:
            one = create.create_import(viewer, new, key)
        except ImportRefused as refused:
            raise Refused(refused) from refused
        one.refresh_from_db()
        return Response(ImportSerializer(one).data, status=status.HTTP_201_CREATED)


class _OneImport(APIView):
    """Base of the views of one import."""

    schema = ReadSchema()
    capability = "import.manage"
    staff_only = True

    def find(self, request: Request, import_id: UUID) -> UsageImport:
        """The import; 404 alike for one that does not exist and one that others own."""
        one = imports.find_import(viewer_of(request), import_id)
        if one is None:
            raise Http404("There is no such import.")
        return one

    def act(self, request: Request, import_id: UUID, act: Callable[[UsageImport], None]) -> Response:
        """Do something to the import while nobody else does, and wake a worker."""
        one = create.held(viewer_of(request), import_id)
        if one is None:
            raise Http404("There is no such import.")
        try:
            act(one)
        except ImportRefused as refused:
            raise Refused(refused) from refused
        if one.is_working:
            request_import_work(one.organization_id, one.pk)
        return Response(ImportSerializer(self.find(request, import_id)).data)


class ImportView(_OneImport):
    """One import: ask again while `progress` is not null."""

    @extend_schema(responses=ImportSerializer)
    def get(self, request: Request, import_id: UUID) -> Response:
        return Response(ImportSerializer(self.find(request, import_id)).data)


class ImportFileView(_OneImport):
    """The file of an import, whole or in pieces, as it is on the disk (CSV and NDJSON may be gzip)."""

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter(
                "offset", OpenApiTypes.INT, description="Where this piece starts; 0 begins anew.", default=0
            ),
            OpenApiParameter("last", OpenApiTypes.BOOL, description="Whether the file ends with it.", default=True),
        ],
        responses=ImportSerializer,
    )
    def put(self, request: Request, import_id: UUID) -> Response:
        """At most 2 GiB. Behind a proxy that limits bodies send pieces, of 8 MiB say, one after the other."""
        offset = request.query_params.get("offset", "0")
        last = request.query_params.get("last", "true").lower()
        if not (offset.isascii() and offset.isdecimal() and len(offset) < 12):
            raise ValidationError({"offset": ["offset is a number of bytes."]})
        if last not in ("true", "false"):
            raise ValidationError({"last": ["last is true or false."]})
        read = _reader(request)

        def store(one: UsageImport) -> None:
            files.append(one, int(offset), read, timezone.now(), is_last=last == "true")

        try:
            return self.act(request, import_id, store)
        except UnreadablePostError as error:
            raise ParseError("The body ended before its time. Send this piece again.") from error


class ImportValidateView(_OneImport):
    """Check the file, anew if it was checked before."""

    @extend_schema(request=None, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        return self.act(request, import_id, lambda one: create.start_validation(viewer, one, now))


class ImportErrorListView(ListAPIView, _OneImport):
    """The rows that cannot be imported, with their reasons."""

    serializer_class = BadRowSerializer

    class pagination_class(CursorPagination):
        ordering = "line"

    def get_queryset(self) -> "QuerySet[BadRow]":
        one = self.find(self.request, self.kwargs["import_id"])
        return imports.bad_rows(viewer_of(self.request), one)


class ImportPreviewView(ListAPIView, _OneImport):
    """What closing would change, account by account and meter."""

    serializer_class = ImportChangeSerializer

    class pagination_class(CursorPagination):
        ordering = ("account_id", "meter_id")  # type: ignore[assignment]

    def get_queryset(self) -> "QuerySet[ImportChange]":
        one = self.find(self.request, self.kwargs["import_id"])
        rows = ImportChange.objects.visible_to(viewer_of(self.request)).filter(usage_import=one.pk)
        return rows.select_related("account", "meter")


class ImportCloseView(_OneImport):
    """Let the events count. Asking again changes nothing."""

    @extend_schema(request=CloseSerializer, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        self.find(request, import_id)
        asked = CloseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        leave_out = asked.validated_data["leave_bad_rows_out"]
        return self.act(
            request, import_id, lambda one: create.start_closing(viewer, one, now, leave_bad_out=leave_out)
        )


class ImportRevertView(_OneImport):
    """Drop an import that is not closed, also while it is being checked."""

    @extend_schema(request=None, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        return self.act(request, import_id, lambda one: create.start_reverting(viewer, one, now))


class ImportUndoView(_OneImport):
    """Void every event of a closed import, within 30 days."""

    @extend_schema(request=UndoSerializer, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        self.find(request, import_id)
        asked = UndoSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data["reason"]
        return self.act(request, import_id, lambda one: create.start_undoing(viewer, one, reason, now))


def _window(request: Request, asked: dict[str, Any]) -> create.Window:
    viewer = viewer_of(request)
    meter = Meter.objects.visible_to(viewer).filter(key=asked["meter"].replace("\x00", "")).first()
    if meter is None:
        raise ValidationError({"window": {"meter": [f"No meter has the key “{asked['meter'][:60]}”."]}})
    keys = {key.replace("\x00", "") for key in asked.get("accounts", [])}
    accounts = list(Account.objects.visible_to(viewer).filter(key__in=keys))
    missing = sorted(keys - {account.key for account in accounts})
    if missing:
        raise ValidationError({"window": {"accounts": [f"No account has the key “{missing[0][:60]}”."]}})
    return create.Window(meter, asked["from"], asked["to"], accounts)


def _reader(request: Request) -> Callable[[int], bytes]:
    """Reads the body piece by piece, also of clients that send it in chunks."""
    http = request._request
    if not http.META.get("CONTENT_LENGTH") and http.META.get("HTTP_TRANSFER_ENCODING"):
        read: Callable[[int], bytes] = http.META["wsgi.input"].read
        return read
    return http.read
