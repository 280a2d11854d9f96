"""Whether the ledger adds up, for the head of every page that shows money."""

from decimal import Decimal
from typing import Any

from django import template

from budgets.reports.verification import badge
from consumption_cs.lib.tenancy import Viewer
from usage.calc import price_text

register = template.Library()


@register.inclusion_tag("budgets/_ledger_badge_shown.html", takes_context=True)
def ledger_badge(context: dict[str, Any]) -> dict[str, Any]:
    """`{% include "budgets/_ledger_badge.html" %}`: what the latest check found; staff get a link to it."""
    viewer: Viewer | None = context.get("viewer")
    if viewer is None:
        return {"badge": None}
    return {"badge": badge(viewer), "is_portal": viewer.is_portal}


@register.filter
def exact_money(amount: Decimal, currency: str) -> str:
    """`{{ step.amount|exact_money:currency }}`: with all of its digits, so that a sum can be followed."""
    return price_text.exact_price(amount, currency)
