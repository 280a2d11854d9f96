"""What a new plan may begin with: the templates everybody has, and those the organization keeps."""

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.plan_templates import TEMPLATES, Outline, outline_from, template_for
from reviews.models import PlanTemplate


def outlines(viewer: Viewer) -> list[Outline]:
    """Return the organization's own first, by name; their key is their id."""
    rows = PlanTemplate.objects.visible_to(viewer).order_by("name", "pk")
    return [*(outline_from(str(row.pk), row.name, row.segment, row.body) for row in rows), *TEMPLATES]


def outline_for(account: Account, choices: list[Outline]) -> Outline:
    """Return what fits the account's segment: the organization's own before the one everybody has."""
    return next((one for one in choices if account.segment in one.segments), template_for(account.segment))
