"""Rate cards: a draft is written line by line, weighed, published, withdrawn; nothing half-valid ever counts."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import (
    NOW,
    make_account,
    make_draft,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    portal_of,
    signed_in,
    staff_of,
)
from usage.actions.publishing import CannotPublish, CannotWithdraw, publish, withdraw
from usage.actions.rate_cards import BadLine, NotADraft, change_draft, save_line, start_draft
from usage.actions.shadow import compute_shadow, start_shadow
from usage.models import Meter, Price, RateCardVersion, TouchedDay
from usage.reports.rate_cards import card_lines, effective_prices, history, meters_shown

pytestmark = pytest.mark.django_db
TODAY = date(2026, 6, 15)
TIERED = {
    "model": "graduated",
    "params": {
        "tiers": [{"up_to": "1000", "unit": "0.5"}, {"up_to": None, "unit": "0.3"}],
        "convert": {"op": "divide", "factor": "1000"},
    },
}


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="Tokens", unit="token")


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def weighed(draft: RateCardVersion, now: datetime = NOW) -> RateCardVersion:
    """The draft with its effect computed."""
    viewer = staff_of(draft.organization)
    enter(viewer)
    draft.refresh_from_db()
    run = start_shadow(viewer, draft, now)
    leave()
    assert compute_shadow(draft.organization_id, draft.pk, run, now)
    enter(viewer)
    draft.refresh_from_db()
    return draft


def test_a_draft_counts_nowhere_until_it_is_published(organization: Organization, meter: Meter) -> None:
    viewer = staff_of(organization)
    make_usage_day(make_account(organization), meter, date(2026, 7, 2))
    draft = make_draft(meter, "0.02")
    assert not Price.objects.filter(in_force=True).exists()
    assert publish(viewer, weighed(draft), NOW) == 1
    price = Price.objects.get()
    assert price.in_force
    assert TouchedDay.objects.get().reason == "Version 1 of Price list USD was published"
    assert AuditEvent.objects.filter(action="rate_card.published").get().details["version"] == 1


def test_a_draft_is_not_published_before_its_effect_is_known(organization: Organization, meter: Meter) -> None:
    viewer, draft = staff_of(organization), make_draft(meter)
    with pytest.raises(CannotPublish, match="Compute the effect first"):
        publish(viewer, draft, NOW)
    weighed(draft)
    save_line(viewer, draft, meter, TIERED)
    with pytest.raises(CannotPublish, match="Compute the effect first"):
        publish(viewer, draft, NOW)
    assert not Price.objects.filter(in_force=True).exists()


def test_a_price_published_meanwhile_makes_the_effect_stale(organization: Organization, meter: Meter) -> None:
    draft = weighed(make_draft(meter))
    make_price(meter, "7", effective_on=date(2026, 6, 1))
    with pytest.raises(CannotPublish, match="Compute the effect first"):
        publish(staff_of(organization), draft, NOW)


def test_moving_a_draft_moves_its_prices_and_forgets_the_effect(organization: Organization, meter: Meter) -> None:
    draft = weighed(make_draft(meter))
    change_draft(staff_of(organization), draft, date(2026, 8, 1), "later")
    draft.refresh_from_db()
    assert (draft.shadow, draft.note) == (None, "later")
    assert draft.prices.get().effective_on == date(2026, 8, 1)


def test_a_second_price_of_the_same_day_is_refused_in_words(organization: Organization, meter: Meter) -> None:
    make_price(meter, effective_on=date(2026, 7, 1))
    draft = weighed(make_draft(meter, effective_on=date(2026, 7, 1)))
    with pytest.raises(CannotPublish, match="Tokens already has a price in USD for all accounts from 2026-07-01 on"):
        publish(staff_of(organization), draft, NOW)


def test_an_empty_draft_says_what_is_missing(organization: Organization, meter: Meter) -> None:
    draft = make_draft(meter)
    draft.prices.all().delete()
    with pytest.raises(CannotPublish, match="Add at least one price"):
        publish(staff_of(organization), draft, NOW)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"model": "unit", "params": {"unit": "0.1234567890123"}}, "has 13 decimals"),
        ({"model": "unit", "params": {"unit": "-1"}}, "must be zero or more"),
        ({"model": "unit", "params": {"unit": "1"}, "max_spent": "5"}, "max_spent means nothing"),
        ({"model": "graduated", "params": {"tiers": [{"up_to": "10", "unit": "1"}]}}, "last tier must be open"),
        ({"matrix": {"dimensions": ["region"], "cells": []}}, "no dimension “region”"),
        ({"model": "by ear"}, "use one of"),
    ],
)
def test_what_is_no_price_does_not_get_into_a_draft(
    organization: Organization, meter: Meter, terms: dict[str, Any], words: str
) -> None:
    draft = make_draft(meter)
    with pytest.raises(BadLine, match=words):
        save_line(staff_of(organization), draft, meter, terms)
    assert draft.prices.get().unit_price == Decimal("0.02")


def test_a_published_version_never_changes(organization: Organization, meter: Meter) -> None:
    draft = weighed(make_draft(meter))
    publish(staff_of(organization), draft, NOW)
    with pytest.raises(NotADraft, match="never changes again"):
        save_line(staff_of(organization), draft, meter, TIERED)


def test_a_withdrawn_version_falls_back_to_the_prices_before(organization: Organization, meter: Meter) -> None:
    viewer = staff_of(organization)
    make_usage_day(make_account(organization), meter, date(2026, 7, 2))
    make_price(meter, "0.01")
    draft = weighed(make_draft(meter, "0.02"))
    publish(viewer, draft, NOW)
    TouchedDay.objects.all().delete()
    with pytest.raises(CannotWithdraw, match="Say why"):
        withdraw(viewer, draft, "  ", NOW)
    assert withdraw(viewer, draft, "Typed wrong", NOW) == 1
    assert Price.objects.get(in_force=True).unit_price == Decimal("0.01")
    assert TouchedDay.objects.get().reason.endswith("was withdrawn")  # why is for the vendor alone
    assert "Typed wrong" not in str(AuditEvent.objects.get(action="rate_card.withdrawn").details)
    draft.refresh_from_db()
    assert (draft.status, draft.withdrawn_reason) == ("withdrawn", "Typed wrong")


def test_a_new_draft_starts_as_a_copy_of_the_prices_in_force(organization: Organization, meter: Meter) -> None:
    first = make_price(meter, "0.01")
    make_price(meter, "0.02", effective_on=date(2026, 9, 1))
    viewer = staff_of(organization)
    draft = start_draft(viewer, first.version.card, TODAY, with_current=True)
    line = draft.prices.get()
    assert (line.unit_price, line.in_force, line.effective_on) == (Decimal("0.01"), False, TODAY)


def test_the_history_says_what_each_version_changed(organization: Organization, meter: Meter) -> None:
    first = make_price(meter, "0.01")
    make_price(meter, terms=TIERED, effective_on=date(2026, 3, 1))
    second, earlier = history(staff_of(organization), first.version.card)
    assert [(change.before, change.after.text) for change in second.changes] == [
        ("$0.01 per token", "$0.50 per 1,000 tokens up to 1 million, then $0.30")
    ]
    assert earlier.changes[0].before == ""


def test_each_meter_says_its_price_today_and_the_next(organization: Organization, meter: Meter) -> None:
    price = make_price(meter, "0.01")
    make_price(meter, "0.02", effective_on=date(2026, 7, 1))
    make_meter(organization, "pages", name="Pages")
    viewer = staff_of(organization)
    pages, tokens = card_lines(viewer, [price.version.card], meters_shown(viewer), TODAY)
    assert pages.now is None
    assert tokens.now is not None
    assert tokens.following is not None
    assert (tokens.now.text, tokens.following.text) == ("$0.01 per token", "$0.02 per token")


def test_an_account_pays_its_own_price_before_the_list(organization: Organization, meter: Meter) -> None:
    account, pages = make_account(organization), make_meter(organization, "pages", name="Pages")
    make_price(meter, "0.01")
    make_price(pages, "5")
    make_price(meter, "0.008", account)
    make_price(meter, "0.02", effective_on=date(2026, 7, 1))
    enter(portal_of(account))
    listed, own = effective_prices(portal_of(account), account, TODAY)
    assert (listed.meter, listed.is_own) == (pages, False)
    assert own.now is not None
    assert (own.now.text, own.is_own, own.following) == ("$0.008 per token", True, None)


# Pages


def test_the_list_flags_meters_without_a_price(organization: Organization, meter: Meter, admin: Client) -> None:
    assert "Tokens has no price for all accounts." in admin.get("/rate-cards/").content.decode()
    make_price(meter, terms=TIERED)
    body = admin.get("/rate-cards/").content.decode()
    assert "no price for all accounts" not in body
    assert "$0.50 per 1,000 tokens up to 1 million, then $0.30" in body


def test_the_list_shows_who_has_own_prices_and_the_drafts(
    organization: Organization, meter: Meter, admin: Client
) -> None:
    make_price(meter, "0.008", make_account(organization, "Northwind"))
    make_draft(meter, note="for autumn")
    assert "Northwind" in admin.get("/rate-cards/?show=own").content.decode()
    assert "for autumn" in admin.get("/rate-cards/?show=drafts").content.decode()
    assert "Nothing fits" in admin.get("/rate-cards/?show=own&q=zebra").content.decode()


def test_many_meters_and_many_accounts_with_own_prices_are_paged(organization: Organization, admin: Client) -> None:
    meters = [make_meter(organization, f"m{number}", name=f"Meter {number:03}") for number in range(120)]
    make_price(meters[0])
    for number in range(60):
        make_price(meters[0], "1", make_account(organization, f"Customer {number:03}"))
    assert "Meter 099" in admin.get("/rate-cards/").content.decode()
    assert "Meter 119" in admin.get("/rate-cards/?page=2").content.decode()
    own = admin.get("/rate-cards/?show=own").content.decode()
    assert "1–50 of 60 accounts" in own


def test_a_card_shows_the_price_of_any_day(organization: Organization, meter: Meter, admin: Client) -> None:
    price = make_price(meter, "0.01", effective_on=date(2026, 1, 1))
    make_price(meter, "0.02", effective_on=date(2026, 2, 1))
    url = f"/rate-cards/{price.version.card_id}/"
    assert "$0.01 per token" in admin.get(f"{url}?on=2026-01-15").content.decode()
    assert "No price" in admin.get(f"{url}?on=2025-01-15").content.decode()
    assert admin.get(f"{url}?on=2026-02-31").status_code == 200


def test_a_draft_is_begun_written_and_published_on_the_pages(
    organization: Organization, meter: Meter, admin: Client, eager_celery: None
) -> None:
    begun = admin.post("/rate-cards/new/", {"account": "", "currency": "USD", "effective_on": "2030-01-01"})
    version = begun["Location"]
    assert "Add at least one price." in admin.get(version).content.decode()
    line = f"{version}prices/{meter.pk}/"
    bad = admin.post(line, {"model": "unit", "unit": "0.1234567890123"})
    assert bad.status_code == 422
    assert "has 13 decimals" in bad.content.decode()
    form = {"model": "graduated", "t-0-up_to": "1000", "t-0-each": "0.5", "t-1-each": "0.3"}
    assert "Tokens: $0.50 per token up to 1,000, then $0.30." in admin.post(line, form, follow=True).content.decode()
    enter(staff_of(organization))
    draft = RateCardVersion.objects.get()
    weighed(draft, datetime.now(timezone.utc))
    leave()
    assert "Publish…" in admin.get(version).content.decode()
    assert "Version 1 is published." in admin.post(f"{version}publish/", follow=True).content.decode()
    gone = admin.post(f"{version}withdraw/", {"reason": "Wrong"}, follow=True).content.decode()
    assert "Version 1 is withdrawn." in gone


def test_a_past_day_says_what_is_rated_again(organization: Organization, meter: Meter, admin: Client) -> None:
    account = make_account(organization)
    today = datetime.now(timezone.utc).date()
    for days in (1, 2):
        make_usage_day(account, meter, today - timedelta(days=days))
    draft = make_draft(meter, effective_on=today - timedelta(days=30))
    body = admin.get(f"/rate-cards/versions/{draft.pk}/").content.decode()
    assert "2 days of use are rated again." in body


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"model": "graduated", "t-0-up_to": "5", "t-0-each": "1", "t-1-up_to": "9", "t-1-each": "1"}, "has no end"),
        (
            {"model": "volume", "t-0-up_to": "5", "t-0-each": "1", "t-1-up_to": "5", "t-1-each": "1", "t-2-each": "1"},
            "Tiers overlap",
        ),
        ({"model": "unit", "unit": "1,5"}, "Use a point for decimals"),
        ({"model": "unit", "unit": ""}, "Fill in: price per unit."),
        ({"model": "package", "size": "0", "package_price": "1"}, "its size must be above zero"),
        ({"model": "unit", "unit": "1", "discount": "120"}, "is more than all"),
        ({"model": "unit", "unit": "1", "min_spend": "9", "max_spend": "5"}, "below the minimum spend"),
        ({"model": "unit", "unit": "1", "op": "divide", "factor": "0"}, "The factor must be above zero"),
        ({"model": "matrix", "c-0-v-0": "", "c-0-unit": "1"}, "Say which region this price is for."),
        (
            {"model": "matrix", "c-0-v-0": "eu", "c-0-unit": "1", "c-1-v-0": "eu", "c-1-unit": "2"},
            "have a price above already",
        ),
    ],
)
def test_the_editor_says_at_the_field_what_is_wrong(
    organization: Organization, admin: Client, form: dict[str, str], words: str
) -> None:
    meter = make_meter(organization, "gpu", dimensions=["region"])
    draft = make_draft(meter)
    response = admin.post(f"/rate-cards/versions/{draft.pk}/prices/{meter.pk}/", form)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_the_worked_example_comes_from_the_engine(organization: Organization, meter: Meter, admin: Client) -> None:
    draft = make_draft(meter)
    form = {"model": "graduated", "t-0-up_to": "1000", "t-0-each": "0.5", "t-1-each": "0.3", "op": "divide"}
    form |= {"factor": "1000", "act": "example", "example_quantity": "1250000"}
    body = admin.post(f"/rate-cards/versions/{draft.pk}/prices/{meter.pk}/", form).content.decode()
    assert "1,250,000 tokens cost $575.00" in body
    enter(staff_of(organization))
    assert draft.prices.get().unit_price == Decimal("0.02")


def test_rows_of_the_editor_are_added_and_taken_out(organization: Organization, meter: Meter, admin: Client) -> None:
    draft = make_draft(meter)
    url = f"/rate-cards/versions/{draft.pk}/prices/{meter.pk}/"
    more = admin.post(url, {"model": "graduated", "t-0-up_to": "5", "t-0-each": "1", "act": "add-tier:"})
    assert 'name="t-1-each"' in more.content.decode()
    less = admin.post(url, {"model": "graduated", "t-0-each": "1", "t-1-each": "7", "act": "drop:t-0"})
    assert 'name="t-0-each" value="7"' in less.content.decode()


def test_customers_see_their_prices_without_drafts_and_notes(organization: Organization, meter: Meter) -> None:
    account = make_account(organization)
    make_price(meter, "0.01")
    make_draft(meter, "0.09", account, note="secret plan")
    member = signed_in(make_member(account))
    body = member.get(f"/accounts/{account.pk}/prices/").content.decode()
    assert "Your prices" in body
    assert "$0.01 per token" in body
    assert "0.09" not in body
    assert "secret plan" not in body


def test_roles_see_and_change_what_they_may(organization: Organization, meter: Meter) -> None:
    draft = make_draft(meter)
    url = f"/rate-cards/versions/{draft.pk}/"
    csm = signed_in(make_member(organization, Role.CSM))
    assert csm.get(url).status_code == 200
    assert csm.post(f"{url}publish/").status_code == 403
    assert "Discard draft" not in csm.get(url).content.decode()
    finance = signed_in(make_member(organization, Role.FINANCE))
    assert "Discard draft" in finance.get(url).content.decode()
    assert finance.post(f"{url}discard/").status_code == 302
    enter(staff_of(organization))
    assert not RateCardVersion.objects.exists()
