"""The call sheet: what to ask is derived from the data, it holds what is open and who is who, and takes the notes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from reviews.calc.questions import MOST, questions
from reviews.calc.queue import REASONS
from reviews.models import AccountMetrics, Contact, TimelineEntry
from reviews.reports.value_due import KINDS
from tests import factories


def test_the_most_pressing_reason_is_asked_first_and_never_more_than_five() -> None:
    found = questions(list(REASONS), list(KINDS), has_champion=True)
    assert [key for key, _ in found] == list(REASONS)[:MOST]


def test_every_reason_and_everything_that_waits_has_a_question_that_ends_as_one() -> None:
    found = questions(list(REASONS), list(KINDS), has_champion=True, most=99)
    assert {key for key, _ in found} == REASONS.keys() | KINDS.keys()
    assert all(text.endswith("?") for _, text in found)


def test_without_reasons_three_questions_are_always_worth_asking() -> None:
    assert [key for key, _ in questions([], [], has_champion=True)] == ["", "", ""]
    assert [key for key, _ in questions([], ["value", "value"], has_champion=False)] == ["champion", "value", ""]


def test_who_has_lost_the_champion_is_not_asked_twice() -> None:
    found = questions(["champion_gone"], [], has_champion=False)
    assert [key for key, _ in found] == ["champion_gone", "", ""]


@pytest.fixture
def account(db: None) -> Account:
    made = factories.make_account(factories.make_organization(), "Northwind", timezone="UTC")
    enter(factories.staff_of(made))
    day = timezone.now().date() - timedelta(days=1)
    AccountMetrics.objects.create(
        organization_id=made.organization_id, account=made, day=day, computed_at=timezone.now(),
        numbers={"open_spikes": "2", "change_28": "-38"},
    )  # fmt: skip
    Contact.objects.create(organization_id=made.organization_id, account=made, name="Dana", role="buyer")
    return made


def client(account: Account, role: str = Role.CSM) -> Client:
    return factories.signed_in(factories.make_member(account.organization, role))


def sheet(account: Account, role: str = Role.CSM) -> str:
    answer = client(account, role).get(reverse("reviews:call_sheet", args=[account.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_asks_with_the_figures_that_ask_for_it(account: Account) -> None:
    page = sheet(account)
    assert "shall we look for what caused it?" in page
    assert "2 spikes without an explanation." in page
    assert "Use down 38% in 28 days." in page
    assert "No champion is known." in page
    assert "Dana" in page
    assert reverse("reviews:call_sheet", args=[account.pk]) in client(account).get(
        reverse("reviews:brief", args=[account.pk])
    ).content.decode()  # fmt: skip


def test_notes_become_an_entry_of_the_timeline_and_lead_back_to_the_brief(account: Account) -> None:
    sent = {"kind": "call", "text": "They plan a second team.", "sentiment": "positive", "minutes": "30"}
    brief = reverse("reviews:brief", args=[account.pk])
    answer = client(account).post(reverse("reviews:timeline", args=[account.pk]), sent | {"next": brief})
    assert answer.headers["Location"] == brief
    enter(factories.staff_of(account))
    entry = TimelineEntry.objects.get()
    assert (entry.kind, entry.text, entry.sentiment, entry.minutes) == (
        "call", "They plan a second team.", "positive", 30,
    )  # fmt: skip
    page = sheet(account)
    assert "They plan a second team." in page
    assert "they were positive" in page


def test_who_only_reads_sees_no_form(account: Account) -> None:
    page = sheet(account, Role.ANALYST)
    assert "does not add to it" in page
    assert "<textarea" not in page


def test_customers_do_not_see_it(account: Account) -> None:
    theirs = factories.signed_in(factories.make_member(account))
    assert theirs.get(reverse("reviews:call_sheet", args=[account.pk])).status_code in (403, 404)


def test_it_takes_few_queries(account: Account) -> None:
    caller: Any = client(account)
    address = reverse("reviews:call_sheet", args=[account.pk])
    caller.get(address)
    with CaptureQueriesContext(connection) as queries:
        caller.get(address)
    assert len(queries) <= 66
