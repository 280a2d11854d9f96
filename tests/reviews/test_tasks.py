"""Tasks: whose they are and by when; the customer sees and ticks off those that are shared, and no other."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.models import Account, AuditEvent, Membership, Role
from budgets.models import Delivery, Destination
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.covers import add_cover, end_cover
from reviews.actions.tasks import Wanted, drop_task, edit_task, finish_task, people_for, reopen_task
from reviews.models import Cover, PlayEvent, PlayRun, PlayVersion, Task
from reviews.reports.tasks import TaskFilters, account_tasks, due_words, group_of, my_tasks, open_tasks
from tests.factories import NOW, make_account, make_member, make_workflow, signed_in, staff_of
from tests.reviews.people_factories import make_task
from tests.world_plays import make_run

pytestmark = pytest.mark.django_db
TODAY = date(2026, 6, 15)


def _viewer(member: Membership) -> Viewer:
    return Viewer(member.organization_id, member.account_id, member.role, member.user_id)


@pytest.mark.parametrize(
    ("due_on", "group", "words"),
    [
        (date(2026, 6, 13), "late", "2 days late"),
        (date(2026, 6, 14), "late", "1 day late"),
        (TODAY, "today", "today"),
        (date(2026, 6, 16), "week", "tomorrow"),
        (date(2026, 6, 21), "week", "Sun, Jun 21"),
        (date(2026, 6, 22), "later", "Mon, Jun 22"),
        (date(2027, 1, 4), "later", "Mon, Jan 4, 2027"),
        (None, "none", "no day set"),
    ],
)
def test_a_task_is_late_today_this_week_or_later(due_on: date | None, group: str, words: str) -> None:
    task = Task(due_on=due_on)
    assert group_of(task, TODAY) == group
    assert due_words(task, group, TODAY) == words


def test_a_task_is_done_once_and_opened_again() -> None:
    account = make_account()
    task = make_task(account)
    finish_task(staff_of(account), task, NOW)
    finish_task(staff_of(account), task, NOW + timedelta(days=1))
    task.refresh_from_db()
    assert task.done_at == NOW
    assert open_tasks(staff_of(account), account) == []
    reopen_task(staff_of(account), task, NOW)
    assert [one.title for one in open_tasks(staff_of(account), account)] == ["Send options"]


def test_a_dropped_task_is_not_done_but_can_be_opened_again() -> None:
    account = make_account()
    task = make_task(account)
    drop_task(staff_of(account), task, NOW)
    with pytest.raises(ValidationError, match="no longer needed"):
        finish_task(staff_of(account), task, NOW)
    reopen_task(staff_of(account), task, NOW)
    assert len(open_tasks(staff_of(account), account)) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": "  "}, "cannot be blank"),
        ({"title": "x" * 201}, "at most 200"),
        ({"due_on": date(1999, 1, 1)}, "between 2000 and 2099"),
        ({"assigned_to": uuid4()}, "Choose somebody"),
        ({"detail": "x" * 5001}, "5,000"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        make_task(make_account(), **fields)


def test_a_task_goes_to_the_customer_only_if_they_see_it() -> None:
    account = make_account()
    dana = make_member(account, Role.PORTAL_ENGINEER)
    assert (dana.user_id, str(dana.user), True) in people_for(staff_of(account), account)
    with pytest.raises(ValidationError, match="Share the task first"):
        make_task(account, assigned_to=dana.user)
    task = make_task(account, assigned_to=dana.user, is_shared=True)
    with pytest.raises(ValidationError, match="Share the task first"):
        edit_task(staff_of(account), task, Wanted("Send options", None, dana.user_id))


def test_a_customer_sees_and_ticks_off_what_is_shared_alone() -> None:
    account = make_account()
    dana = make_member(account, Role.PORTAL_ENGINEER)
    shared, own = make_task(account, "Approve the quota", is_shared=True), make_task(account, "Ask who decides")
    viewer = _viewer(dana)
    enter(viewer)
    assert [one.title for one in open_tasks(viewer, account)] == ["Approve the quota"]
    assert not Task.objects.filter(pk=own.pk).exists()
    with pytest.raises(PermissionDenied):
        finish_task(viewer, own, NOW)
    finish_task(viewer, shared, NOW)
    assert Task.objects.get(pk=shared.pk).done_by_id == dana.user_id
    assert not PlayRun.objects.exists()  # and sees no more of the vendor's than before


def test_a_viewer_of_the_customer_ticks_nothing_off() -> None:
    account = make_account()
    task = make_task(account, is_shared=True)
    with pytest.raises(PermissionDenied):
        finish_task(_viewer(make_member(account, Role.PORTAL_VIEWER)), task, NOW)


def test_the_portal_page_lists_shared_tasks_and_takes_their_tick() -> None:
    account = make_account()
    task, _ = make_task(account, "Approve the quota", is_shared=True), make_task(account, "Ask who decides")
    client = signed_in(make_member(account, Role.PORTAL_OWNER))
    page = client.get(f"/accounts/{account.pk}/tasks/").content.decode()
    assert "Approve the quota" in page
    assert "Ask who decides" not in page
    assert "Add a task" not in page
    ticked = client.post(f"/accounts/{account.pk}/tasks/{task.pk}/done/", headers={"HX-Request": "true"})
    assert 'aria-checked="true"' in ticked.content.decode()
    assert client.post(f"/accounts/{account.pk}/tasks/", {"title": "Mine"}).status_code == 403
    enter(staff_of(account))
    assert Task.objects.get(pk=task.pk).done_at is not None


def _step(account: Account, **fields: object) -> Task:
    csm = make_member(account.organization, Role.CSM).user
    run = make_run(account, make_workflow(account), csm, "Reliability", NOW)
    Task.objects.filter(run=run).update(**fields)
    return Task.objects.select_related("account").get(run=run)


def test_a_step_that_the_customer_ticks_off_moves_its_play_on() -> None:
    account = make_account()
    step = _step(account, is_shared=True)
    viewer = _viewer(make_member(account, Role.PORTAL_OWNER))
    enter(viewer)
    finish_task(viewer, step, NOW)
    assert Task.objects.get(pk=step.pk).done_at == NOW
    enter(staff_of(account))
    assert PlayEvent.objects.filter(run=step.run, kind="step_done").exists()


def test_a_step_of_a_play_is_not_dropped_and_keeps_its_title() -> None:
    account = make_account()
    step = _step(account)
    with pytest.raises(ValidationError, match="stop the play"):
        drop_task(staff_of(account), step, NOW)
    edit_task(staff_of(account), step, Wanted("Another title", TODAY, is_shared=True))
    step.refresh_from_db()
    assert (step.title, step.is_shared, step.due_on) == ("Reliability step", False, TODAY)
    assert PlayVersion.objects.exists()


def test_a_step_of_a_play_that_ended_is_not_opened_again() -> None:
    account = make_account()
    step = _step(account, dropped_at=NOW)
    with pytest.raises(ValidationError, match="Its play has ended"):
        reopen_task(staff_of(account), step, NOW)


def test_acts_on_shared_tasks_alone_are_in_the_customers_audit_log() -> None:
    account = make_account()
    shared, own = make_task(account, "Approve the quota", is_shared=True), make_task(account, "Ask who decides")
    finish_task(staff_of(account), shared, NOW)
    finish_task(staff_of(account), own, NOW)
    names = {row.target_name for row in AuditEvent.objects.filter(account=account)}
    assert names == {"Approve the quota"}
    assert "Ask who decides" not in str(list(AuditEvent.objects.filter(account=account).values()))


def test_unsharing_a_task_tells_the_customers_log_nothing_new() -> None:
    account = make_account()
    task = make_task(account, "Approve the quota", is_shared=True)
    edit_task(staff_of(account), task, Wanted("They will churn"))
    assert "churn" not in str(list(AuditEvent.objects.filter(account=account).values()))


def test_new_and_done_tasks_are_told_to_the_vendors_destinations_once() -> None:
    account = make_account()
    for by_customer in (False, True):
        Destination.objects.create(
            organization=account.organization, account=account if by_customer else None, name="hook", kind="webhook",
            address=b"", shown="hook.example", by_customer=by_customer,
        )  # fmt: skip
    task = make_task(account)
    finish_task(staff_of(account), task, NOW)
    finish_task(staff_of(account), task, NOW)
    rows = Delivery.objects.order_by("pk")
    assert [(row.topic, row.destination.by_customer, row.is_internal) for row in rows] == [
        ("task.created", False, True),
        ("task.done", False, True),
    ]
    assert rows[1].payload["data"]["title"] == "Send options"
    assert rows[1].payload["data"]["done_at"] == NOW.isoformat()


def test_my_tasks_are_my_own_those_of_nobody_at_my_accounts_and_those_i_cover() -> None:
    account = make_account()
    me, away, other = (make_member(account.organization, Role.CSM) for _ in range(3))
    account.csm = me.user
    account.save()
    make_task(account, "Mine", assigned_to=me.user, due_on=NOW.date())
    make_task(account, "Nobody's", due_on=NOW.date() - timedelta(days=1))
    make_task(account, "Covered", assigned_to=away.user)
    make_task(account, "Another's", assigned_to=other.user)
    admin = staff_of(account)
    cover = add_cover(admin, away.user_id, me.user_id, NOW.date(), NOW.date() + timedelta(days=2))
    groups = my_tasks(_viewer(me), TaskFilters(), NOW)
    assert [(name, [one.task.title for one in rows]) for name, _, rows in groups] == [
        ("late", ["Nobody's"]),
        ("today", ["Mine"]),
        ("none", ["Covered"]),
    ]
    Cover.objects.filter(pk=cover.pk).update(starts_on=NOW.date() - timedelta(days=1))
    cover.refresh_from_db()
    end_cover(admin, cover, NOW.date())
    titles = [one.task.title for _, _, rows in my_tasks(_viewer(me), TaskFilters(), NOW) for one in rows]
    assert titles == ["Nobody's", "Mine"]


def test_the_list_of_all_tasks_filters_by_person_words_and_sharing() -> None:
    account = make_account()
    me, other = make_member(account.organization, Role.CSM), make_member(account.organization, Role.CSM)
    make_task(account, "Send options", assigned_to=other.user)
    make_task(account, "Approve quota", is_shared=True)
    client = signed_in(me)

    def shown(query: str) -> set[str]:
        page = client.get(f"/tasks/?{query}").content.decode()
        return {title for title in ("Send options", "Approve quota") if title in page}

    assert shown("") == set()
    assert shown("who=all") == {"Send options", "Approve quota"}
    assert shown(f"who={other.user_id}") == {"Send options"}
    assert shown("who=all&shared=1") == {"Approve quota"}
    assert shown("who=all&q=OPTIONS") == {"Send options"}
    assert shown("who=all&state=done") == set()
    assert shown("who=nonsense&q=%00") == set()


def test_done_tasks_stay_below_for_two_weeks() -> None:
    account = make_account()
    for days in (1, 20):
        finish_task(staff_of(account), make_task(account, f"{days} days ago"), NOW - timedelta(days=days))
    assert [one.task.title for one in account_tasks(staff_of(account), account, NOW)] == ["1 days ago"]


def test_a_person_has_one_cover_at_a_time() -> None:
    account = make_account()
    away, one, two = (make_member(account.organization, Role.CSM).user_id for _ in range(3))
    viewer, first, last = staff_of(account), date(2026, 7, 1), date(2026, 7, 10)
    add_cover(viewer, away, one, first, last)
    for absent, covers, words in ((away, two, "already"), (two, away, "is away"), (one, one, "somebody else")):
        with pytest.raises(ValidationError, match=words):
            add_cover(viewer, absent, covers, first, last)
    colleague = Viewer(account.organization_id, None, Role.CSM, one)
    with pytest.raises(PermissionDenied):
        add_cover(colleague, two, one, first, last)
