"""Pages of imports: the list, a new one, one import with its steps, and what people do to it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import requires
from consumption_cs.lib.tenancy import Viewer
from usage import import_exports
from usage.actions.imports import create, files
from usage.actions.imports.create import ImportRefused
from usage.forms.imports import ImportForm, UndoForm
from usage.models import Meter, UsageImport
from usage.reports import imports as reports
from usage.tasks import request_import_work

A_PAGE = 25
CHANGES_A_PAGE = 50
SCRIPTED = "X-Upload"  # the page's script asks for addresses and sends the file in pieces
_CSV = "text/csv; charset=utf-8"
_TEMPLATES: dict[str, tuple[Callable[..., bytes], str]] = {
    "csv": (import_exports.template_csv, _CSV),
    "ndjson": (import_exports.template_ndjson, "application/x-ndjson"),
    "parquet": (import_exports.template_parquet, "application/vnd.apache.parquet"),
}
State = UsageImport.State
_PREVIEWED = (State.READY, State.REFUSED, State.CLOSING, State.CLOSED)


@require_safe
@requires("import.manage", staff=True)
def imports(request: HttpRequest) -> HttpResponse:
    """The organization's imports, the newest first."""
    viewer, now = viewer_of(request), timezone.now()
    page = Paginator(reports.imports_of(viewer), A_PAGE).get_page(request.GET.get("page"))
    rows = [(one, reports.tone_of(one), reports.progress_of(one, now)) for one in page]
    working = any(progress for _, _, progress in rows)
    return render(request, "usage/imports.html", {"page_obj": page, "rows": rows, "is_working": working})


@require_http_methods(["GET", "HEAD", "POST"])
@requires("import.manage", staff=True)
def import_new(request: HttpRequest) -> HttpResponse:
    """Make an import. With the page's script the file follows in pieces, without it comes along."""
    viewer = viewer_of(request)
    organization = request.membership.organization  # type: ignore[attr-defined]
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ImportForm(*data, viewer=viewer, organization=organization)
    if request.method == "POST" and form.is_valid():
        scripted = SCRIPTED in request.headers
        if scripted or form.cleaned_data["file"]:
            return _made(request, viewer, form, scripted=scripted)
        form.add_error("file", "Choose a file.")
    context = {"form": form, "example": _example(viewer), "piece": files.PIECE, "zone": organization.timezone}
    return render(request, "usage/import_new.html", context, status=422 if data else 200)


def _made(request: HttpRequest, viewer: Viewer, form: ImportForm, *, scripted: bool) -> HttpResponse:
    one = create.create_import(viewer, form.new_import)
    page = reverse("usage:import", args=[one.pk])
    if scripted:
        upload, check = (reverse(f"usage-api:import-{name}", args=[one.pk]) for name in ("file", "validate"))
        own = reverse("usage-api:import", args=[one.pk])
        return JsonResponse({"page": page, "self": own, "upload": upload, "check": check})
    return _uploaded(request, viewer, one.pk)


def _uploaded(request: HttpRequest, viewer: Viewer, import_id: UUID) -> HttpResponse:
    """Take the file of a plain form, and begin to check it."""
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)  # noqa: S101 - for the type checker: the form has one file field

    def store(one: UsageImport) -> None:
        files.append(one, 0, lambda count: file.read(count), timezone.now(), is_last=True)
        create.start_validation(viewer, one, timezone.now())

    return _act(request, import_id, store, undo_on_refusal=True)


