"""What the pages of people, tasks and timelines share: where a form goes back to, and a part of a page by itself."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme


def is_part(request: HttpRequest) -> bool:
    """Return whether a part of a page asks, which is answered with that part alone."""
    return request.headers.get("HX-Request") == "true"


def back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """Go to the page that the form named, if it is one of ours, or else to `otherwise`."""
    asked = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return redirect(asked if is_ours and asked.startswith("/") else otherwise)


def add_errors(form: Form, problem: ValidationError) -> None:
    """Show the words of an action at the fields they are about."""
    if hasattr(problem, "error_dict"):
        for name, errors in problem.message_dict.items():
            form.add_error(name if name in form.fields else None, errors)
    else:
        form.add_error(None, problem.messages)


def tell(request: HttpRequest, words: str) -> None:
    """Say on the next page what was done; a part that is exchanged shows it by itself."""
    if not is_part(request):
        messages.success(request, words)
