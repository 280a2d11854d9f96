"""A short way for requests of machines: they bring a key, and need no session, form token or message."""

from collections.abc import Callable
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

View = TypeVar("View", bound=Callable[..., HttpResponse])

PREFIXES = ("/api/v1/events", "/compat/")
ENDINGS = ("/headroom",)  # people may ask these too; who brings a key is answered here
_HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}


def for_machines(view: View) -> View:
    """Mark a view that authenticates by key and opens its own transaction: `MachineLane` may call it directly."""
    view.for_machines = True  # type: ignore[attr-defined]
    return view


class MachineLane:
    """Answer marked views before sessions and the like are looked at. Stands right after SecurityMiddleware.

    At thousands of requests a second the other middleware would cost more than the request. A session cookie has no
    effect here, so none can be abused either.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _may_be_short(request):
            return self.get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        if not getattr(match.func, "for_machines", False):
            return self.get_response(request)
        request.resolver_match = match
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _may_be_short(request: HttpRequest) -> bool:
    path = request.path_info
    if path.startswith(PREFIXES):
        return True
    brings_key = request.META.get("HTTP_AUTHORIZATION", "").lower().startswith("bearer ")
    return brings_key and request.method == "GET" and path.endswith(ENDINGS)
