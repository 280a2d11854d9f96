"""The timeline: what was said is kept, corrected by who wrote it, and shown among what was measured."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts.models import Account, AuditEvent, Role
from budgets.models import Alert, LimitEvent, PlannedActivity
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.timeline import Said, edit_entry, remove_entry
from reviews.models import HealthDay, HealthRecipe, TimelineEntry
from reviews.reports.timeline import last_words, split_title, timeline
from tests.factories import NOW, make_account, make_member, portal_of, signed_in, staff_of
from tests.reviews.people_factories import make_contact, make_entry
from tests.world import make_world

pytestmark = pytest.mark.django_db


def _staff(account: Account, role: str = Role.CSM) -> Viewer:
    member = make_member(account.organization, role)
    return Viewer(account.organization_id, None, role, member.user_id)


def test_a_call_is_kept_with_who_took_part_and_how_it_felt() -> None:
    account = make_account()
    dana = make_contact(account)
    entry = make_entry(account, sentiment="positive", minutes=32, attendees=[dana])
    assert [one.name for one in entry.attendees.all()] == ["Dana"]
    item = timeline(staff_of(account), account).items[0]
    assert (item.title, item.pill, item.pill_tone) == ("They are happy", "Positive", "good")
    assert item.by == "Call, 32 min · with Dana"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"at": NOW + timedelta(days=1)}, "future"),
        ({"text": "   "}, "cannot be blank"),
        ({"text": "x" * 10_001}, "10,000 characters"),
        ({"minutes": 0}, "1 to 1,440"),
        ({"kind": "telepathy"}, "not a valid choice"),
        ({"sentiment": "furious"}, "not a valid choice"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(fields: dict[str, Any], words: str) -> None:
    account = make_account()
    with pytest.raises(ValidationError, match=words):
        make_entry(account, **fields)
    assert not TimelineEntry.objects.exists()


def test_people_of_another_account_take_part_in_nothing() -> None:
    account = make_account()
    other = make_contact(make_account(account.organization, "Contoso"))
    with pytest.raises(ValidationError, match="people of this account"):
        make_entry(account, attendees=[other])


def test_only_who_wrote_it_or_a_leader_corrects_an_entry() -> None:
    account = make_account()
    author, colleague, leader = _staff(account), _staff(account), _staff(account, Role.LEADER)
    entry = make_entry(account, viewer=author)
    with pytest.raises(PermissionDenied):
        edit_entry(colleague, entry, Said("note", NOW, "Mine now."), NOW)
    edit_entry(author, entry, Said("note", NOW, "Corrected."), NOW)
    edit_entry(leader, entry, Said("note", NOW, "Corrected twice."), NOW)
    entry.refresh_from_db()
    assert (entry.text, entry.edited_at, entry.by_id) == ("Corrected twice.", NOW, author.user_id)
    changes = AuditEvent.objects.filter(action="timeline_entry.changed").order_by("pk").first()
    assert changes is not None
    assert changes.details["text"] == {"from": "They are happy.", "to": "Corrected."}


def test_a_removed_entry_leaves_the_list_and_is_kept() -> None:
    account = make_account()
    entry = make_entry(account)
    remove_entry(staff_of(account), entry, NOW)
    remove_entry(staff_of(account), entry, NOW + timedelta(hours=1))
    assert timeline(staff_of(account), account).items == []
    assert TimelineEntry.objects.get(pk=entry.pk).removed_at == NOW
    assert AuditEvent.objects.get(action="timeline_entry.removed").details["said"] == "They are happy."


def test_the_customers_audit_log_never_names_what_was_written_of_them() -> None:
    account = make_account()
    make_entry(account, "They will churn.")
    make_contact(account, "Milo")
    assert AuditEvent.objects.filter(account=account).count() == 0
    assert AuditEvent.objects.filter(target_type="account", target_id=str(account.pk)).count() == 2


def test_a_customer_sees_no_timeline_at_all() -> None:
    account = make_account()
    make_entry(account)
    assert timeline(portal_of(account), account).items == []
    enter(portal_of(account))
    assert not TimelineEntry.objects.exists()


def _alert(account: Account, **fields: object) -> Alert:
    made: Alert = Alert.objects.create(
        organization=account.organization, account=account, number=1, kind="spike", crossing="a",
        headline="Spend is 3 times the usual", raised_at=NOW - timedelta(hours=2), **fields,
    )  # fmt: skip
    return made


def _health(account: Account, *scores: int) -> None:
    recipe = HealthRecipe.objects.create(organization=account.organization, number=1, body={})
    for days, score in enumerate(scores):
        day = NOW.date() - timedelta(days=len(scores) - days)
        part = {"measure": "reliability", "label": "Reliability", "weight": "50", "points": str(score - 40)}
        HealthDay.objects.create(
            organization=account.organization, account=account, day=day, recipe=recipe, score=Decimal(score),
            parts=[part], computed_at=NOW - timedelta(days=len(scores) - days - 1, hours=3),
        )  # fmt: skip


def test_words_alerts_plans_and_moves_of_health_are_one_list_newest_first() -> None:
    account = make_account()
    make_entry(account, at=NOW - timedelta(hours=1))
    _alert(account)
    _health(account, 90, 90, 82, 81)
    PlannedActivity.objects.create(
        organization=account.organization, account=account, kind="backfill", name="Backfill of claims",
        starts_on=date(2026, 6, 20), ends_on=date(2026, 6, 21), by_customer=True, created_at=NOW - timedelta(days=9),
    )  # fmt: skip
    found = timeline(staff_of(account), account).items
    assert [item.title for item in found] == [
        "They are happy",
        "Spend is 3 times the usual",
        "Health fell 8 points to 82",
        "Backfill of claims",
    ]
    assert found[2].text == "Reliability −8"
    shown = {kind: [item.title for item in timeline(staff_of(account), account, kinds=[kind]).items]
             for kind in ("conversation", "alert", "telemetry", "customer")}  # fmt: skip
    assert shown == {
        "conversation": ["They are happy"],
        "alert": ["Spend is 3 times the usual"],
        "telemetry": ["Health fell 8 points to 82"],
        "customer": ["Backfill of claims"],
    }


def test_silent_alerts_are_not_in_it() -> None:
    account = make_account()
    _alert(account, is_silent=True)
    assert timeline(staff_of(account), account).items == []


def test_paging_shows_everything_once_even_at_the_same_moment() -> None:
    account = make_account()
    texts = {make_entry(account, f"Entry {number}", at=NOW).text for number in range(7)}
    seen: list[str] = []
    before = ""
    for _ in range(4):
        page = timeline(staff_of(account), account, before=before, limit=2)
        seen += [item.title for item in page.items]
        before = page.older
    assert (len(seen), set(seen), before) == (7, texts, "")


@pytest.mark.parametrize("cursor", ["nonsense", "2026-13-01~x", "2026-01-01T00:00:00~x", "~"])
def test_a_cursor_that_nobody_made_begins_at_the_newest(cursor: str) -> None:
    account = make_account()
    make_entry(account)
    assert len(timeline(staff_of(account), account, before=cursor).items) == 1


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        ("Monthly check-in\nHappy with it.", "Monthly check-in", "Happy with it."),
        ("They want dates. Milo asked twice.", "They want dates", "Milo asked twice."),
        ("Short", "Short", ""),
        ("long " * 40, "", ("long " * 40).strip()),
    ],
)
def test_the_first_words_are_the_title(text: str, title: str, rest: str) -> None:
    assert split_title(text) == (title, rest)


def test_the_heading_says_how_the_last_conversation_was() -> None:
    account = make_account()
    assert last_words(timeline(staff_of(account), account)) == "Nothing has been written down yet"
    make_entry(account, "Milo wants dates.", kind="email", sentiment="neutral")
    assert last_words(timeline(staff_of(account), account)) == "Last e-mail was neutral: Milo wants dates"


def test_the_page_adds_an_entry_and_answers_a_part_with_a_part() -> None:
    account = make_account()
    client = signed_in(make_member(account.organization, Role.CSM))
    url = f"/accounts/{account.pk}/timeline/"
    said = {"kind": "call", "text": "Logged by hand.", "sentiment": "positive"}
    page = client.post(url, said, headers={"HX-Request": "true"})
    assert page.status_code == 200
    assert b"Logged by hand" in page.content
    assert b"<html" not in page.content
    assert client.post(url, said).status_code == 302
    assert client.post(url, {"kind": "call", "text": ""}, headers={"HX-Request": "true"}).status_code == 422
    enter(staff_of(account))
    assert TimelineEntry.objects.filter(text="Logged by hand.", by__isnull=False).count() == 2


def test_the_moment_of_an_entry_is_on_the_accounts_clock() -> None:
    account = make_account(timezone="America/New_York")
    client = signed_in(make_member(account.organization, Role.CSM))
    said = {"kind": "call", "text": "Then.", "at": "2026-01-31T14:30"}
    client.post(f"/accounts/{account.pk}/timeline/", said)
    enter(staff_of(account))
    assert TimelineEntry.objects.get().at.isoformat() == "2026-01-31T19:30:00+00:00"


def test_an_entry_is_corrected_and_removed_on_its_page() -> None:
    account = make_account()
    member = make_member(account.organization, Role.CSM)
    viewer = replace(staff_of(account, Role.CSM), user_id=member.user_id)
    entry = make_entry(account, viewer=viewer)
    client, url = signed_in(member), f"/accounts/{account.pk}/timeline/{entry.pk}/"
    assert b"They are happy." in client.get(url).content
    assert client.post(url, {"kind": "note", "text": "Better words."}).status_code == 302
    colleague = signed_in(make_member(account.organization, Role.CSM))
    assert colleague.post(url, {"kind": "note", "text": "Mine."}).status_code == 403
    assert colleague.post(f"{url}remove/").status_code == 403
    assert client.post(f"{url}remove/").status_code == 302
    assert client.get(url).status_code == 404
    enter(staff_of(account))
    assert TimelineEntry.objects.get().text == "Better words."


def test_a_limit_that_the_customer_lifted_is_among_their_own_acts() -> None:
    now = timezone.now()
    world = make_world(now)
    own = world.accounts[0]
    enter(staff_of(world.organization))
    event = LimitEvent.objects.filter(account=own.account).first()
    assert event is not None
    event.pk, event.kind, event.at, event._state.adding = uuid7(), LimitEvent.Kind.LIFTED, now, True
    event.by, event.reason = own.members[Role.PORTAL_OWNER].user, "Launch day"
    event.save()
    lifted = timeline(staff_of(world.organization), own.account, kinds=["customer"]).items
    assert any("lifted" in item.title and item.text.endswith("Launch day") for item in lifted)
    everything = timeline(staff_of(world.organization), own.account, limit=100).items
    assert {"conversation", "alert", "telemetry", "customer"} <= {
        group for item in everything for group in item.groups
    }
    assert all(item.key and item.title for item in everything)
