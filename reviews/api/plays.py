"""Plays over the API: what an organization's plays say, which run, starting, stopping and doing their steps."""

from typing import Any, cast
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
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import plays as acting
from reviews.actions.play_catalog import PlayText, add_play, change_play, ensure_plays, set_active
from reviews.api.play_serializers import (
    NewPlaySerializer,
    NewRunSerializer,
    NoteSerializer,
    PlayChangeSerializer,
    PlaySerializer,
    PlaysSerializer,
    RunSerializer,
    StopSerializer,
)
from reviews.models import Play, PlayRun, PlayVersion, Task
from reviews.reports.plays import with_steps
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Workflow

_TEXT = ("summary", "entry", "exit", "owner", "answer_hours", "per_workflow", "steps")
_STATE = OpenApiParameter("state", OpenApiTypes.STR, enum=["running", "ended"], description="Only these runs.")
_PLAY = OpenApiParameter("play", OpenApiTypes.STR, description="Only runs of the play with this key.")


class PlayListView(APIView):
    """The organization's plays as they are now. A POST adds one of its own."""

    schema = ReadSchema()
    capability = "book.view"
    write_capability = "play.manage"
    staff_only = True

    @extend_schema(operation_id="plays_list", responses=PlaysSerializer)
    def get(self, request: Request) -> Response:
        viewer = viewer_of(request)
        ensure_plays(viewer.organization_id)
        return Response({"results": PlaySerializer(_versions(viewer), many=True).data})

    @idempotent
    @extend_schema(request=NewPlaySerializer, responses={201: PlaySerializer})
    def post(self, request: Request) -> HttpResponseBase:
        viewer = viewer_of(request)
        asked = _asked(NewPlaySerializer, request)
        try:
            play = add_play(viewer, asked.pop("name"), PlayText(**asked))
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(PlaySerializer(_version(viewer, play.key)).data, status=status.HTTP_201_CREATED)


class PlayView(APIView):
    """One play as it is now. A PATCH adds a version with what is named changed, or switches it on or off."""

    schema = ReadSchema()
    capability = "book.view"
    write_capability = "play.manage"
    staff_only = True

    @extend_schema(responses=PlaySerializer)
    def get(self, request: Request, play_key: str) -> Response:
        return Response(PlaySerializer(_version(viewer_of(request), play_key)).data)

    @extend_schema(request=PlayChangeSerializer, responses=PlaySerializer)
    def patch(self, request: Request, play_key: str) -> Response:
        viewer = viewer_of(request)
        version = _version(viewer, play_key)
        asked = _asked(PlayChangeSerializer, request)
        try:
            if "is_active" in asked:
                set_active(viewer, version.play, asked.pop("is_active"))
            if asked:
                text = {name: getattr(version, name) for name in _TEXT} | asked
                change_play(viewer, version.play, PlayText(**text))
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(PlaySerializer(_version(viewer, play_key)).data)


class RunListView(ListAPIView):
    """Runs of all accounts, the newest first."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True
    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[PlayRun]:
        return _runs(viewer_of(self.request), self.request)

    @extend_schema(operation_id="play_runs_list", parameters=[_STATE, _PLAY])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class AccountRunListView(ListAPIView):
    """Runs of one account, the newest first. A POST starts a play, whether its condition holds or not."""

    schema = ReadSchema()
    capability = "book.view"
    write_capability = "book.edit"
    staff_only = True
    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[PlayRun]:
        viewer = viewer_of(self.request)
        return _runs(viewer, self.request).filter(account=account_of_key(viewer, self.kwargs["key"]))

    @extend_schema(operation_id="accounts_play_runs_list", parameters=[_STATE, _PLAY])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @idempotent
    @extend_schema(request=NewRunSerializer, responses={201: RunSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        asked = _asked(NewRunSerializer, request)
        ensure_plays(viewer.organization_id)
        play = Play.objects.visible_to(viewer).filter(key=asked["play"]).first()
        if play is None:
            raise ValidationError({"play": ["There is no play with this key."]})
        workflow = None
        if asked.get("workflow"):
            rows = Workflow.objects.visible_to(viewer).filter(account=account, key=asked["workflow"])
            workflow = rows.first()
            if workflow is None:
                raise ValidationError({"workflow": ["This account has no workflow with this key."]})
        try:
            run = acting.start_play(viewer, account, play, timezone.now(), workflow)
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(_told(viewer, run.pk), status=status.HTTP_201_CREATED)


class RunView(APIView):
    """One run with its steps."""

    schema = ReadSchema()
    capability = "book.view"
    staff_only = True

    @extend_schema(responses=RunSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        return Response(_told(viewer_of(request), run_id))


class StopView(APIView):
    """Ends a run before its exit, with why."""

    schema = ReadSchema()
    capability = "book.edit"
    staff_only = True

    @idempotent
    @extend_schema(request=StopSerializer, responses=RunSerializer)
    def post(self, request: Request, run_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        run = _run(viewer, run_id)
        asked = _asked(StopSerializer, request)
        try:
            acting.stop_run(viewer, run, asked["reason"], timezone.now(), is_lost=asked["is_lost"])
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(_told(viewer, run_id))


class NoteView(APIView):
    """Adds a line to a run's log."""

    schema = ReadSchema()
    capability = "book.edit"
    staff_only = True

    @idempotent
    @extend_schema(request=NoteSerializer, responses={201: RunSerializer})
    def post(self, request: Request, run_id: UUID) -> HttpResponseBase:
        viewer = viewer_of(request)
        run = _run(viewer, run_id)
        acting.add_note(viewer, run, _asked(NoteSerializer, request)["text"], timezone.now())
        return Response(_told(viewer, run_id), status=status.HTTP_201_CREATED)


