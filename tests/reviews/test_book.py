"""My book: whose accounts it shows, in which order, what is done with several of them, and taking it back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from psycopg2.extras import register_uuid

from accounts.models import Account, Membership, Role
from consumption_cs.lib.ids import remember_ids
from consumption_cs.lib.tenancy import Viewer, act_as, enter
from reviews.actions import book as acting
from reviews.actions.play_catalog import ensure_plays
from reviews.models import AccountMetrics, Cover, Play, PlayRun, QueueSnooze, SavedView, Task, TimelineEntry
from reviews.reports.queue import Filters, Queue, order_of, queue
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SPIKE, FALLING = {"open_spikes": 1}, {"change_28": -38}


class Book:
    """A CSM with accounts, as they see them."""

    def __init__(self) -> None:
        self.organization = factories.make_organization()
        self.seat = factories.make_member(self.organization, Role.CSM)
        self.viewer = self.viewer_of(self.seat)
        enter(self.viewer)

    def viewer_of(self, seat: Membership) -> Viewer:
        return Viewer(self.organization.pk, None, Role(seat.role), seat.user_id, str(seat.user))

    def account(self, name: str, at_risk: int = 0, *, day: Any = None, **figures: float) -> Account:
        fields = {"csm": self.seat.user} if "csm" not in figures else {}
        account = factories.make_account(self.organization, name, **fields)
        enter(self.viewer)
        values = {key: str(value) for key, value in ({"at_risk": at_risk} | figures).items() if key != "csm"}
        AccountMetrics.objects.create(
            organization=self.organization, account=account, day=day or (NOW - timedelta(days=1)).date(),
            numbers=values, computed_at=NOW,
        )  # fmt: skip
        return account

    def look(self, now: datetime = NOW, **filters: Any) -> Queue:
        with act_as(self.viewer):
            found = queue(self.viewer, now, Filters(**filters))
        enter(self.viewer)
        return found

    def names(self, **filters: Any) -> list[str]:
        return [row.account.name for row in self.look(**filters).rows]

    def client(self) -> Client:
        return factories.signed_in(self.seat)


@pytest.fixture
def book() -> Book:
    return Book()


def test_today_comes_first_and_within_it_what_most_hangs_on(book: Book) -> None:
    book.account("Week", 900_000, **FALLING)
    book.account("Small today", 10, **SPIKE)
    book.account("Large today", 500, **SPIKE)
    book.account("On track", 3)
    found = book.look()
    assert [(group.key, [row.account.name for row in group.rows]) for group in found.groups] == [
        ("today", ["Large today", "Small today"]),
        ("week", ["Week"]),
    ]
    assert (found.everything, found.today_accounts, found.on_track) == (4, 2, 1)
    assert found.at_risk == {"USD": D(900_513)}
    assert found.groups[0].at_risk == found.today_at_risk == {"USD": D(510)}
    assert book.names(needs="all")[-1] == "On track"


def test_the_bar_draws_neighbours_with_next_to_nothing_at_risk_as_one_and_its_parts_add_up(book: Book) -> None:
    book.account("Large", 900, **SPIKE)
    for number in range(6):
        book.account(f"Small {number}", number + 1, **SPIKE)
    book.account("Later", 5, **FALLING)
    stakes = book.look().stakes
    assert [(stake.group, stake.name, stake.amount) for stake in stakes] == [
        ("today", "Large", 900),
        ("today", "", 6 + 5),
        ("today", "", 4 + 3 + 2 + 1),
        ("week", "Later", 5),
    ]


def test_an_id_that_was_read_before_is_the_same_in_every_process_that_remembers_ids(book: Book) -> None:
    account = book.account("Known")
    try:
        remember_ids()
        read = [Account.objects.values_list("pk", "csm_id", "field_cto_id").get(pk=account.pk) for _ in range(2)]
    finally:
        register_uuid()
    assert read == [(account.pk, book.seat.user_id, None)] * 2
    assert read[0][0] is read[1][0]


def test_a_row_tells_its_reason_in_figures(book: Book) -> None:
    book.account("Bluefin", 100, change_28=-38, silent_days=2)
    [row] = book.look().rows
    assert row.sentence == "No use for 2 days; use down 38% in 28 days."
    assert row.reason_key == "silent"


def test_an_account_without_any_figures_is_shown_and_at_risk_with_nothing(book: Book) -> None:
    factories.make_account(book.organization, "New", csm=book.seat.user)
    enter(book.viewer)
    [row] = book.look(needs="all").rows
    assert (row.at_risk, row.health.score, row.standing.group) == (D(0), None, "none")
    answer = book.client().get("/book/?needs=all")
    assert "Not scored yet" in answer.content.decode()


def test_only_own_accounts_and_those_that_one_covers_are_mine(book: Book) -> None:
    away = factories.make_member(book.organization, Role.CSM)
    enter(book.viewer)
    book.account("Mine", **SPIKE)
    theirs = book.account("Theirs", **SPIKE)
    Account.objects.filter(pk=theirs.pk).update(csm=away.user)
    assert book.names() == ["Mine"]
    assert book.names(owner="all") == ["Mine", "Theirs"]
    assert book.names(owner=str(away.user_id)) == ["Theirs"]
    Cover.objects.create(
        organization=book.organization, absent=away.user, covered_by=book.seat.user, starts_on=NOW.date(),
        ends_on=NOW.date() + timedelta(days=3),
    )  # fmt: skip
    found = book.look()
    assert {row.account.name: row.covered_for for row in found.rows} == {"Mine": "", "Theirs": str(away.user)}
    assert found.covered == 1
    assert len(book.look(now=NOW + timedelta(days=3)).rows) == 1


def test_filters_narrow_the_queue_and_counts_do_not_move(book: Book) -> None:
    book.account("Northwind", 5, **SPIKE)
    book.account("Kestrel", 5, waiting_days=20)
    book.account("Halcyon", 5, run_out_p50=40, run_out_percent=90, commit_granted=100, commit_left=10)
    assert book.names(words="nORTH") == ["Northwind"]
    assert book.names(reason="stalled") == ["Kestrel"]
    assert book.names(view="run_outs", needs="all") == ["Halcyon"]
    assert book.names(view="onboarding", needs="all") == ["Kestrel"]
    assert book.names(sort="name") == ["Halcyon", "Kestrel", "Northwind"]
    assert book.look(words="nobody").counts == {"mine": 3, "run_outs": 1, "onboarding": 1, "review": 0}
    assert book.names(health="none") == book.names()


def test_an_allowance_that_refills_is_no_run_out_and_no_missing_commit(book: Book) -> None:
    book.account("Cobalt", 5, run_out_p50=1, open_spikes=1)
    book.account("Paid by use", 4, open_spikes=1)
    shown = {row.account.name: row.run_out for row in book.look().rows}
    assert [(one.main, one.note) for one in shown.values() if one] == [("Allowance", "to Nov 24"), ("No commit", "")]
    assert book.names(view="run_outs", needs="all") == []


def test_a_running_play_s_reason_is_told_first_and_a_review_last(book: Book) -> None:
    account = book.account("Northwind", 5, change_28=-38, pacing=0.6)
    ensure_plays(book.organization.pk)
    _, [run] = acting.start_plays(book.viewer, [account.pk], Play.objects.get(key="underburn").pk, NOW)
    [row] = book.look().rows
    assert row.run is not None
    assert row.run.id == run.pk
    assert row.sentence == "Drawing at 60% of plan; use down 38% in 28 days."


def test_a_snooze_ends_with_its_time_or_its_reason(book: Book) -> None:
    account = book.account("Northwind", 5, **FALLING)
    until = NOW + timedelta(days=3)
    acting.snooze(book.viewer, {account.pk: "falling"}, until, NOW)
    found = book.look()
    assert (found.rows, found.snoozed) == ([], 1)
    assert len(book.look(now=until).rows) == 1
    AccountMetrics.objects.update(numbers={"at_risk": "5", "open_spikes": "1"})
    assert len(book.look().rows) == 1


def test_a_snooze_is_one_s_own(book: Book) -> None:
    account = book.account("Northwind", 5, **SPIKE)
    acting.snooze(book.viewer, {account.pk: "spike"}, NOW + timedelta(days=3), NOW)
    other = book.viewer_of(factories.make_member(book.organization, Role.LEADER))
    with act_as(other):
        assert len(queue(other, NOW, Filters(owner="all")).rows) == 1


def test_the_order_for_next_and_previous_is_the_queue_s(book: Book) -> None:
    calm, small, large = book.account("A", 1), book.account("B", 5, **SPIKE), book.account("C", 9, **SPIKE)
    assert order_of(book.viewer, NOW) == [large.pk, small.pk, calm.pk]


def test_the_book_asks_as_much_of_many_accounts_as_of_few(book: Book) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            book.look()
        return len(queries)

    for number in range(3):
        book.account(f"Northwind {number}", 5, **SPIKE)
    few = asked()
    for number in range(3, 30):
        book.account(f"Northwind {number}", 5, **SPIKE)
    assert (asked(), few <= 25) == (few, True)
    assert len(book.look().rows) == 25
    assert len(book.look(page=2).rows) == 5
    assert book.look(page=9).filters.page == 2


def post(client: Client, url: str, accounts: list[Account] = [], /, **fields: Any) -> str:  # noqa: B006
    data = {"account": [str(one.pk) for one in accounts]} | fields
    answer = client.post(reverse(f"reviews:{url}"), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_several_are_snoozed_and_come_back_by_undo(book: Book) -> None:
    two = [book.account("Northwind", 5, **SPIKE), book.account("Kestrel", 5, **SPIKE)]
    client = book.client()
    page = post(client, "book_several", two, do="snooze", days="7", **{f"reason-{one.pk}": "spike" for one in two})
    assert "2 accounts snoozed for a week" in page
    enter(book.viewer)
    assert QueueSnooze.objects.count() == 2
    assert "2 accounts back in the queue" in post(client, "book_undo")
    enter(book.viewer)
    assert QueueSnooze.objects.count() == 0


def test_several_get_a_task_which_undo_drops(book: Book) -> None:
    two = [book.account("Northwind"), book.account("Kestrel")]
    client = book.client()
    page = post(client, "book_several", two, do="task", title="Ask about March", due_on="2026-12-01")
    assert "2 tasks added" in page
    enter(book.viewer)
    assert {task.assigned_to_id for task in Task.objects.all()} == {book.seat.user_id}
    post(client, "book_undo")
    enter(book.viewer)
    assert not Task.objects.filter(dropped_at=None).exists()
    far = post(client, "book_several", two, do="task", title="Ask", due_on="1900-01-01")
    assert "Choose a day between 2000 and 2099." in far
    assert "Say in up to 200 characters" in post(client, "book_several", two, do="task", title=" ")


def test_several_are_given_away_and_taken_back(book: Book) -> None:
    leader = factories.make_member(book.organization, Role.LEADER)
    enter(book.viewer)
    account = book.account("Northwind")
    client = factories.signed_in(leader)
    post(client, "book_several", [account], do="assign", person=str(leader.user_id))
    enter(book.viewer)
    assert Account.objects.get().csm_id == leader.user_id
    post(client, "book_undo")
    enter(book.viewer)
    assert Account.objects.get().csm_id == book.seat.user_id
    stranger = factories.make_member(factories.make_account(book.organization, "Rival")).user
    assert "Choose a member of the team" in post(
        client, "book_several", [account], do="assign", person=str(stranger.pk)
    )


def test_a_play_begins_on_several_once_and_undo_stops_it(book: Book) -> None:
    two = [book.account("Northwind"), book.account("Kestrel")]
    ensure_plays(book.organization.pk)
    play = Play.objects.get(key="underburn")
    client = book.client()
    page = post(client, "book_several", two, do="play", play=str(play.pk))
    assert "has begun on 2 accounts" in page
    assert "runs on all of them already" in post(client, "book_several", two, do="play", play=str(play.pk))
    post(client, "book_undo")
    enter(book.viewer)
    assert PlayRun.objects.filter(ended_at=None).count() == 0
    narrow = Play.objects.get(key="reliability")  # is about one workflow, which several accounts do not share
    assert "Choose a play." in post(client, "book_several", two, do="play", play=str(narrow.pk))


def test_a_step_is_ticked_off_in_its_row_and_opened_again(book: Book) -> None:
    account = book.account("Northwind")
    task = Task.objects.create(
        organization=book.organization, account=account, title="Call Ada", due_on=NOW.date(),
        assigned_to=book.seat.user,
    )  # fmt: skip
    client = book.client()
    assert "“Call Ada” is done for Northwind." in post(client, "book_done", task=str(task.pk)).replace("&quot;", '"')
    enter(book.viewer)
    task.refresh_from_db()
    assert task.done_at is not None
    post(client, "book_undo")
    enter(book.viewer)
    task.refresh_from_db()
    assert task.done_at is None


def test_one_row_is_snoozed_until_tomorrow(book: Book) -> None:
    account = book.account("Northwind", 5, **SPIKE)
    post(book.client(), "book_snooze", one=str(account.pk), days="30", **{f"reason-{account.pk}": "spike"})
    enter(book.viewer)
    [snooze] = QueueSnooze.objects.all()
    assert timedelta() < snooze.until - timezone.now() <= timedelta(days=1)
    assert "1 account back" in post(book.client(), "book_wake")


def test_what_asks_for_a_part_gets_the_book_without_its_frame(book: Book) -> None:
    account = book.account("Northwind", 5, **SPIKE)
    data = {"one": str(account.pk), "back": "needs=all", f"reason-{account.pk}": "spike"}
    answer = book.client().post(reverse("reviews:book_snooze"), data, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in page
    assert 'id="book"' in page
    assert "1 account snoozed until tomorrow" in page
    restored = book.client().get("/book/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in restored.content.decode()


def test_filters_are_kept_under_a_name_renamed_and_forgotten(book: Book) -> None:
    client = book.client()
    page = post(client, "book_save_view", name="Renewals", query="reason=renewal&needs=all")
    assert "“Renewals” is saved." in page
    post(client, "book_save_view", name="Other", query="needs=all")
    enter(book.viewer)
    view = SavedView.objects.get(name="Renewals")
    url = reverse("reviews:book_change_view", args=[view.pk])
    assert "already" in client.post(url, {"name": "Other"}, follow=True).content.decode()
    client.post(url, {"name": "Renewals ahead"})
    enter(book.viewer)
    view.refresh_from_db()
    assert (view.name, view.query) == ("Renewals ahead", "reason=renewal&needs=all")
    client.post(url, {"do": "delete"})
    enter(book.viewer)
    assert [one.name for one in SavedView.objects.all()] == ["Other"]


def test_views_of_others_are_not_touched(book: Book) -> None:
    other = factories.make_member(book.organization, Role.CSM)
    enter(book.viewer)
    view = SavedView.objects.create(organization=book.organization, user=other.user, name="Theirs", query="")
    client = book.client()
    assert "Theirs" not in client.get("/book/").content.decode()
    for fields in ({"name": "Mine"}, {"do": "delete"}):
        assert client.post(reverse("reviews:book_change_view", args=[view.pk]), fields).status_code == 404
    enter(book.viewer)
    assert SavedView.objects.get().name == "Theirs"


def test_the_file_has_all_pages_and_the_selection_only_itself(book: Book) -> None:
    made = [book.account(f"Northwind {number}", number, **SPIKE) for number in range(30)]
    client = book.client()
    lines = client.get("/book/book.csv").content.decode().splitlines()
    assert len(lines) == 31
    assert lines[0].startswith("account,name,csm,group,act_on,reason,at_risk,currency")
    answer = client.post(reverse("reviews:book_selected"), {"account": [str(made[3].pk)]})
    assert [line.split(",")[1] for line in answer.content.decode().splitlines()[1:]] == ["Northwind 3"]


def test_who_may_only_read_sees_no_buttons_and_is_refused(book: Book) -> None:
    account = book.account("Northwind", 5, **SPIKE)
    client = factories.signed_in(factories.make_member(book.organization, Role.ANALYST))
    page = client.get("/book/?owner=all").content.decode()
    assert "Northwind" in page
    assert "data-select-all" not in page
    assert (
        client.post(reverse("reviews:book_several"), {"do": "snooze", "account": str(account.pk)}).status_code == 403
    )


@pytest.mark.parametrize(
    "query",
    ["owner=nobody", "page=0", "page=x", "needs=%00", "view=none", "sort=drop", "health=odd", "q=%00", "tier=7"],
)
def test_what_a_query_cannot_mean_is_left_at_its_default(book: Book, query: str) -> None:
    book.account("Northwind", 5, **SPIKE)
    assert book.client().get(f"/book/?{query}").status_code == 200


def test_an_empty_book_says_what_to_do(book: Book) -> None:
    client = book.client()
    assert "No account is yours yet" in client.get("/book/").content.decode()
    assert "No accounts yet" in client.get("/book/?owner=all").content.decode()
    book.account("Calm")
    assert "Nothing is due" in client.get("/book/").content.decode()
    assert "No account fits" in client.get("/book/?q=zebra").content.decode()


def test_the_last_touch_is_told(book: Book) -> None:
    account = book.account("Northwind", 5, **SPIKE)
    TimelineEntry.objects.create(
        organization=book.organization, account=account, kind="call", at=NOW - timedelta(days=16), text="Hello",
        by=book.seat.user,
    )  # fmt: skip
    TimelineEntry.objects.create(
        organization=book.organization, account=account, kind="note", at=NOW - timedelta(days=1), text="A note",
    )  # fmt: skip
    [row] = book.look().rows
    assert row.touch is not None
    assert row.touch.kind == "call"
