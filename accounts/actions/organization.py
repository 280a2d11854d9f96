"""Change an organization's own settings: its name, calendar, currency, colour and logo."""

from collections.abc import Mapping
from typing import Any

from accounts.actions.audit import audit
from accounts.models import Organization
from consumption_cs.lib.images import BadImage, Image, read_image
from consumption_cs.lib.tenancy import Viewer

CHANGEABLE = ("name", "timezone", "country", "currency", "brand_color", "close_after_days")
MAX_LOGO_BYTES = 200 * 1024
LOGO_PIXELS = (16, 2_000)


def save_settings(viewer: Viewer, values: Mapping[str, Any]) -> Organization:
    """Store those of the settings that differ, and say so in the audit log."""
    organization = _locked(viewer)
    changes = {
        name: {"from": getattr(organization, name), "to": values[name]}
        for name in CHANGEABLE
        if name in values and values[name] != getattr(organization, name)
    }
    if changes:
        for name, change in changes.items():
            setattr(organization, name, change["to"])
        organization.save(update_fields=list(changes))
        audit(viewer, "organization.changed", organization, organization.name, changes)
    return organization


def save_logo(viewer: Viewer, content: bytes) -> None:
    """Store a new logo. Raises BadImage with words for whoever uploaded it."""
    image = check_logo(content)
    organization = _locked(viewer)
    organization.logo, organization.logo_type = content, image.media_type
    organization.save(update_fields=["logo", "logo_type"])
    size = {"type": image.media_type, "pixels": f"{image.width} × {image.height}", "bytes": len(content)}
    audit(viewer, "organization.logo_changed", organization, organization.name, size)


def remove_logo(viewer: Viewer) -> bool:
    """Take the logo away; return whether there was one."""
    organization = _locked(viewer)
    if not organization.logo_type:
        return False
    was, organization.logo, organization.logo_type = organization.logo_type, None, ""
    organization.save(update_fields=["logo", "logo_type"])
    audit(viewer, "organization.logo_removed", organization, organization.name, {"type": was})
    return True


def check_logo(content: bytes) -> Image:
    """Return what the picture is. Raises BadImage when it is too heavy, too small, too large, or no picture."""
    if len(content) > MAX_LOGO_BYTES:
        raise BadImage(f"The logo is larger than {MAX_LOGO_BYTES // 1024} KB. Save it smaller.")
    image = read_image(content)
    least, most = LOGO_PIXELS
    if not (least <= image.width <= most and least <= image.height <= most):
        size = f"{image.width:,} × {image.height:,}"
        raise BadImage(f"The logo is {size} pixels; each side must have {least} to {most:,}.")
    return image


def _locked(viewer: Viewer) -> Organization:
    return Organization.objects.select_for_update().get(pk=viewer.organization_id)