class StepView(APIView):
    """Ticks a step off, counted from 1; a DELETE takes the tick back. Twice is as good as once."""

    schema = ReadSchema()
    capability = "book.edit"
    staff_only = True

    @extend_schema(request=None, responses=RunSerializer)
    def put(self, request: Request, run_id: UUID, number: int) -> Response:
        return self._act(request, run_id, number, acting.finish_step)

    @extend_schema(responses=RunSerializer)
    def delete(self, request: Request, run_id: UUID, number: int) -> Response:
        return self._act(request, run_id, number, acting.reopen_step)

    def _act(self, request: Request, run_id: UUID, number: int, act: Any) -> Response:
        viewer = viewer_of(request)
        run = _run(viewer, run_id)
        task = Task.objects.visible_to(viewer).filter(run=run, step=number - 1).first()
        if task is None:
            raise Http404("The run has no such step.")
        try:
            act(viewer, task, timezone.now())
        except ConstraintError as error:
            raise _refusal(error) from error
        return Response(_told(viewer, run_id))


def _asked(shape: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _refusal(error: ConstraintError) -> ValidationError:
    if hasattr(error, "error_dict"):
        words = {"non_field_errors" if name == "__all__" else name: said for name, said in error.message_dict.items()}
        return ValidationError(words)
    return ValidationError({"non_field_errors": error.messages})


def _versions(viewer: Viewer) -> list[PlayVersion]:
    rows = PlayVersion.objects.visible_to(viewer).select_related("play")
    return sorted(rows.order_by("play", "-number").distinct("play"), key=lambda version: version.play.key)


def _version(viewer: Viewer, key: str) -> PlayVersion:
    ensure_plays(viewer.organization_id)
    rows = PlayVersion.objects.visible_to(viewer).filter(play__key=key).select_related("play")
    found: PlayVersion | None = rows.order_by("-number").first()
    if found is None:
        raise Http404("There is no play with this key.")
    return found


def _runs(viewer: Viewer, request: Any) -> QuerySet[PlayRun]:
    rows = with_steps(PlayRun.objects.visible_to(viewer)).select_related(
        "account", "play", "version", "workflow", "owner"
    )
    asked = request.query_params
    state = asked.get("state", "")
    if state not in ("", "running", "ended"):
        raise ValidationError({"state": ["Use running or ended."]})
    if state:
        rows = rows.filter(ended_at__isnull=state == "running")
    if asked.get("play"):
        rows = rows.filter(play__key=asked["play"])
    return cast(QuerySet[PlayRun], rows)


def _run(viewer: Viewer, run_id: UUID) -> PlayRun:
    rows = with_steps(PlayRun.objects.visible_to(viewer).filter(pk=run_id)).select_related(
        "account", "play", "version", "workflow", "owner"
    )
    found = rows.first()
    if found is None:
        raise Http404("There is no such run.")
    return found


def _told(viewer: Viewer, run_id: UUID) -> dict[str, Any]:
    return dict(RunSerializer(_run(viewer, run_id)).data)
