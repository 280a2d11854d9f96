"""Plays begin and end by what is measured, each once at a time, and are answered in time or late."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, Role
from budgets.models import Delivery, Destination
from consumption_cs.lib.tenancy import Viewer, act_as, enter
from reviews.actions import plays
from reviews.actions.play_catalog import PlayText, add_play, change_play, ensure_plays, set_active
from reviews.calc.default_plays import DEFAULT_PLAYS
from reviews.models import AccountMetrics, Cover, Play, PlayEvent, PlayRun, PlayVersion, Task
from reviews.reports.plays import open_runs, play_outcomes
from tests import factories
from tests.reviews.play_factories import NOW, TODAY, make_book, measure, measure_days, play_of, running
from tests.threads import in_threads

pytestmark = pytest.mark.django_db
TOMORROW = NOW + timedelta(days=1)
STEP = {"title": "Call", "detail": "", "within_days": 1, "asks_customer": False}

# Figures in which a play begins, and in which it has reached its exit. Reliability is by workflow: its own test.
BEGIN_AND_END: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stalled_onboarding": ({"waiting_days": 14}, {"first_value_days": 15}),
    "overburn": ({"pacing": 1.31, "run_out_percent": 64}, {"pacing": 1.1, "run_out_percent": 64}),
    "underburn": ({"pacing": 0.6, "term_elapsed_percent": 40}, {"pacing": 0.9, "term_elapsed_percent": 41}),
    "spike": ({"open_spikes": 1}, {"open_spikes": 0}),
    "exhausted_commit": ({"commit_left": 0}, {"commit_left": 5000}),
    "run_out_soon": ({"run_out_p50": 80, "commit_left": 900, "run_out_percent": 90}, {"run_out_p50": 200}),
    "renewal": ({"term_days_left": 180}, {"term_days_left": 545, "run_out_percent": 10}),
    "single_workflow_risk": ({"top_share_percent": 82}, {"top_share_percent": 55}),
    "champion_lost": ({"champion_gone": 1}, {"champion_gone": 0, "owner_seen_days": 2}),
}


def check(account: Account, now: Any = NOW) -> list[PlayRun]:
    return plays.check(account.organization_id, now)


def begun(key: str = "overburn", **figures: Any) -> tuple[Account, PlayRun]:
    (account,) = make_book()
    measure(account, **(figures or BEGIN_AND_END[key][0]))
    (run,) = [one for one in check(account) if one.play.key == key]
    return account, run


@pytest.mark.parametrize("key", BEGIN_AND_END)
def test_each_play_begins_and_ends_on_its_figures(key: str) -> None:
    (account,) = make_book()
    before, after = BEGIN_AND_END[key]
    measure_days(account, range(1, 61), **before)
    check(account)
    (run,) = running(account.organization_id, key)
    assert run.evidence["because"]
    assert [task.title for task in run.tasks.order_by("step")] == [step["title"] for step in run.version.steps]
    measure_days(account, range(1, 15), **after)
    check(account, TOMORROW)
    run.refresh_from_db()
    assert (run.outcome, run.ended_at) == (PlayRun.Outcome.EXIT_MET, TOMORROW)
    assert not Task.objects.filter(run=run, dropped_at=None).exists()


@pytest.mark.parametrize("key", [*BEGIN_AND_END, "reliability"])
def test_nothing_begins_where_nothing_is_known(key: str) -> None:
    (account,) = make_book()
    assert check(account) == []
    measure(account)
    assert check(account) == []


def test_reliability_begins_for_the_workflow_that_fails_and_ends_when_it_is_well() -> None:
    (account,) = make_book()
    meter = factories.make_meter(account.organization)
    enter(factories.staff_of(account.organization))
    good, bad = (factories.make_workflow(account, name) for name in ("Good", "Bad"))

    def use(ago: int, failing: bool) -> None:
        for flow in (good, bad):
            wins = 70 if failing and flow is bad else 100
            factories.make_usage_day(
                account, meter, TODAY - timedelta(days=ago), flow, events=100, finished=100, successes=wins, spend=1
            )

    for ago in range(4, 30):
        use(ago, failing=False)
    for ago in range(1, 4):
        use(ago, failing=True)
    measure(account, failing_days=3)
    (run,) = check(account)
    assert (run.play.key, run.workflow) == ("reliability", bad)
    assert run.owner_id == account.field_cto_id
    assert check(account) == []
    measure(account, 0, failing_days=0)
    factories.make_usage_day(account, meter, TODAY, bad, events=100, finished=100, successes=100, spend=1)
    check(account, TOMORROW)
    run.refresh_from_db()
    assert run.outcome == PlayRun.Outcome.EXIT_MET


def test_a_row_of_days_must_be_whole_but_survives_a_night_without_a_look() -> None:
    (account,) = make_book()
    figures = {"pacing": 0.6, "term_elapsed_percent": 40}
    measure_days(account, range(1, 14), **figures)
    assert check(account) == []  # 13 days
    measure(account, 14, **figures)
    measure(account, 15, **figures)
    measure(account, 7, pacing=0.9, term_elapsed_percent=40)
    assert check(account) == []
    measure(account, 7, **figures)
    AccountMetrics.objects.filter(day=TODAY - timedelta(days=5)).delete()
    assert [run.play.key for run in check(account)] == ["underburn"]


def test_old_figures_neither_begin_nor_end_anything() -> None:
    (account,) = make_book()
    measure(account, 4, **BEGIN_AND_END["overburn"][0])
    assert check(account) == []


def test_why_it_began_is_kept_in_words_with_what_is_at_risk_and_whose_it_is() -> None:
    account, run = begun("overburn", pacing=1.31, run_out_percent=64, at_risk=17000)
    assert run.evidence["because"] == ["Pacing is 1.31, above 1.25", "Chance to run out in the term is 64%, above 50%"]
    assert run.evidence["numbers"] == {"pacing": "1.31", "run_out_percent": "64"}
    assert (run.owner_id, run.at_risk, run.due_at) == (account.csm_id, 17000, NOW + timedelta(hours=72))
    first, *_ = run.tasks.order_by("step")
    assert (first.due_on, first.assigned_to_id) == (TODAY + timedelta(days=3), account.csm_id)


def test_money_moved_is_what_is_less_at_risk_at_the_end() -> None:
    account, run = begun("overburn", pacing=1.31, run_out_percent=64, at_risk=17000)
    measure(account, 0, pacing=1.0, at_risk=4000)
    check(account, TOMORROW)
    run.refresh_from_db()
    assert run.moved == 13000
    (found,) = [one for one in play_outcomes(account.organization_id, NOW, TOMORROW) if one.play.key == "overburn"]
    assert (found.ended, found.saved, found.rate, found.moved, found.days) == (1, 1, 1.0, {"USD": 13000}, 1.0)
    assert found.interval is not None
    assert 0.2 < found.interval[0] < 0.21


def test_money_that_is_not_known_does_not_count_as_moved() -> None:
    account, run = begun("overburn")
    measure(account, 0, pacing=1.0, at_risk=4000)
    check(account, TOMORROW)
    run.refresh_from_db()
    assert run.moved is None


def test_a_check_again_changes_nothing() -> None:
    account, _ = begun()
    before = PlayEvent.objects.count(), Task.objects.count(), Delivery.objects.count()
    assert check(account) == []
    assert (PlayEvent.objects.count(), Task.objects.count(), Delivery.objects.count()) == before


def test_what_ended_does_not_begin_again_on_the_same_day_but_on_the_next() -> None:
    account, _ = begun()
    measure(account, **BEGIN_AND_END["overburn"][1])
    check(account, NOW + timedelta(hours=1))
    assert running(account.organization_id) == []
    measure(account, **BEGIN_AND_END["overburn"][0])
    assert check(account, NOW + timedelta(hours=2)) == []
    assert [run.play.key for run in check(account, TOMORROW)] == ["overburn"]


def test_what_a_person_stopped_stays_stopped_for_30_days() -> None:
    account, run = begun()
    plays.stop_run(factories.staff_of(account), run, "They know; growth is wanted", NOW)
    assert check(account, TOMORROW) == []
    measure(account, -31, **BEGIN_AND_END["overburn"][0])
    assert len(check(account, NOW + timedelta(days=32))) == 1


def test_between_the_thresholds_a_play_goes_on_and_none_begins() -> None:
    account, run = begun()
    measure(account, pacing=1.2, run_out_percent=64)
    check(account, TOMORROW)
    run.refresh_from_db()
    assert run.ended_at is None
    other = factories.make_account(account.organization, "Other")
    enter(factories.staff_of(account))
    measure(other, pacing=1.2, run_out_percent=64)
    assert check(other, TOMORROW) == []


def test_a_late_first_step_is_logged_and_told_once() -> None:
    account, run = begun()
    after = NOW + timedelta(hours=73)
    measure(account, -2, **BEGIN_AND_END["overburn"][0])
    check(account, after)
    check(account, after + timedelta(hours=1))
    assert PlayEvent.objects.filter(run=run, kind=PlayEvent.Kind.LATE).count() == 1
    assert Delivery.objects.filter(topic="play.late", membership__user=account.csm).count() == 1
    (shown,) = open_runs(factories.staff_of(account), [account.pk], after)[account.pk]
    assert shown.is_late


def test_a_step_done_in_time_is_not_late() -> None:
    account, run = begun()
    plays.finish_step(factories.staff_of(account), run.tasks.get(step=0), NOW + timedelta(hours=1))
    check(account, NOW + timedelta(hours=73))
    assert not PlayEvent.objects.filter(run=run, kind=PlayEvent.Kind.LATE).exists()
    (shown,) = open_runs(factories.staff_of(account), [account.pk], NOW + timedelta(hours=73))[account.pk]
    assert (shown.step, shown.steps, shown.next_step, shown.is_late) == (1, 3, "Show the three ways", False)


def test_a_run_keeps_the_version_it_began_with() -> None:
    account, run = begun()
    viewer = factories.staff_of(account)
    play = play_of(account, "overburn")
    entry, leave = {"metric": "pacing", "op": ">", "value": 1.1}, {"metric": "pacing", "op": "<", "value": 1.35}
    new = PlayText("Sooner", entry, leave, steps=[STEP])
    assert change_play(viewer, play, new).number == 2
    assert change_play(viewer, play, new).number == 2  # the same text again
    check(account, TOMORROW)
    run.refresh_from_db()
    assert (run.version.number, run.ended_at) == (1, None)


def test_a_version_cannot_be_changed_by_anybody() -> None:
    account, run = begun()
    with pytest.raises(Exception, match="permission denied"), transaction.atomic():
        PlayVersion.objects.filter(pk=run.version_id).update(summary="Another")
    assert account


def test_a_play_that_is_off_does_not_begin_and_what_runs_goes_on_to_its_exit() -> None:
    account, run = begun()
    other = factories.make_account(account.organization, "Other")
    enter(factories.staff_of(account))
    set_active(factories.staff_of(account), run.play, False)
    measure(other, **BEGIN_AND_END["overburn"][0])
    assert check(other) == []
    measure(account, **BEGIN_AND_END["overburn"][1])
    check(account, TOMORROW)
    run.refresh_from_db()
    assert run.ended_at == TOMORROW


def test_every_organization_has_the_ten_plays_once() -> None:
    (account,) = make_book()
    for _ in range(2):
        ensure_plays(account.organization_id)
    assert Play.objects.count() == PlayVersion.objects.count() == len(DEFAULT_PLAYS) == 10


def test_a_play_of_ones_own_begins_by_its_condition() -> None:
    (account,) = make_book()
    entry, leave = ({"metric": "waste_percent", "op": op, "value": value} for op, value in ((">", 15), ("<", 5)))
    text = PlayText(entry=entry, exit=leave, owner="finance", steps=[STEP])
    play = add_play(factories.staff_of(account), "Too much waste", text)
    measure(account, waste_percent=22)
    (run,) = check(account)
    assert (run.play, run.play.key) == (play, "too_much_waste")
    assert run.owner_id not in (None, account.csm_id, account.field_cto_id)


@pytest.mark.parametrize(
    "text",
    [
        PlayText(entry={"metric": "luck", "op": ">", "value": 1}, exit={"metric": "pacing", "op": "<", "value": 1}),
        PlayText(entry={"metric": "pacing", "op": ">", "value": 1}, steps=[{"title": "x", "within_days": 1}]),
        PlayText(),
    ],
)
def test_what_cannot_be_read_never_ends_or_has_no_step_is_refused(text: PlayText) -> None:
    (account,) = make_book()
    with pytest.raises(ValidationError):
        add_play(factories.staff_of(account), "Odd", text)


def test_only_who_may_manage_plays_changes_them() -> None:
    (account,) = make_book()
    with pytest.raises(PermissionDenied):
        add_play(factories.staff_of(account, Role.CSM), "Mine", PlayText())


def test_who_covers_for_the_owner_gets_the_play() -> None:
    (account,) = make_book()
    colleague = factories.make_member(account.organization, Role.CSM).user
    enter(factories.staff_of(account))
    assert account.csm is not None
    Cover.objects.create(
        organization=account.organization, absent=account.csm, covered_by=colleague, starts_on=TODAY,
        ends_on=TODAY + timedelta(days=5),
    )  # fmt: skip
    measure(account, **BEGIN_AND_END["overburn"][0])
    (run,) = check(account)
    assert run.owner_id == colleague.pk
    assert Delivery.objects.get(topic="play.started").email == colleague.email


def test_an_owner_gets_one_mail_for_all_that_begins_at_once() -> None:
    book = make_book(3)
    for account in book:
        measure(account, **BEGIN_AND_END["overburn"][0])
    assert len(check(book[0])) == 3
    mail = Delivery.objects.get(topic="play.started")
    assert mail.payload["subject"] == "3 plays have begun"
    assert mail.is_internal


def test_destinations_of_the_vendor_hear_once_and_those_of_customers_never() -> None:
    (account,) = make_book()
    own: dict[str, Any] = {"organization": account.organization, "address": b"x", "shown": "x"}
    hook = Destination.objects.create(**own, kind="webhook", name="All")
    Destination.objects.create(**own, kind="slack", name="Alerts only")
    slack = Destination.objects.create(**own, kind="slack", name="Plays", topics=["play.ended"])
    Destination.objects.create(**own, account=account, kind="webhook", name="Theirs", by_customer=True)
    measure(account, at_risk=500, **BEGIN_AND_END["overburn"][0])
    (run,) = check(account)
    plays.finish_step(factories.staff_of(account), run.tasks.get(step=0), NOW)
    measure(account, 0, **BEGIN_AND_END["overburn"][1])
    check(account, TOMORROW)
    rows = Delivery.objects.exclude(destination=None)
    heard = [("play.started", hook.pk), ("play.step_done", hook.pk), ("play.ended", hook.pk), ("play.ended", slack.pk)]
    assert sorted(rows.values_list("topic", "destination")) == sorted(heard)
    body = rows.get(topic="play.started").payload
    assert body["type"] == "play.started"
    assert body["data"]["account"]["key"] == account.key
    assert body["data"]["because"][0] == "Pacing is 1.31, above 1.25"


def test_a_play_is_started_by_hand_once() -> None:
    (account,) = make_book()
    ensure_plays(account.organization_id)
    viewer = factories.staff_of(account, Role.CSM)
    run = plays.start_play(viewer, account, play_of(account, "underburn"), NOW)
    assert run.tasks.count() == 3
    with pytest.raises(ValidationError, match="running already"):
        plays.start_play(viewer, account, play_of(account, "underburn"), NOW)
    with pytest.raises(ValidationError, match="one workflow"):
        plays.start_play(viewer, account, play_of(account, "reliability"), NOW)


def test_a_play_started_where_its_exit_holds_ends_with_its_last_step() -> None:
    (account,) = make_book()
    measure(account, pacing=1.0)
    ensure_plays(account.organization_id)
    viewer = factories.staff_of(account)
    run = plays.start_play(viewer, account, play_of(account, "underburn"), NOW)
    check(account, NOW + timedelta(hours=1))
    run.refresh_from_db()
    assert run.ended_at is None
    for task in run.tasks.order_by("step"):
        plays.finish_step(viewer, task, NOW + timedelta(hours=2))
    run.refresh_from_db()
    assert run.outcome == PlayRun.Outcome.EXIT_MET


def test_the_constraint_refuses_a_second_run_whoever_writes_it() -> None:
    _, run = begun()
    run.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        PlayRun(**{f.attname: getattr(run, f.attname) for f in PlayRun._meta.concrete_fields if f.name != "id"}).save()


def test_steps_are_done_and_opened_again_and_the_log_tells() -> None:
    account, run = begun()
    viewer, task = factories.staff_of(account), run.tasks.get(step=0)
    plays.finish_step(viewer, task, NOW)
    plays.finish_step(viewer, task, NOW)
    plays.reopen_step(viewer, task, NOW)
    plays.add_note(viewer, run, "Growth, not a loop", NOW)
    kinds = list(run.events.order_by("at", "pk").values_list("kind", flat=True))
    assert kinds == ["started", "step_done", "step_reopened", "noted"]


def test_a_play_without_an_exit_ends_with_its_last_step() -> None:
    (account,) = make_book()
    viewer = factories.staff_of(account)
    run = plays.start_play(viewer, account, add_play(viewer, "Welcome box", PlayText(steps=[STEP])), NOW)
    plays.finish_step(viewer, run.tasks.get(), NOW)
    run.refresh_from_db()
    assert run.outcome == PlayRun.Outcome.EXIT_MET


def test_a_run_is_handed_over_with_its_open_steps_but_only_to_a_colleague() -> None:
    account, run = begun()
    colleague = factories.make_member(account.organization, Role.CSM).user
    stranger = factories.make_member(account).user
    viewer = factories.staff_of(account)
    enter(viewer)
    plays.hand_over(viewer, run, colleague, NOW)
    assert set(run.tasks.values_list("assigned_to", flat=True)) == {colleague.pk}
    with pytest.raises(ValidationError, match="your organization"):
        plays.hand_over(viewer, run, stranger, NOW)


def test_stopping_needs_a_reason_and_an_ended_run_is_left_alone() -> None:
    account, run = begun()
    viewer = factories.staff_of(account)
    with pytest.raises(ValidationError, match="Say why"):
        plays.stop_run(viewer, run, "  ", NOW)
    plays.stop_run(viewer, run, "They left", NOW, is_lost=True)
    assert (run.outcome, run.reason) == ("lost", "They left")
    with pytest.raises(ValidationError, match="has ended"):
        plays.finish_step(viewer, run.tasks.get(step=0), NOW)


def test_a_quiet_check_of_many_accounts_takes_a_dozen_queries() -> None:
    book = make_book(30)
    for account in book:
        measure(account, pacing=1.0, term_elapsed_percent=50, top_share_percent=40)
    check(book[0])
    with CaptureQueriesContext(
        connection,
    ) as asked:
        check(book[0])
    assert len(asked) <= 12
    for account in book:
        measure(account, **BEGIN_AND_END["overburn"][0])
    with CaptureQueriesContext(connection) as asked:
        assert len(check(book[0])) == 30
    assert len(asked) <= 32


@pytest.mark.django_db(transaction=True)
def test_two_checks_at_the_same_moment_begin_a_play_once() -> None:
    with transaction.atomic():
        (account,) = make_book()
        measure(account, **BEGIN_AND_END["overburn"][0])
        ensure_plays(account.organization_id)
    organization_id = account.organization_id

    def once() -> int:
        with act_as(Viewer(organization_id)):
            return len(plays.check(organization_id, NOW))

    assert sorted(in_threads(2, once)) == [0, 1]
    with act_as(Viewer(organization_id)):
        assert len(running(organization_id)) == 1
        assert Task.objects.count() == 3
