"""The demo's mail catcher: what would have been sent, to look at. In no other installation."""

from pathlib import Path

from csp.decorators import csp_update
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from consumption_cs.lib.demo_mails import FILES, CaughtMail, caught_mails


@never_cache
@require_GET
@csp_update({"frame-src": ["'self'"]})
def mails(request: HttpRequest) -> HttpResponse:
    """List the mails, and show the one that is asked for."""
    found = _found()
    asked = request.GET.get("mail", "")
    chosen = next((one for one in found if one.key == asked), found[0] if found else None)
    return render(request, "accounts/demo_mails.html", {"mails": found, "chosen": chosen})


@never_cache
@require_GET
@xframe_options_sameorigin
def mail_html(request: HttpRequest, key: str) -> HttpResponse:
    """The HTML of one mail, for a frame without rights: no scripts, no requests, only its own inline styles."""
    one = next((one for one in _found() if one.key == key), None)
    if one is None or not one.html:
        raise Http404
    answer = HttpResponse(one.html)
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox allow-popups"
    )
    return answer


def _found() -> list[CaughtMail]:
    if not settings.DEMO or settings.EMAIL_BACKEND != FILES:
        raise Http404
    folder = Path(str(getattr(settings, "EMAIL_FILE_PATH", "")))
    return caught_mails(folder) if folder.is_dir() else []
