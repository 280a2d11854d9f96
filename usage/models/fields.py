"""The columns that hold numbers: wide enough, exact, never NaN."""

from typing import Any

from django.db import models


def quantity_field(**options: Any) -> models.DecimalField:
    """NUMERIC(38, 12), exact. The migrations add a constraint against NaN, which would poison every sum."""
    return models.DecimalField(max_digits=38, decimal_places=12, **options)


def sum_field(**options: Any) -> models.DecimalField:
    """NUMERIC(60, 12): room for the sum of more of the largest quantities than there can be events."""
    return models.DecimalField(max_digits=60, decimal_places=12, **options)


def money_field(**options: Any) -> models.DecimalField:
    """Money in the account's currency; rounded once, at the edge."""
    return models.DecimalField(max_digits=20, decimal_places=6, **options)
