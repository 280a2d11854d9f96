"""The event log: accepted, quarantined and rejected events, replay, and the wait for the first one."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Organization, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_key,
    make_member,
    make_meter,
    make_organization,
    signed_in,
    staff_of,
    usage_sum,
)
from usage.actions.directory import forget_directories
from usage.models import Event, IngestBatch, QuarantinedEvent
from usage.reports.event_log import EventFilter, accepted_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    forget_directories()


def send(organization: Organization, *events: dict[str, Any]) -> None:
    """Send events as the vendor's platform would."""
    _, secret = make_key(organization, ("events:write",))
    forget_directories()
    response = Client().post(
        "/api/v1/events",
        json.dumps(list(events)),
        content_type="application/cloudevents-batch+json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert response.status_code in (200, 202, 422), response.content


def event(number: int = 1, subject: str = "north", **fields: Any) -> dict[str, Any]:
    happened = timezone.now() - timedelta(minutes=number)
    start = {"specversion": "1.0", "id": f"e-{number}", "source": "app", "type": "api.call", "subject": subject}
    return start | {"time": happened.isoformat(), "data": {"quantity": 1, "workflow": "ocr", "success": True}} | fields


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    make_meter(organization)
    return make_account(organization, "Northwind", key="north")


@pytest.fixture
def staff(organization: Organization) -> Client:
    return signed_in(make_member(organization))


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


def test_an_accepted_event_stands_in_the_log_of_staff_and_of_its_customer_s_engineer(
    account: Account, staff: Client
) -> None:
    send(account.organization, event(data={"quantity": 42, "workflow": "Invoice OCR", "success": False}))
    engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
    for client, path in [(staff, "/events/"), (staff, f"/accounts/{account.pk}/events/")]:
        body = page(client, path)
        assert "e-1" in body
        assert "Invoice OCR" in body
        assert "Failed" in body
    assert "e-1" in page(engineer, f"/accounts/{account.pk}/events/")
    assert engineer.get("/events/").headers["Location"] == f"/accounts/{account.pk}/events/"


def test_a_customer_is_told_nothing_of_quarantined_and_rejected_events(account: Account) -> None:
    send(account.organization, event(), event(2, type="unknown"), event(3, data={"quantity": "x"}))
    engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
    for tab in ("accepted", "quarantined", "rejected"):
        body = page(engineer, f"/accounts/{account.pk}/events/?tab={tab}")
        assert "Quarantined" not in body
        assert "Rejected" not in body
        assert "e-2" not in body


def test_a_portal_viewer_without_the_right_gets_403_and_a_foreign_account_404(account: Account) -> None:
    other = make_account(account.organization, "Other")
    viewer = signed_in(make_member(account, Role.PORTAL_VIEWER))
    assert viewer.get(f"/accounts/{account.pk}/events/").status_code == 403
    engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
    foreign, unknown = (engineer.get(f"/accounts/{pk}/events/") for pk in (other.pk, uuid4()))
    assert foreign.status_code == unknown.status_code == 404
    token = re.compile(rb"[A-Za-z0-9]{64}")
    assert token.sub(b"", foreign.content) == token.sub(b"", unknown.content)


def test_quarantined_events_say_why_and_what_to_do(account: Account, staff: Client) -> None:
    send(account.organization, event(1, "nobody"), event(2, "nobody"), event(3, type="tokens"))
    body = page(staff, "/events/?tab=quarantined")
    assert "<b>3</b> events wait for an account or a meter." in body
    assert "No account has this key: <code>nobody</code>" in body
    assert "No meter reads this type: <code>tokens</code>" in body
    assert "/meters/new/?event_type=tokens" in body
    assert "/accounts/new/?key=nobody" in body
    assert "ready to replay" not in body


def test_rejected_events_say_what_was_wrong_and_what_to_do(account: Account, staff: Client) -> None:
    send(account.organization, event(), event(2, data={"quantity": -1}), event(3, time="yesterday"))
    body = page(staff, "/events/?tab=rejected")
    assert "The quantity is negative." in body
    assert "The time cannot be read." in body
    assert "Send RFC 3339" in body


def test_replay_by_cause_counts_what_is_fixed_and_leaves_the_rest(account: Account, staff: Client) -> None:
    send(account.organization, event(1, "late"), event(2, "late"), event(3, type="tokens"))
    make_account(account.organization, "Late", key="late")
    assert "ready to replay" in page(staff, "/events/?tab=quarantined")
    response = staff.post("/events/replay/", {"reason": "unknown_subject", "name": "late"}, follow=True)
    assert "2 events replayed" in response.content.decode()
    response = staff.post("/events/replay/", {}, follow=True)
    assert "1 event still wait" in response.content.decode()
    enter(staff_of(account))
    assert Event.objects.count() == 2
    assert "e-1" in page(staff, "/events/")


def test_replay_of_one_event_leaves_its_siblings(account: Account, staff: Client) -> None:
    send(account.organization, event(1, "late"), event(2, "late"))
    make_account(account.organization, "Late", key="late")
    first = QuarantinedEvent.objects.order_by("pk").first()
    assert first is not None
    staff.post("/events/replay/", {"event": str(first.pk)})
    enter(staff_of(account))
    assert QuarantinedEvent.objects.filter(replayed_at=None).count() == 1


def test_replay_needs_the_right_and_a_foreign_event_is_as_good_as_unknown(account: Account, staff: Client) -> None:
    send(account.organization, event(1, "late"))
    foreign = QuarantinedEvent.objects.get()
    stranger = signed_in(make_member(make_organization("Globex")))
    analyst = signed_in(make_member(account.organization, Role.ANALYST))
    assert analyst.post("/events/replay/", {}).status_code == 403
    assert stranger.get(f"/events/quarantined/{foreign.pk}/").status_code == 404
    stranger.post("/events/replay/", {"event": str(foreign.pk)})
    enter(staff_of(account))
    assert QuarantinedEvent.objects.get().replayed_at is None
    assert "late" in page(staff, f"/events/quarantined/{foreign.pk}/")


def test_filters_narrow_the_log(account: Account, staff: Client) -> None:
    make_meter(account.organization, "page.read")
    make_account(account.organization, "Southwind", key="south")
    send(
        account.organization,
        event(1),
        event(2, "south"),
        event(3, type="page.read"),
        event(4, data={"quantity": 1, "environment": "sandbox"}),
        event(5, source="billing/v2"),
        event(60 * 30),
    )
    enter(staff_of(account))
    meter = Event.objects.filter(event_id="e-3").values_list("meter_id", flat=True)[0]
    for query, expected in [
        (f"account={account.pk}", {"e-1", "e-3", "e-4", "e-5", "e-1800"}),
        (f"meter={meter}", {"e-3"}),
        ("environment=other", {"e-4"}),
        ("q=billing", {"e-5"}),
        ("q=E-180", {"e-1800"}),
        ("since=1h", {"e-1", "e-2", "e-3", "e-4", "e-5"}),
        ("account=nonsense&meter=&since=ever&q=%00", {"e-1", "e-2", "e-3", "e-4", "e-5", "e-1800"}),
    ]:
        body = page(staff, f"/events/?{query}")
        assert {name for name in ("e-1", "e-2", "e-3", "e-4", "e-5", "e-1800") if f">{name}<" in body} == expected, (
            query
        )


def test_events_that_are_not_billed_say_so(account: Account, staff: Client) -> None:
    send(account.organization, event(1, data={"quantity": 1, "environment": "sandbox"}))
    assert "sandbox, not billed" in page(staff, "/events/")


def test_pages_go_back_in_time_without_gaps_or_repeats(account: Account, staff: Client) -> None:
    moment = (timezone.now() - timedelta(hours=2)).isoformat()
    send(account.organization, *(event(number, id=f"same-{number}", time=moment) for number in range(70)))
    send(account.organization, *(event(number * 60, id=f"old-{number}") for number in range(3, 40)))
    viewer = staff_of(account)
    for wanted in (EventFilter(), EventFilter(account_id=account.pk)):
        enter(viewer)
        seen, cursor = [], None
        while True:
            part = accepted_events(viewer, wanted, cursor, timezone.now())
            seen += [row.event_id for row in part.rows]
            cursor = part.older
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 107
        assert seen[-1] == "old-39"
    body = page(staff, "/events/")
    assert "before=" in body
    assert page(staff, "/events/?before=garbage")


def test_the_log_of_a_quiet_organization_reaches_back_to_its_last_events(account: Account, staff: Client) -> None:
    send(account.organization, event(60 * 24 * 30))
    assert "e-43200" in page(staff, "/events/")


def test_one_event_shows_its_data_with_every_digit_and_nothing_live(account: Account, staff: Client) -> None:
    text = '{"quantity": 1234567.123456789012, "note": "<script>alert(1)</script>"}'
    _, secret = make_key(account.organization)
    now = timezone.now().isoformat()
    body = '{"specversion":"1.0","id":"x","source":"s","type":"api.call","subject":"north",'
    body += f'"time":"{now}","data":{text}}}'
    forget_directories()
    Client().post(
        "/api/v1/events",
        body,
        content_type="application/cloudevents+json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    enter(staff_of(account))
    found = Event.objects.get()
    shown = page(staff, f"/events/{found.key}/")
    assert "1234567.123456789012" in shown
    assert "<script>alert" not in shown
    engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
    assert "1234567.123456789012" in page(engineer, f"/accounts/{account.pk}/events/{found.key}/")
    stranger = signed_in(make_member(make_organization("Globex")))
    assert stranger.get(f"/events/{found.key}/").status_code == 404
    other = make_account(account.organization, "Other")
    assert staff.get(f"/accounts/{other.pk}/events/{found.key}/").status_code == 404


def test_the_page_waits_for_the_first_event_and_turns_when_it_is_there(account: Account, staff: Client) -> None:
    body = page(staff, "/events/")
    assert "Waiting for your first event." in body
    assert "/events/waiting/" in body
    assert "YOUR_API_KEY" in body
    assert "&quot;subject&quot;: &quot;north&quot;" in body
    assert staff.get("/events/waiting/").status_code == 204
    send(account.organization, event())
    turned = staff.get("/events/waiting/")
    assert turned.headers["HX-Refresh"] == "true"
    assert "Waiting for" not in page(staff, "/events/")
    other = make_account(account.organization, "Fresh", key="fresh")
    assert staff.get(f"/accounts/{other.pk}/events/waiting/").status_code == 204
    assert "Waiting for your first event." in page(staff, f"/accounts/{other.pk}/events/")


def test_without_meter_and_account_the_page_says_what_is_missing(staff: Client) -> None:
    body = page(staff, "/events/")
    assert "Add an account" in body
    assert "Add a meter" in body


def test_the_events_of_another_organization_are_never_shown(account: Account) -> None:
    send(account.organization, event(1), event(2, "nobody"), event(3, time="never"))
    stranger = signed_in(make_member(make_organization("Globex")))
    for tab in ("accepted", "quarantined", "rejected"):
        body = page(stranger, f"/events/?tab={tab}")
        assert "Waiting for your first event." in body
        assert "e-1" not in body
        assert "nobody" not in body


def test_batches_that_were_set_aside_are_said_and_can_be_tried_again() -> None:
    account = make_account()
    batch = make_batch(account.organization, usage_sum(account, make_meter(account.organization), NOW))
    IngestBatch.objects.filter(pk=batch.pk).update(failures=3, error="numeric field overflow")
    client = signed_in(make_member(account.organization))
    assert "could not be counted" in client.get("/events/").content.decode()
    assert client.post("/events/retry/").status_code == 302
    enter(staff_of(account))
    batch.refresh_from_db()
    assert batch.failures == 0


def test_customers_do_not_read_about_batches_of_the_vendor() -> None:
    account = make_account()
    batch = make_batch(account.organization, usage_sum(account, make_meter(account.organization), NOW))
    IngestBatch.objects.filter(pk=batch.pk).update(failures=3)
    client = signed_in(make_member(account))
    assert "could not be counted" not in client.get(f"/accounts/{account.pk}/events/").content.decode()
    assert client.post("/events/retry/").status_code == 403


def void(number: int = 1, **fields: Any) -> dict[str, Any]:
    data = {"id": f"e-{number}", "reason": "billed <twice>"}
    return event(number) | {"id": f"v-{number}", "type": "consumption.void", "data": data} | fields


def test_a_voided_event_says_by_what_and_why_and_both_ways_link(organization: Organization) -> None:
    account = make_account(organization, key="north")
    make_meter(organization, "api.call")
    send(organization, event(), void())
    instead = {"id": "e-2", "data": {"quantity": 4}}
    send(organization, event(2), event(2) | {"id": "r-2", "type": "consumption.replace", "data": instead})
    for client, base in (
        (signed_in(make_member(organization)), "/events/"),
        (signed_in(make_member(account)), f"/accounts/{account.pk}/events/"),
    ):
        log = client.get(base).content.decode()
        assert [log.count(f'<span class="tag">{tag}</span>') for tag in ("voided", "replaced", "reversal")] == [
            1,
            1,
            2,
        ]
        enter(staff_of(organization))
        keys = {row.event_id: row.key for row in Event.objects.filter(quantity__gt=0)}
        original = client.get(f"{base}{keys['e-1']}/").content.decode()
        assert "“billed &lt;twice&gt;”" in original
        links = re.findall(rf'"({base}[-0-9a-f]+/)">v-1</a>', original)
        assert len(links) == 1
        reversal = client.get(links[0]).content.decode()
        assert f'This takes back <a href="{base}{keys["e-1"]}/">e-1</a>' in reversal
        instead_page = client.get(f"{base}{keys['r-2']}/").content.decode()
        assert f'This counts instead of <a href="{base}{keys["e-2"]}/">e-2</a>' in instead_page
        assert "No reason was given." in instead_page


def test_the_log_of_an_account_narrows_to_one_of_its_days(organization: Organization) -> None:
    account = make_account(organization, key="north", timezone="Asia/Kolkata")
    meter = make_meter(organization, "api.call")
    send(organization, event(1, time=_at(-1)), event(2, time=_at(1)), event(3, time=_at(1)))
    client = signed_in(make_member(organization))
    day = timezone.now().astimezone(ZoneInfo("Asia/Kolkata")).date() - timedelta(days=2)
    log = client.get(f"/accounts/{account.pk}/events/?day={day}&meter={meter.pk}").content.decode()
    assert f'name="day" value="{day}"' in log
    assert ("e-1" in log, "e-2" in log, "e-3" in log) == (False, True, True)
    assert "e-1" in client.get(f"/accounts/{account.pk}/events/?day=0001-01-01x").content.decode()


def _at(hours: int) -> str:
    """A time around the beginning of the day before yesterday in Kolkata."""
    today = timezone.now().astimezone(ZoneInfo("Asia/Kolkata")).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=2) + timedelta(hours=hours)).isoformat()