@require_safe
@requires("import.manage", staff=True)
def usage_import(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """One import: where it is, what was wrong, what it would change, and what can be done."""
    viewer, now = viewer_of(request), timezone.now()
    one = _find(viewer, import_id)
    changes = Paginator(reports.changes_of(viewer, one), CHANGES_A_PAGE)
    errors = Paginator(reports.bad_rows(viewer, one), reports.ERRORS_A_PAGE)
    context = _state(one, now) | {
        "steps": reports.steps_of(one),
        "counts": reports.counts_of(one),
        "errors": errors.get_page(request.GET.get("errors")),
        "page_obj": changes.get_page(request.GET.get("page")),
        "money": reports.money_of(one),
        "accounts": reports.window_accounts(viewer, one) if one.replaces_window else [],
        "undo_form": UndoForm(),
        "may_undo": create.may_undo(one, now),
        "has_preview": one.validated_at is not None and one.state in _PREVIEWED,
        "piece": files.PIECE,
    }
    return render(request, "usage/import.html", context)


@require_safe
@requires("import.manage", staff=True)
def import_progress(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The part of the page that is asked for every second; the page loads anew when the work is done."""
    one = _find(viewer_of(request), import_id)
    if request.GET.get("state") != one.state:
        return HttpResponse(status=200, headers={"HX-Refresh": "true"})
    return render(request, "usage/_import_progress.html", _state(one, timezone.now()))


@require_safe
@requires("import.manage", staff=True)
def import_errors_csv(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The bad rows as a file."""
    viewer = viewer_of(request)
    one = _find(viewer, import_id)
    return _file(import_exports.errors_csv(reports.bad_rows(viewer, one)), _CSV, f"import-errors-{one.pk}.csv")


@require_safe
@requires("import.manage", staff=True)
def import_changes_csv(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The preview as a file."""
    viewer = viewer_of(request)
    one = _find(viewer, import_id)
    return _file(import_exports.changes_csv(reports.changes_of(viewer, one)), _CSV, f"import-preview-{one.pk}.csv")


@require_safe
@requires("import.manage", staff=True)
def import_template(request: HttpRequest, kind: str) -> HttpResponse:
    """A file of one kind with one row to replace."""
    make, content_type = _TEMPLATES[kind]
    return _file(make(timezone.now(), *_example(viewer_of(request))), content_type, f"usage-template.{kind}")


@require_POST
@requires("import.manage", staff=True)
def import_upload(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """The file of an import whose upload did not come to its end."""
    viewer = viewer_of(request)
    _find(viewer, import_id)
    if "file" not in request.FILES:
        messages.error(request, "Choose a file.")
        return redirect("usage:import", import_id)
    return _uploaded(request, viewer, import_id)


@require_POST
@requires("import.manage", staff=True)
def import_validate(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Check the file, anew if an account or meter was added meanwhile."""
    viewer, now = viewer_of(request), timezone.now()
    return _act(request, import_id, lambda one: create.start_validation(viewer, one, now))


@require_POST
@requires("import.manage", staff=True)
def import_close(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Let the events count."""
    viewer, now = viewer_of(request), timezone.now()
    leave = request.POST.get("leave_bad_out") == "yes"
    return _act(request, import_id, lambda one: create.start_closing(viewer, one, now, leave_bad_out=leave))


@require_POST
@requires("import.manage", staff=True)
def import_revert(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Drop an import that is not closed; cancels one that is being checked."""
    viewer, now = viewer_of(request), timezone.now()
    return _act(request, import_id, lambda one: create.start_reverting(viewer, one, now))


@require_POST
@requires("import.manage", staff=True)
def import_undo(request: HttpRequest, import_id: UUID) -> HttpResponse:
    """Take back every event of a closed import."""
    viewer, now = viewer_of(request), timezone.now()
    reason = request.POST.get("reason", "").replace("\x00", "")
    return _act(request, import_id, lambda one: create.start_undoing(viewer, one, reason, now))


def _act(
    request: HttpRequest, import_id: UUID, act: Callable[[UsageImport], None], *, undo_on_refusal: bool = False
) -> HttpResponse:
    """Do something to the import while nobody else does; a refusal is said on its page."""
    one = create.held(viewer_of(request), import_id)
    if one is None:
        raise Http404
    try:
        act(one)
    except ImportRefused as refused:
        messages.error(request, str(refused))
        if undo_on_refusal:  # pieces of a file that was refused are of no use
            files.forget(one)
        return redirect("usage:import", import_id)
    if one.is_working:
        request_import_work(one.organization_id, one.pk)
    return redirect("usage:import", import_id)


def _find(viewer: Viewer, import_id: UUID) -> UsageImport:
    one = reports.find_import(viewer, import_id)
    if one is None:
        raise Http404
    return one


def _state(one: UsageImport, now: Any) -> dict[str, Any]:
    return {"one": one, "progress": reports.progress_of(one, now), "tone": reports.tone_of(one)}


def _example(viewer: Viewer) -> tuple[str, str, str]:
    """An account, a meter and its event type, of the organization's own if it has any."""
    account = Account.objects.visible_to(viewer).order_by("key").values_list("key", flat=True).first()
    meters = Meter.objects.visible_to(viewer).filter(is_active=True).order_by("key")
    meter, event_type = meters.values_list("key", "event_type").first() or ("api.call", "api.call")
    return account or "northwind", meter, event_type


def _file(content: bytes, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=headers)
