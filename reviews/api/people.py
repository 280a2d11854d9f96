"""People, words and tasks of accounts over the API. Contacts and entries are internal: no customer reads them."""

from typing import Any, TypeVar, cast
from uuid import UUID

from django.core.exceptions import ValidationError as ConstraintError
from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account, Membership, User
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.contacts import save_contact
from reviews.actions.tasks import add_task, finish_task, reopen_task
from reviews.actions.timeline import log_entry
from reviews.api.people_serializers import (
    ContactSerializer,
    EntrySerializer,
    NewContactSerializer,
    NewEntrySerializer,
    NewTaskSerializer,
    TaskSerializer,
)
from reviews.models import Contact, Task, TimelineEntry
from reviews.reports.tasks import tasks_of
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key

_STATES = ("open", "done", "dropped")
_STATE = OpenApiParameter("state", OpenApiTypes.STR, enum=_STATES, description="Only tasks in this state.")
_PERSON = OpenApiParameter("assigned_to", OpenApiTypes.EMAIL, description="Only tasks of the person with this e-mail.")
_EXTERNAL = OpenApiParameter("external_id", OpenApiTypes.STR, description="Only what has this id of yours.")
_Asked = TypeVar("_Asked", bound=serializers.Serializer[Any])


class ContactListView(ListAPIView):
    """Who is who at the account, the newest first. A POST adds somebody."""

    schema = ReadSchema()
    capability = "book.view"
    write_capability = "book.edit"
    staff_only = True
    serializer_class = ContactSerializer

    def get_queryset(self) -> QuerySet[Contact]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        rows = Contact.objects.visible_to(viewer).filter(account=account).select_related("account")
        return cast(QuerySet[Contact], _of_external_id(rows, self.request))

    @extend_schema(parameters=[_EXTERNAL])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewContactSerializer, responses={201: ContactSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = _asked(NewContactSerializer, request)
        try:
            contact = save_contact(viewer, account, asked.person())
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(ContactSerializer(contact).data, status=status.HTTP_201_CREATED)


class EntryListView(ListAPIView):
    """What was written down of the account, the newest first. A POST writes something down."""

    schema = ReadSchema()
    capability = "book.view"
    write_capability = "book.edit"
    staff_only = True
    serializer_class = EntrySerializer

    def get_queryset(self) -> QuerySet[TimelineEntry]:
        viewer = viewer_of(self.request)
        account = account_of_key(viewer, self.kwargs["key"])
        rows = TimelineEntry.objects.visible_to(viewer).filter(account=account, removed_at=None)
        rows = rows.select_related("account", "by").prefetch_related("attendees")
        return cast(QuerySet[TimelineEntry], _of_external_id(rows, self.request))

    @extend_schema(parameters=[_EXTERNAL])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewEntrySerializer, responses={201: EntrySerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer, now = viewer_of(request), timezone.now()
        account = account_of_key(viewer, key)
        asked = {"at": now} | _asked(NewEntrySerializer, request).validated_data
        try:
            entry = log_entry(viewer, account, **asked, now=now)
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(EntrySerializer(entry).data, status=status.HTTP_201_CREATED)


class TaskListView(ListAPIView):
    """Tasks of all accounts, the newest first. A customer's key reads those shared with them."""

    schema = ReadSchema()
    capability = "task.view"
    serializer_class = TaskSerializer

    def get_queryset(self) -> QuerySet[Task]:
        return _tasks(viewer_of(self.request), None, self.request)

    @extend_schema(operation_id="tasks_list", parameters=[_STATE, _PERSON])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class AccountTaskListView(ListAPIView):
    """Tasks of an account, the newest first. A POST adds one; destinations hear `task.created`."""

    schema = ReadSchema()
    capability = "task.view"
    write_capability = "book.edit"
    serializer_class = TaskSerializer

    def get_queryset(self) -> QuerySet[Task]:
        viewer = viewer_of(self.request)
        return _tasks(viewer, account_of_key(viewer, self.kwargs["key"]), self.request)

    @extend_schema(operation_id="account_tasks_list", parameters=[_STATE, _PERSON])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewTaskSerializer, responses={201: TaskSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = _asked(NewTaskSerializer, request).validated_data
        asked["assigned_to"] = _person(viewer, account, asked["assigned_to"])
        try:
            task = add_task(viewer, account, **asked, now=timezone.now())
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(TaskSerializer(task).data, status=status.HTTP_201_CREATED)


class TaskCompletionView(APIView):
    """Ticks a task off; a DELETE takes the tick back. Twice is as good as once; destinations hear `task.done`."""

    schema = ReadSchema()
    capability = "task.finish"

    @idempotent
    @extend_schema(request=None, responses=TaskSerializer)
    def post(self, request: Request, task_id: UUID) -> HttpResponseBase:
        return self._act(request, task_id, is_done=True)

    @extend_schema(responses={200: TaskSerializer})
    def delete(self, request: Request, task_id: UUID) -> HttpResponseBase:
        return self._act(request, task_id, is_done=False)

    def _act(self, request: Request, task_id: UUID, *, is_done: bool) -> Response:
        viewer = viewer_of(request)
        task = tasks_of(viewer).filter(pk=task_id).first()
        if task is None:
            raise Http404("There is no such task.")
        try:
            (finish_task if is_done else reopen_task)(viewer, task, timezone.now())
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(TaskSerializer(tasks_of(viewer).get(pk=task.pk)).data)


def _asked(kind: type[_Asked], request: Request) -> _Asked:
    asked = kind(data=request.data)
    asked.is_valid(raise_exception=True)
    return asked


def _refusal(error: ConstraintError) -> ValidationError:
    return ValidationError(
        error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
    )


def _of_external_id(rows: QuerySet[Any], request: Request) -> QuerySet[Any]:
    asked = request.query_params.get("external_id", "").replace("\x00", "")
    return rows.filter(external_id=asked) if asked else rows


def _tasks(viewer: Viewer, account: Account | None, request: Request) -> QuerySet[Task]:
    rows = tasks_of(viewer, account)
    state = request.query_params.get("state")
    if state and state not in _STATES:
        raise ValidationError({"state": [f"It is one of {', '.join(_STATES)}."]})
    if state == "open":
        rows = rows.filter(done_at=None, dropped_at=None)
    elif state:
        rows = rows.filter(**{f"{state}_at__isnull": False})
    email = request.query_params.get("assigned_to", "").replace("\x00", "")
    return cast(QuerySet[Task], rows.filter(assigned_to__email=email.lower()) if email else rows)


def _person(viewer: Viewer, account: Account, email: str | None) -> User | None:
    """Return who has the e-mail among the team and the customer's own people."""
    if not email:
        return None
    seats = Membership.objects.visible_to(viewer).filter(user__email=email.lower(), user__is_active=True)
    seat = seats.filter(account=None).first() or seats.filter(account=account).first()
    if seat is None:
        raise ValidationError({"assigned_to": ["Nobody of your team, or of this customer, has this e-mail."]})
    return cast(User, seat.user)
