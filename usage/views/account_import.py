"""Bring accounts in from a CSV file."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from accounts.reports_audit import changes_of
from consumption_cs.lib.csv_files import MAX_BYTES, MAX_ROWS, CsvProblem, write_rows
from consumption_cs.lib.tenancy import Viewer
from usage.actions.account_import import OPTIONAL, REQUIRED, AccountImport, import_accounts, read_accounts
from usage.actions.accounts import AccountTaken
from usage.forms import UploadForm

TOO_LARGE = 10 * 1024 * 1024
PREVIEWED = 200
PAGE = "usage/account_import.html"
_COLUMNS = (*REQUIRED, *OPTIONAL)
_EXAMPLE = (
    "northwind", "Northwind Robotics", "Enterprise", "High touch", "USD", "America/New_York", "2026-01-01",
    "2027-01-01", "", "",
)  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@requires("account.import")
def account_import(request: HttpRequest) -> HttpResponse:
    """Upload a CSV, look at what it would do, then store all of it or nothing."""
    viewer = viewer_of(request)
    context: dict[str, Any] = {"form": UploadForm(), "columns": _columns(), "most_rows": MAX_ROWS}
    if request.method != "POST":
        return render(request, PAGE, context)
    file = request.FILES.get("file")
    if file is not None and (file.size or 0) > TOO_LARGE:
        problem = "It is larger than 10 MiB. Split it and import the parts."
        return render(request, PAGE, context | {"problem": problem}, status=413)
    content = _uploaded(request)
    if content is None:
        context["form"] = UploadForm(request.POST, request.FILES)
        return render(request, PAGE, context, status=422)
    is_confirmed = "content" in request.POST
    try:
        checked = read_accounts(viewer, content, lock=is_confirmed)
    except CsvProblem as problem:
        return render(request, PAGE, context | {"problem": str(problem)}, status=422)
    if is_confirmed and not checked.wrong and request.POST.get("fingerprint") == checked.fingerprint:
        return _imported(request, viewer, checked)
    context |= _preview(checked, content) | {"is_stale": is_confirmed}
    return render(request, PAGE, context, status=409 if is_confirmed else 200)


@require_safe
@requires("account.import")
def account_import_template(request: HttpRequest) -> HttpResponse:
    """A file with every column and one line to replace."""
    headers = {"Content-Disposition": 'attachment; filename="accounts-template.csv"'}
    return HttpResponse(write_rows(_COLUMNS, [_EXAMPLE]), content_type="text/csv; charset=utf-8", headers=headers)


def _uploaded(request: HttpRequest) -> bytes | None:
    """The file, or its text that came back with the confirmation; read no further than a file may be long."""
    if "content" in request.POST:
        return request.POST["content"].encode()
    file = request.FILES.get("file")
    return file.read(MAX_BYTES + 1) if file else None


def _preview(checked: AccountImport, content: bytes) -> dict[str, Any]:
    rows = checked.wrong or [*checked.changed, *checked.new] or checked.rows
    rows = sorted(rows, key=lambda row: row.line)[:PREVIEWED]
    count = len(checked.new) + len(checked.changed)
    return {
        "checked": checked,
        "shown": [(row, changes_of(row.changes)) for row in rows],
        "same": len(checked.rows) - count,
        "ready": count if not checked.wrong else 0,
        "content": content.decode("utf-8-sig"),
        "has_preview": True,
    }


def _imported(request: HttpRequest, viewer: Viewer, checked: AccountImport) -> HttpResponse:
    try:
        import_accounts(viewer, checked)
    except AccountTaken as taken:
        messages.error(request, f"Nothing was imported: {taken} Upload the file again to see what is left to do.")
        return redirect("usage:account_import")
    new, changed = len(checked.new), len(checked.changed)
    messages.success(request, f"{new:,} account{'' if new == 1 else 's'} added, {changed:,} changed.")
    return redirect("usage:accounts")


def _columns() -> list[tuple[str, str]]:
    """Each column and what goes in."""
    return [
        ("key", "required; the subject of the account’s events"),
        ("name", "required for a new account"),
        ("segment", "Enterprise, Mid-market, Small business or Startup"),
        ("tier", "High touch, Standard or Self-serve"),
        ("currency", "three letters, such as EUR; the organization’s if empty"),
        ("time_zone", "such as Europe/Vienna; the organization’s if empty"),
        ("contract_starts_on", "2026-01-31"),
        ("contract_ends_on", "the first day after the term"),
        ("csm", "e-mail of somebody on your staff"),
        ("field_cto", "e-mail of somebody on your staff"),
    ]
