"""The plays of an organization: which there are, what they say, what became of them, and their editor."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.play_catalog import PLAYED_BY, add_play, change_play, ensure_plays, set_active
from reviews.calc.condition_words import sentence
from reviews.calc.conditions import ConditionError
from reviews.calc.conditions import check as check_condition
from reviews.forms.plays import PlayEditor
from reviews.models import Play, PlayVersion
from reviews.reports.play_pages import catalogue, moved_once, runs_of_play, shown, totals, versions_of
from reviews.reports.play_preview import preview

PAGE_SIZE = 25


@require_safe
@requires("book.view", staff=True)
def plays(request: HttpRequest) -> HttpResponse:
    """All plays: when they begin and end, what runs, and whether they work."""
    viewer, now = viewer_of(request), timezone.now()
    ensure_plays(viewer.organization_id)
    lines = catalogue(viewer, now)
    context = {
        "lines": lines,
        "facts": totals(lines, moved_once(viewer, now)),
        "running": sum(line.outcome.running for line in lines),
        "late": sum(line.late for line in lines),
        "may_manage": can(viewer, "play.manage"),
    }
    return render(request, "reviews/plays.html", context)


@require_safe
@requires("book.view", staff=True)
def play(request: HttpRequest, play_key: str) -> HttpResponse:
    """One play: what it says, its runs and its versions."""
    viewer, now = viewer_of(request), timezone.now()
    found = _play(viewer, play_key)
    line = next(one for one in catalogue(viewer, now) if one.play.pk == found.pk)
    page = Paginator(runs_of_play(viewer, found), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "play": found,
        "line": line,
        "version": line.version,
        "facts": totals([line], moved_once(viewer, now, found)),
        "page": page,
        "rows": shown(list(page.object_list), now),
        "versions": versions_of(viewer, found),
        "may_manage": can(viewer, "play.manage"),
        "now": now,
    }
    return render(request, "reviews/play.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("play.manage", staff=True)
def play_new(request: HttpRequest) -> HttpResponse:
    """A play of the organization's own."""
    viewer = viewer_of(request)
    editor = PlayEditor(data=request.POST or None, is_new=True)
    if request.method == "POST" and editor.is_valid():
        try:
            made = add_play(viewer, editor.form.cleaned_data["name"], editor.text())
        except ValidationError as error:
            _refuse(editor, error)
        else:
            messages.success(request, f"“{made.name}” is added. {_told(viewer, made)}")
            return redirect("reviews:play", made.key)
    return _editor(request, editor, None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("play.manage", staff=True)
def play_edit(request: HttpRequest, play_key: str) -> HttpResponse:
    """Let a play say something else from now on."""
    viewer = viewer_of(request)
    found = _play(viewer, play_key)
    last = PlayVersion.objects.visible_to(viewer).filter(play=found).order_by("-number").first()
    editor = PlayEditor(last, request.POST or None)
    if request.method == "POST" and editor.is_valid():
        try:
            version = change_play(viewer, found, editor.text())
        except ValidationError as error:
            _refuse(editor, error)
        else:
            is_new = last is None or version.number != last.number
            said = f"Version {version.number} holds from now on." if is_new else "It says the same as before."
            messages.success(request, f"{said} {_told(viewer, found)}")
            return redirect("reviews:play", found.key)
    return _editor(request, editor, found)


@require_POST
@requires("play.manage", staff=True)
def play_preview(request: HttpRequest) -> HttpResponse:
    """What the conditions as they stand in the editor would do."""
    return render(request, "reviews/_play_preview.html", _previewed(viewer_of(request), PlayEditor(data=request.POST)))


@require_POST
@requires("play.manage", staff=True)
def play_switch(request: HttpRequest, play_key: str) -> HttpResponse:
    """Switch a play on or off."""
    viewer = viewer_of(request)
    found = _play(viewer, play_key)
    set_active(viewer, found, request.POST.get("active") == "1")
    messages.success(
        request,
        f"“{found.name}” is on." if found.is_active else f"“{found.name}” is off: none begins; what runs goes on.",
    )
    return redirect("reviews:play", found.key)


def _play(viewer: Viewer, key: str) -> Play:
    ensure_plays(viewer.organization_id)
    found: Play | None = Play.objects.visible_to(viewer).filter(key=key).first()
    if found is None:
        raise Http404
    return found


def _editor(request: HttpRequest, editor: PlayEditor, found: Play | None) -> HttpResponse:
    is_refused = request.method == "POST"
    context: dict[str, Any] = {"editor": editor, "play": found, "is_refused": is_refused}
    if is_refused:
        context |= _previewed(viewer_of(request), editor)
    return render(request, "reviews/play_edit.html", context, status=422 if is_refused else 200)


def _refuse(editor: PlayEditor, error: ValidationError) -> None:
    if hasattr(error, "error_dict"):
        for name, words in error.message_dict.items():
            if name in ("entry", "exit", "steps"):
                editor.errors[name] = words
            else:
                editor.form.add_error(None, words)
    else:
        editor.form.add_error(None, error.messages)


def _previewed(viewer: Viewer, editor: PlayEditor) -> dict[str, Any]:
    read = editor.conditions()
    if read is None:
        return {"problem": "A condition is not complete: give the number it is compared to."}
    entry, leave = read
    if entry is None:
        return {"begins": sentence(None), "ends": sentence(leave) if leave else "", "by_hand": True}
    try:
        for one in (entry, leave):
            if one is not None:
                check_condition(one, PLAYED_BY)
    except ConditionError as error:
        return {"problem": str(error)}
    return {
        "begins": sentence(entry),
        "ends": sentence(leave) if leave else "",
        "found": preview(viewer.organization_id, entry, leave),
        "per_workflow": bool(editor.form["per_workflow"].value()),
    }


def _told(viewer: Viewer, found: Play) -> str:
    version = PlayVersion.objects.visible_to(viewer).filter(play=found).order_by("-number").first()
    if version is None or version.entry is None:
        return "It begins by hand only."
    tried = preview(viewer.organization_id, version.entry, version.exit)
    return f"It holds now for {len(tried.now)} of {tried.accounts} accounts."
