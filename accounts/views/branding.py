"""An organization's colour and logo, for its own members only."""

from hashlib import sha256
from typing import cast
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.models import Organization
from accounts.permissions import requires
from consumption_cs.lib.branding import brand_css


@require_safe
@requires("usage.view")
def branding_css(request: HttpRequest, organization_id: UUID) -> HttpResponse:
    """The design tokens in shades of the organization's colour."""
    organization = _own(request, organization_id)
    return _cached(request, brand_css(organization.brand_color).encode(), "text/css; charset=utf-8")


@require_safe
@requires("usage.view")
def branding_logo(request: HttpRequest, organization_id: UUID) -> HttpResponse:
    """The logo, as the kind of picture that it was found to be when it was uploaded."""
    organization = _own(request, organization_id)
    if not organization.logo_type or organization.logo is None:
        raise Http404
    response = _cached(request, bytes(organization.logo), organization.logo_type)
    # Should a browser ever take the bytes for a document, it may do nothing.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _own(request: HttpRequest, organization_id: UUID) -> Organization:
    """Another organization's colour is as unknown as one that does not exist."""
    if organization_id != viewer_of(request).organization_id:
        raise Http404
    return Organization.objects.get(pk=organization_id)


def _cached(request: HttpRequest, content: bytes, content_type: str) -> HttpResponse:
    """Kept by the reader's own browser only, and asked for again so that a change shows at once."""
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    response = HttpResponse(content, content_type=content_type, headers=headers)
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=response))
