"""The outbox on the wire: once for each row, retries, what is given up, what is switched off, and what is leased."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError
from standardwebhooks import Webhook

from accounts.models import Account, Membership
from budgets.actions import deliver, outbox, sending
from budgets.actions.deliver import Courier, deliver_all, lease, record
from budgets.actions.destinations import new_secret, replay, rotate
from budgets.actions.sending import Letter, Outcome, send
from budgets.models import Delivery, DeliveryAttempt, Destination
from consumption_cs.lib.outgoing import Answer, SendError
from consumption_cs.lib.sealed import seal, unseal
from consumption_cs.lib.tenancy import enter
from tests.budgets.test_outbox import make_alert, make_place
from tests.factories import make_account, make_member, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def queued(account: Account, place: Destination | None = None, seat: Membership | None = None, n: int = 1) -> Delivery:
    enter(staff_of(account))
    message = {"subject": "Spend doubled", "heading": "Spend doubled", "text": "Look.", "url": "https://x.example/"}
    row: Delivery = Delivery.objects.create(
        organization=account.organization, account=account, destination=place, membership=seat,
        email=seat.user.email if seat else "", topic="alert.raised", key=f"k{n}{place and place.pk}",
        payload={"type": "alert.raised"} if place else message, next_at=NOW,
    )  # fmt: skip
    return row


def hook(account: Account, **fields: Any) -> Destination:
    enter(staff_of(account))
    return make_place(account, secret=seal(new_secret()), **fields)


def work(account: Account, outcome: Outcome, now: datetime = NOW) -> list[Letter]:
    sent: list[Letter] = []

    def sender(letter: Letter, at: datetime) -> Outcome:
        sent.append(letter)
        return outcome

    deliver_all([account.organization_id], lambda: now, 0.2, sender)
    enter(staff_of(account))
    return sent


FAILED = Outcome(5, 500, "The receiver refused it (status 500).")


def test_what_was_accepted_is_sent_once_and_its_try_is_kept() -> None:
    account = make_account()
    row = queued(account, hook(account))
    assert [letter.id for letter in work(account, Outcome(7, 200))] == [str(row.pk)]
    assert work(account, Outcome(7, 200)) == []
    row.refresh_from_db()
    assert (row.state, row.attempts, row.delivered_at) == ("delivered", 1, NOW)
    assert DeliveryAttempt.objects.get().status == 200


def test_a_failure_is_tried_again_under_the_same_id_on_the_schedule() -> None:
    account = make_account()
    row = queued(account, hook(account))
    first = work(account, FAILED)
    row.refresh_from_db()
    assert timedelta(seconds=4) <= row.next_at - NOW <= timedelta(seconds=6)
    assert work(account, FAILED, NOW + timedelta(seconds=3)) == []
    second = work(account, Outcome(1, 200), NOW + timedelta(seconds=7))
    assert first[0].id == second[0].id
    row.refresh_from_db()
    assert row.state == "delivered"


def test_after_the_last_retry_it_is_given_up_told_to_admins_and_replayed_with_one_click() -> None:
    account = make_account()
    admin = make_member(account.organization)
    row = queued(account, hook(account))
    row.attempts = 9
    row.save()
    work(account, FAILED)
    row.refresh_from_db()
    assert (row.state, row.note) == ("dead", FAILED.error)
    told = Delivery.objects.get(topic="delivery.given_up")
    assert told.email == admin.user.email
    replay(staff_of(account), row, NOW)
    assert str(row.pk) in {letter.id for letter in work(account, Outcome(1, 200))}


def test_gone_switches_the_destination_off_and_so_do_five_days_of_failure() -> None:
    account = make_account()
    for outcome, since in ((Outcome(1, 410, "Gone", True), None), (FAILED, NOW - timedelta(days=5))):
        place = hook(account, failing_since=since)
        queued(account, place)
        work(account, outcome)
        place.refresh_from_db()
        assert place.disabled_at == NOW


def test_a_lease_is_one_worker_s_and_runs_out_when_it_dies() -> None:
    account = make_account()
    place = hook(account)
    row = queued(account, place)
    assert [pk for pk, _ in lease(account.organization_id, NOW, 16)] == [row.pk]
    assert lease(account.organization_id, NOW, 16) == []
    assert [pk for pk, _ in lease(account.organization_id, NOW + timedelta(minutes=2), 16)] == [row.pk]


def test_one_destination_has_two_at_once_and_does_not_stand_before_the_others() -> None:
    account = make_account()
    slow, other = hook(account), hook(account)
    for n in range(40):
        queued(account, slow, n=n)
    last = queued(account, other, n=99)
    taken = [pk for pk, _ in lease(account.organization_id, NOW, 16)]
    assert len(taken) == 3
    assert last.pk in taken


def test_a_slow_receiver_delays_no_other() -> None:
    account = make_account()
    slow, other = hook(account, name="slow"), hook(account)
    slow_row, rows = queued(account, slow), [queued(account, other, n=n) for n in range(6)]
    order: list[str] = []
    release = threading.Event()

    def sender(letter: Letter, at: datetime) -> Outcome:
        if letter.id == str(slow_row.pk):
            release.wait(5)
        order.append(letter.id)
        if len(order) == len(rows):
            release.set()
        return Outcome(1, 200)

    started = time.monotonic()
    assert deliver_all([account.organization_id], lambda: NOW, 5, sender) == 7
    assert order[-1] == str(slow_row.pk)
    assert time.monotonic() - started < 5


def test_a_receiver_that_hangs_holds_up_no_later_message_of_others_either() -> None:
    account = make_account()
    slow, other = hook(account, name="slow"), hook(account)
    hanging = [queued(account, slow, n=n) for n in range(5)]
    release = threading.Event()

    def sender(letter: Letter, at: datetime) -> Outcome:
        if letter.id in {str(row.pk) for row in hanging}:
            release.wait(15)
        return Outcome(1, 200)

    courier = Courier(sender)
    assert courier.round([account.organization_id], lambda: NOW, 0.3) == 0  # two of the five hang
    for n in range(10, 13):
        later = queued(account, other, n=n)
        started = time.monotonic()
        assert courier.round([account.organization_id], lambda: NOW, 0.1) == 1
        assert time.monotonic() - started < 2
        enter(staff_of(account))
        later.refresh_from_db()
        assert later.state == "delivered"
    release.set()
    assert courier.round([account.organization_id], lambda: NOW, 5) + courier.finish(lambda: NOW) == 5
    enter(staff_of(account))
    assert DeliveryAttempt.objects.count() == Delivery.objects.filter(state="delivered").count() == 8


def test_a_mail_server_that_hangs_leaves_room_for_webhooks_and_an_organization_for_others() -> None:
    account = make_account()
    seat = make_member(account)
    for n in range(40):
        queued(account, seat=seat, n=n)
    last = queued(account, hook(account), n=99)
    taken = [pk for pk, _ in lease(account.organization_id, NOW, 16)]
    assert len(taken) == 9
    assert last.pk in taken


def test_what_could_not_be_written_down_is_not_sent_again_but_written_in_the_next_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = make_account()
    row = queued(account, hook(account))
    sent: list[str] = []

    def sender(letter: Letter, at: datetime) -> Outcome:
        sent.append(letter.id)
        return Outcome(1, 200)

    def gone(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    courier = Courier(sender)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "record", gone)
        with pytest.raises(OperationalError):
            courier.round([account.organization_id], lambda: NOW, 5)
    assert courier.round([account.organization_id], lambda: NOW, 5) == 1
    enter(staff_of(account))
    row.refresh_from_db()
    assert (row.state, sent) == ("delivered", [str(row.pk)])


def test_a_worker_is_woken_once_what_it_shall_send_is_committed(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    account = make_account()
    make_place(account, account=None)
    woken: list[bool] = []
    monkeypatch.setattr(outbox, "wake_delivery", lambda: woken.append(True))
    alert = make_alert(account)
    with django_capture_on_commit_callbacks(execute=True):
        outbox.tell(account.organization_id, NOW, "alert.raised", [alert])
        assert not woken
    assert woken


def test_webhooks_are_signed_by_both_secrets_while_one_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    place = hook(account)
    old = unseal(place.secret or b"")
    new = rotate(staff_of(account), place, NOW)
    queued(account, place)
    (_, letter), *_ = lease(account.organization_id, NOW, 1)
    sent: dict[str, Any] = {}

    def post(url: str, body: bytes, headers: dict[str, str], seconds: float) -> Answer:
        sent.update(headers=headers, body=body)
        return Answer(204, 3)

    monkeypatch.setattr(sending, "post", post)
    now = datetime.now(UTC)
    assert send(letter, now).error == ""
    for secret in (old, new):
        assert Webhook(secret).verify(sent["body"], sent["headers"]) == {"type": "alert.raised"}
    enter(staff_of(account))
    place.refresh_from_db()
    assert place.old_secret_until == NOW + timedelta(hours=24)


@pytest.mark.parametrize(("status", "words"), [(301, "A redirect is not followed"), (500, "The receiver refused it")])
def test_other_answers_are_failures_in_words(monkeypatch: pytest.MonkeyPatch, status: int, words: str) -> None:
    monkeypatch.setattr(sending, "post", lambda *args: Answer(status, 3))
    outcome = send(Letter("1", "webhook", "https://x.example/", {}, (new_secret(),)), NOW)
    assert outcome.error == f"{words} (status {status})."


def test_no_answer_is_a_failure_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def post(*args: Any) -> Answer:
        raise SendError("No answer within 15 seconds.")

    monkeypatch.setattr(sending, "post", post)
    assert send(Letter("1", "webhook", "https://x.example/", {}, (new_secret(),)), NOW).error.startswith("No answer")


def test_a_mail_has_words_html_and_a_link_that_ends_it_in_one_click() -> None:
    account = make_account()
    row = queued(account, seat=make_member(account))
    [(_, letter)] = lease(account.organization_id, NOW, 1)
    assert send(letter, NOW).error == ""
    sent: Any = mail.outbox[0]
    assert sent.subject == "Spend doubled"
    assert sent.extra_headers["Message-ID"].startswith(f"<{row.pk}@")
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "/notifications/stop/" in sent.body
    assert "Spend doubled" in sent.alternatives[0][0]


def test_who_lost_their_seat_gets_no_mail() -> None:
    account = make_account()
    seat = make_member(account)
    row = queued(account, seat=seat)
    Membership.objects.filter(pk=seat.pk).delete()
    assert work(account, Outcome(1)) == []
    row.refresh_from_db()
    assert row.state == "cancelled"


def test_recording_a_late_success_of_a_given_up_message_counts_it_as_delivered() -> None:
    account = make_account()
    row = queued(account, hook(account))
    row.state = "dead"
    row.save()
    record(account.organization_id, row.pk, Outcome(1, 200), NOW)
    enter(staff_of(account))
    row.refresh_from_db()
    assert row.state == "delivered"


@pytest.mark.parametrize(
    ("kind", "address", "called"),
    [
        ("slack", "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "hooks.slack.com"),
        ("pagerduty", "0123456789abcdef0123456789abcdef", "events.pagerduty.com"),
        (
            "teams",
            "https://prod-12.westus.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/"
            "invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc_def-1234567890123456789012345",
            "prod-12.westus.logic.azure.com",
        ),
    ],
)
def test_chats_are_called_at_their_makers_address(
    monkeypatch: pytest.MonkeyPatch, kind: str, address: str, called: str
) -> None:
    urls: list[str] = []

    def post(url: str, *args: Any, **kwargs: Any) -> Any:
        urls.append(url)
        raise OSError  # nothing leaves this machine

    monkeypatch.setattr("requests.post", post)
    monkeypatch.setattr("requests.request", lambda method, url, **kwargs: post(url))
    try:
        outcome = send(Letter("1", kind, address, {"subject": "S", "text": "T"}), NOW)
        assert outcome.error
    except OSError:
        pass
    assert called in urls[0]
