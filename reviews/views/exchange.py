"""Exchange with a CRM: notes, contacts and sentiment in, accounts, people, tasks and activities out."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from consumption_cs.lib.csv_files import MAX_BYTES, MAX_ROWS, CsvProblem, write_rows
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.exchange import KINDS, NOTES, Checked, Taken, import_file, read_file
from reviews.exports.crm import EXPORTS, Export, export_csv
from usage.views.overview import download

PAGE = "reviews/exchange.html"
PREVIEWED = 200


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.exchange", staff=True)
def exchange(request: HttpRequest) -> HttpResponse:
    """Paste or upload a CSV, look at what it would do, then store all of it or nothing; and files to take away."""
    viewer, now = viewer_of(request), timezone.now()
    kind = _kind(request.POST.get("kind") or request.GET.get("kind", ""))
    context = _page(kind)
    if request.method != "POST":
        return render(request, PAGE, context)
    file = request.FILES.get("file")
    if file is not None and (file.size or 0) > MAX_BYTES:
        return render(request, PAGE, context | {"problem": "It is larger than 2 MiB. Split it."}, status=413)
    content = _content(request)
    if not content.strip():
        return render(request, PAGE, context | {"problem": "Choose a file or paste its text."}, status=422)
    is_confirmed = "content" in request.POST
    try:
        checked = read_file(viewer, kind, content, now, lock=is_confirmed)
    except CsvProblem as problem:
        return render(request, PAGE, context | {"problem": str(problem)}, status=422)
    if is_confirmed and not checked.wrong and request.POST.get("fingerprint") == checked.fingerprint:
        return _imported(request, viewer, checked)
    context |= _preview(checked, content) | {"is_stale": is_confirmed}
    return render(request, PAGE, context, status=409 if is_confirmed else 200)


def _kind(asked: str) -> str:
    return asked if asked in KINDS else NOTES


def _page(kind: str) -> dict[str, Any]:
    groups = [
        ("Salesforce", "h-sf", [name for name in EXPORTS if name.startswith("salesforce")]),
        ("HubSpot", "h-hs", [name for name in EXPORTS if name.startswith("hubspot")]),
        ("Spreadsheets", "h-sp", ["metrics"]),
    ]
    return {
        "kind": kind,
        "shape": KINDS[kind],
        "kinds": [(name, one.label) for name, one in KINDS.items()],
        "columns": [(name, KINDS[kind].words[name], name in KINDS[kind].required) for name in KINDS[kind].columns],
        "most_rows": MAX_ROWS,
        "exports": [(label, anchor, [_offer(name) for name in names]) for label, anchor, names in groups],
    }


def _offer(name: str) -> tuple[str, Export]:
    return reverse(f"reviews:exchange_{name}"), EXPORTS[name]


def _content(request: HttpRequest) -> bytes:
    """The file, what was pasted, or the text that came back with the confirmation."""
    for name in ("content", "pasted"):
        if request.POST.get(name, "").strip():
            return request.POST[name].encode()
    file = request.FILES.get("file")
    return file.read(MAX_BYTES + 1) if file else b""


def _preview(checked: Checked, content: bytes) -> dict[str, Any]:
    rows = checked.wrong or [row for row in checked.rows if row.does] or checked.rows
    ready = len(checked.new) + len(checked.changed)
    return {
        "checked": checked,
        "shown": [(row, _words(row)) for row in rows[:PREVIEWED]],
        "ready": 0 if checked.wrong else ready,
        "same": len(checked.rows) - ready,
        "content": content.decode("utf-8-sig"),
        "has_preview": True,
    }


def _words(row: Any) -> list[str]:
    """What happens to a row that is not new, a line for each change."""
    if row.is_new or row.errors:
        return []
    return [
        f"{name.replace('_', ' ').capitalize()}: {change['from'] or 'none'} → {change['to'] or 'none'}"
        for name, change in row.changes.items()
    ]


def _imported(request: HttpRequest, viewer: Viewer, checked: Checked) -> HttpResponse:
    try:
        import_file(viewer, checked)
    except Taken as problem:
        messages.error(request, f"Nothing was imported. {problem}")
    else:
        new, changed = len(checked.new), len(checked.changed)
        messages.success(request, f"{new:,} row{'' if new == 1 else 's'} added, {changed:,} changed.")
    return redirect(f"{request.path}?kind={checked.kind}")


@require_safe
@requires("book.exchange", staff=True)
def exchange_sample(request: HttpRequest) -> HttpResponse:
    """A file with every column and one line to replace."""
    kind = _kind(request.GET.get("kind", ""))
    return download(write_rows(KINDS[kind].columns, [KINDS[kind].example]), f"{kind}-sample.csv")


@require_safe
@requires("book.exchange", staff=True)
def exchange_export(request: HttpRequest, file_name: str) -> HttpResponse:
    """One file to take away."""
    now = timezone.now()
    return download(export_csv(viewer_of(request), file_name, now), f"{file_name}-{now:%Y-%m-%d}.csv")
