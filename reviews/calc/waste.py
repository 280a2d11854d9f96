"""Waste: spend that bought nothing, each amount counted once, under the first reason that fits. Pure Decimal."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, HUNDRED = Decimal(0), Decimal(100)


@dataclass(frozen=True, slots=True)
class Use:
    """`amount` spent on one event, or on several that are alike, and what is known of them."""

    amount: Decimal
    is_failed: bool = False
    is_retry: bool = False
    is_duplicate: bool = False
    is_production: bool = True
    is_vendor_fault: bool = False


@dataclass(frozen=True, slots=True)
class Waste:
    """In currency; `percent` of all spend (None: nothing was spent). `credit_candidate` is what the vendor caused."""

    failed: Decimal
    retries: Decimal
    duplicates: Decimal
    beyond_quota: Decimal
    idle_minimum: Decimal
    total: Decimal
    spend: Decimal
    percent: Decimal | None
    credit_candidate: Decimal


@exactly
def waste(uses: Iterable[Use], *, non_production_quota: Decimal | None = None, idle_minimum: Decimal = ZERO) -> Waste:
    """Return what was wasted: failed, then retried, then duplicate, then outside of production beyond its quota.

    A use counts under the first reason that fits it. `non_production_quota` is the spend outside of production that
    is planned (None: any is); failures there count as failures and do not use it up. `idle_minimum` is what a
    minimum spend asked for beyond what was used; it is spend and waste. The vendor's faults are failures that the
    vendor caused: candidates for a credit.
    """
    sums = dict.fromkeys(("failed", "retries", "duplicates"), ZERO)
    spend, outside, credit = idle_minimum, ZERO, ZERO
    for use in uses:
        spend += use.amount
        reason = _reason(use)
        if reason is not None:
            sums[reason] += use.amount
        elif not use.is_production:
            outside += use.amount
        if use.is_failed and use.is_vendor_fault:
            credit += use.amount
    beyond = ZERO if non_production_quota is None else max(outside - non_production_quota, ZERO)
    total = sum(sums.values(), ZERO) + beyond + idle_minimum
    percent = total / spend * HUNDRED if spend > 0 else None
    return Waste(**sums, beyond_quota=beyond, idle_minimum=idle_minimum, total=total, spend=spend, percent=percent,
                 credit_candidate=credit)  # fmt: skip


def _reason(use: Use) -> str | None:
    if use.is_failed:
        return "failed"
    if use.is_retry:
        return "retries"
    return "duplicates" if use.is_duplicate else None
