"""The effect of a draft: the last month of each account, rated as it is and as it would be."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import (
    NOW,
    make_account,
    make_draft,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    staff_of,
)
from usage.actions.rate_cards import save_line
from usage.actions.shadow import compute_shadow, start_shadow
from usage.exports import effect_csv
from usage.models import BillingPeriod, Meter, RateCardVersion
from usage.reports.effects import Effect, effect_of
from usage.tasks import shadow_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="Calls")


def used(account: Account, meter: Meter, day: date, quantity: str, **fields: Any) -> None:
    make_usage_day(account, meter, day, quantity=Decimal(quantity), **fields)


def computed(draft: RateCardVersion) -> Effect:
    viewer = staff_of(draft.organization)
    enter(viewer)
    draft.refresh_from_db()
    run = start_shadow(viewer, draft, NOW)
    leave()
    assert compute_shadow(draft.organization_id, draft.pk, run, NOW)
    enter(viewer)
    draft.refresh_from_db()
    return effect_of(viewer, draft, NOW)


def test_every_account_s_month_is_rated_old_and_new(organization: Organization, meter: Meter) -> None:
    small, big = make_account(organization, "Small"), make_account(organization, "Big")
    make_account(organization, "Idle")
    used(small, meter, date(2026, 5, 3), "100")
    used(big, meter, date(2026, 5, 3), "600")
    used(big, meter, date(2026, 5, 31), "400")
    used(big, meter, date(2026, 6, 1), "9999")
    make_price(meter, "0.01")
    effect = computed(make_draft(meter, "0.02"))
    assert [(row.name, row.old, row.new) for row in effect.rows] == [
        ("Big", Decimal("10.00"), Decimal("20.00")),
        ("Small", Decimal("1.00"), Decimal("2.00")),
    ]
    assert (effect.old, effect.new, effect.difference, effect.ratio) == (11, 22, 11, 1)
    assert (effect.unused, effect.months) == (1, "the last full month of 2 accounts")


def test_the_last_closed_period_is_taken_where_there_is_one(organization: Organization, meter: Meter) -> None:
    account = make_account(organization)
    used(account, meter, date(2026, 4, 10), "100")
    BillingPeriod.objects.create(
        organization=organization, account=account, starts_on=date(2026, 4, 1), ends_on=date(2026, 5, 1),
        currency="USD", amount=Decimal(1), closed_at=NOW,
    )  # fmt: skip
    effect = computed(make_draft(meter, "0.02"))
    assert effect.months == "the last closed month of 1 account"
    assert effect.rows[0].starts_on == date(2026, 4, 1)
    assert (effect.rows[0].old, effect.rows[0].new) == (0, Decimal("2.00"))


def test_an_account_with_an_own_price_stays_as_it_is(organization: Organization, meter: Meter) -> None:
    account = make_account(organization)
    used(account, meter, date(2026, 5, 3), "100")
    make_price(meter, "0.01")
    make_price(meter, "0.005", account)
    effect = computed(make_draft(meter, "0.02"))
    assert (effect.rows[0].own, effect.untouched, effect.difference) == (1, 1, 0)


def test_an_own_price_moves_its_account_alone(organization: Organization, meter: Meter) -> None:
    account, other = make_account(organization, "Northwind"), make_account(organization, "Other")
    for one in (account, other):
        used(one, meter, date(2026, 5, 3), "100")
    make_price(meter, "0.01")
    effect = computed(make_draft(meter, "0.005", account))
    assert [(row.name, row.difference) for row in effect.rows] == [("Northwind", Decimal("-0.50"))]


def test_tiers_count_over_the_whole_month_and_matrix_cells_apart(organization: Organization) -> None:
    meter = make_meter(organization, "gpu", dimensions=["region"])
    account = make_account(organization)
    for day in (1, 2):
        used(account, meter, date(2026, 5, day), "60", group='{"region":"eu"}')
        used(account, meter, date(2026, 5, day), "10", group='{"region":"us"}')
    draft = make_draft(meter)
    tiers = {
        "model": "graduated",
        "params": {"tiers": [{"up_to": "100", "unit": "1"}, {"up_to": None, "unit": "0.5"}]},
    }
    matrix = {"dimensions": ["region"], "cells": [{"values": ["eu"], "terms": tiers}], "otherwise": None}
    enter(staff_of(organization))
    save_line(staff_of(organization), draft, meter, {"matrix": matrix})
    (row,) = computed(draft).rows
    assert (row.new, row.unpriced) == (Decimal("110.00"), 20)


def test_a_change_of_the_draft_ends_the_run(organization: Organization, meter: Meter) -> None:
    viewer, draft = staff_of(organization), make_draft(meter)
    run = start_shadow(viewer, draft, NOW)
    save_line(viewer, draft, meter, {"model": "unit", "params": {"unit": "1"}})
    leave()
    assert not compute_shadow(organization.pk, draft.pk, run, NOW)


def test_a_run_that_breaks_says_so_on_the_draft(
    organization: Organization, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, draft = staff_of(organization), make_draft(meter)
    run = start_shadow(viewer, draft, NOW)
    leave()
    monkeypatch.setattr("usage.actions.shadow.compute_shadow", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shadow_version(str(organization.pk), str(draft.pk), run)
    enter(viewer)
    draft.refresh_from_db()
    assert effect_of(viewer, draft, NOW).state == "failed"


def test_the_csv_holds_every_account_and_no_formula(organization: Organization, meter: Meter) -> None:
    account = make_account(organization, "=1+1")
    used(account, meter, date(2026, 5, 3), "100")
    make_price(meter, "0.01")
    text = effect_csv(computed(make_draft(meter, "0.02"))).decode()
    assert "'=1+1" in text
    assert ",1.00,2.00,1.00,100.00," in text
