"""Budgets at work: what settlement crosses becomes an alert, once, in the same transaction."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.actions.alerts import acknowledge, assign, comment, judge, resolve, snooze, tick
from budgets.actions.budgets import NewBudget, archive_budget, change_budget, create_budget
from budgets.actions.evaluate import evaluate, watch
from budgets.actions.forecast import make_runs
from budgets.actions.settle import settle
from budgets.models import Alert, AlertEvent, AlertTerms, Budget, ForecastRun
from budgets.reports.budget_use import budget_uses
from consumption_cs.lib.tenancy import act_as, enter
from tests.budgets.budget_factories import make_budget, make_paying_account, recorded, use
from tests.budgets.ledger_factories import make_commit
from tests.factories import make_account, make_member, make_usage_day, make_workflow, portal_of, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
ALL = [("actual_percent", "50"), ("actual_percent", "80"), ("actual_percent", "100")]


def test_a_crossing_is_told_once_with_the_numbers_it_was_raised_on() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account)
    use(account, meter, NOW, "79.99")
    assert recorded(account) == []
    use(account, meter, NOW, "0.01")
    use(account, meter, NOW, "5")
    alert = Alert.objects.get()
    assert (alert.kind, alert.threshold, alert.budget, alert.number) == ("actual_percent", D(80), budget, 1)
    assert alert.numbers == {"used": "80", "amount": "100", "percent": "80"}
    assert (alert.severity, alert.is_silent, alert.state) == ("warning", False, "open")
    assert alert.period_start == datetime(2026, 6, 1, tzinfo=UTC)
    assert alert.accepted_at is not None
    assert alert.escalates_at == NOW + timedelta(hours=4)
    assert "80% of $100.00 is spent" in alert.headline
    assert [event.kind for event in alert.events.all()] == ["raised"]


def test_of_several_thresholds_at_once_all_are_recorded_and_the_highest_is_told() -> None:
    account, meter = make_paying_account()
    make_budget(account, "100", *ALL)
    use(account, meter, NOW, "120")
    assert recorded(account) == [
        ("actual_percent", D(50), False),
        ("actual_percent", D(80), False),
        ("actual_percent", D(100), True),
    ]


def test_a_correction_downward_annotates_once_and_nothing_is_told_when_it_goes_up_again() -> None:
    account, meter = make_paying_account()
    make_budget(account)
    use(account, meter, NOW, "90")
    use(account, meter, NOW, "-20")
    use(account, meter, NOW, "-1")
    use(account, meter, NOW, "30")
    alert = Alert.objects.get()
    assert alert.state == "open"
    kinds = [event.kind for event in alert.events.order_by("at", "pk")]
    assert kinds.count("annotated") == 1
    assert kinds.count("raised") == 1


def test_the_next_period_begins_anew() -> None:
    account, meter = make_paying_account()
    make_budget(account, "100", period=Budget.Period.DAY)
    use(account, meter, NOW, "90")
    use(account, meter, NOW + timedelta(days=1), "10")
    assert len(recorded(account)) == 1
    use(account, meter, NOW + timedelta(days=1), "80")
    assert len(recorded(account)) == 2


def test_what_came_in_before_midnight_is_told_though_it_is_settled_after() -> None:
    account, meter = make_paying_account()
    make_budget(account, "100", period=Budget.Period.DAY)
    last_hour = datetime(2026, 6, 15, 23, tzinfo=UTC)
    use(account, meter, last_hour, "90", now=datetime(2026, 6, 16, 0, 0, 3, tzinfo=UTC))
    alert = Alert.objects.get()
    assert alert.period_end == datetime(2026, 6, 16, tzinfo=UTC)


def test_late_use_of_a_period_that_is_long_over_alerts_nobody() -> None:
    account, meter = make_paying_account()
    make_budget(account)
    use(account, meter, datetime(2026, 5, 10, 12, tzinfo=UTC), "500", now=NOW)
    assert recorded(account) == []


def test_a_budget_counts_what_was_used_before_it_was_made() -> None:
    account, meter = make_paying_account()
    use(account, meter, NOW, "90")
    make_budget(account, "100", now=NOW)
    settle(account.organization_id, NOW)
    assert recorded(account) == [("actual_percent", D(80), True)]


def test_an_edit_carries_over_what_is_still_crossed_and_tells_what_is_new() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account, "100", *ALL)
    use(account, meter, NOW, "85")
    assert len(recorded(account)) == 2
    enter(staff_of(account))
    change_budget(staff_of(account), budget, D(85), [(kind, D(value)) for kind, value in ALL], NOW)
    settle(account.organization_id, NOW)
    after = recorded(account)[2:]
    assert after == [
        ("actual_percent", D(50), False),
        ("actual_percent", D(80), False),
        ("actual_percent", D(100), True),
    ]


def test_a_higher_budget_closes_what_is_not_crossed_any_more_and_is_told_when_it_is() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account)
    use(account, meter, NOW, "85")
    enter(staff_of(account))
    change_budget(staff_of(account), budget, D(200), [("actual_percent", D(80))], NOW)
    assert Alert.objects.get().state == "resolved"
    use(account, meter, NOW, "80")
    assert [told for _, _, told in recorded(account)] == [True, True]


def test_the_same_edit_again_changes_nothing() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account)
    version = change_budget(staff_of(account), budget, D(100), [("actual_percent", D("80.00"))], NOW)
    assert version.number == 1


def test_settling_again_records_nothing_more() -> None:
    account, meter = make_paying_account()
    make_budget(account, "100", *ALL)
    use(account, meter, NOW, "120")
    before = recorded(account)
    with act_as(staff_of(account)):
        evaluate(account.organization_id, NOW, [str(account.pk)], {})
    assert recorded(account) == before


def test_budgets_of_a_workflow_a_meter_and_a_key_count_their_part() -> None:
    account, meter = make_paying_account()
    workflow = make_workflow(account)
    make_budget(account, "100", scope=Budget.Scope.WORKFLOW, workflow=workflow, name="Flow")
    make_budget(account, "100", scope=Budget.Scope.METER, meter=meter, name="Meter")
    make_budget(account, "100", scope=Budget.Scope.KEY, dimension="team", dimension_value="a", name="Team")
    use(account, meter, NOW, "10", w=str(workflow.pk))
    use(account, meter, NOW, "20", g='{"team":"a"}')
    use(account, meter, NOW, "30", g='{"team":"b"}')
    used = {one.budget.name: one.used for one in budget_uses(account.organization_id, NOW)}
    assert used == {"Flow": D(10), "Meter": D(60), "Team": D(20)}


def test_the_days_of_a_budget_are_the_accounts() -> None:
    account, meter = make_paying_account(timezone="America/New_York")
    make_budget(account)
    first = datetime(2026, 6, 1, 3, tzinfo=UTC)  # still May in New York
    use(account, meter, first, "500", now=first, d="2026-05-31")
    use(account, meter, NOW, "7", d="2026-06-15")
    (one,) = budget_uses(account.organization_id, NOW)
    assert one.used == D(7)
    assert one.first_day == date(2026, 6, 1)
    assert one.start == datetime(2026, 6, 1, 4, tzinfo=UTC)


def test_a_pace_is_told_recovers_and_is_told_again_on_another_day() -> None:
    account, meter = make_paying_account()
    make_budget(account, "720", ("velocity_fast", "6"))
    use(account, meter, NOW, "60")
    assert len(recorded(account)) == 1
    alert = Alert.objects.get()
    assert D(alert.numbers["times"]) > 6
    watch(account.organization_id, NOW + timedelta(hours=3))
    enter(staff_of(account))
    alert.refresh_from_db()
    assert alert.recovered_at == NOW + timedelta(hours=3)
    assert alert.state == "resolved"
    use(account, meter, NOW + timedelta(days=1), "60")
    assert len(recorded(account)) == 2


def test_a_pace_that_comes_back_on_the_same_day_opens_the_same_alert() -> None:
    account, meter = make_paying_account()
    make_budget(account, "720", ("velocity_fast", "6"))
    use(account, meter, NOW, "60")
    watch(account.organization_id, NOW + timedelta(hours=3))
    use(account, meter, NOW + timedelta(hours=6), "90")
    alert = Alert.objects.get()
    assert (alert.state, alert.recovered_at) == ("open", None)
    assert [event.kind for event in alert.events.order_by("at", "pk")] == ["raised", "recovered", "reopened"]


def make_run(account, on: date, low: float, middle: float, high: float, **fields) -> ForecastRun:  # type: ignore[no-untyped-def]
    enter(staff_of(account))
    return ForecastRun.objects.create(
        organization_id=account.organization_id,
        account=account,
        as_of=on,
        made_at=datetime(on.year, on.month, on.day, 1, tzinfo=UTC),
        basis="model",
        inputs_hash=f"{on}",
        currency=account.currency,
        spend_p10=[low * day for day in range(1, 61)],
        spend_p50=[middle * day for day in range(1, 61)],
        spend_p90=[high * day for day in range(1, 61)],
        **fields,
    )


def test_the_chance_of_going_over_comes_from_the_last_forecast_and_what_is_spent() -> None:
    account, meter = make_paying_account()
    make_budget(account, "100", ("forecast_over", "90"), ("forecast_p50", "100"))
    make_run(account, NOW.date(), 4, 5, 6)  # 16 days are left: 64 to 96
    use(account, meter, NOW - timedelta(days=1), "10", now=NOW - timedelta(days=1))
    use(account, meter, NOW, "1")
    assert recorded(account) == []
    use(account, meter, NOW - timedelta(days=1), "35", now=NOW)
    assert recorded(account) == [("forecast_over", D(90), True), ("forecast_p50", D(100), True)]
    alert = Alert.objects.get(kind="forecast_over")
    assert D(alert.numbers["p50"]) == D(125)
    make_run(account, NOW.date() + timedelta(days=1), 1, 2, 3)
    use(account, meter, NOW + timedelta(days=1), "1")
    alert.refresh_from_db()
    assert alert.recovered_at is not None


def test_balances_and_days_of_commits_are_told() -> None:
    account, meter = make_paying_account()
    make_commit(account, "100")
    make_budget(account, "1000", ("balance_below", "50"), ("days_below", "30"))
    make_run(account, NOW.date(), 1, 2, 3, burn_rate=D(1))
    use(account, meter, NOW, "45")
    assert recorded(account) == []
    use(account, meter, NOW, "20")
    assert recorded(account) == [("balance_below", D(50), True)]
    use(account, meter, NOW, "10")
    assert recorded(account)[1:] == [("days_below", D(30), True)]


def test_a_new_workflow_that_spends_much_on_its_first_day_is_told_by_name() -> None:
    account, meter = make_paying_account()
    old, new = make_workflow(account, "Old"), make_workflow(account, "New one")
    make_budget(account, "1000", ("new_source", "50"))
    use(account, meter, NOW - timedelta(days=2), "1", w=str(old.pk), now=NOW - timedelta(days=2))
    use(account, meter, NOW, "60", w=str(old.pk))
    use(account, meter, NOW, "40", w=str(new.pk))
    assert recorded(account) == []
    use(account, meter, NOW, "15", w=str(new.pk))
    use(account, meter, NOW, "15", w=str(new.pk))
    alert = Alert.objects.get()
    assert alert.workflow == new
    assert "New one is new and has spent $55.00 today" in alert.headline


def test_cost_and_success_of_outcomes_are_told() -> None:
    account, meter = make_paying_account()
    make_budget(account, "1000", ("unit_cost", "2"), ("success_below", "80"))
    use(account, meter, NOW, "290", n=29, f=29, s=20, o="20")
    assert recorded(account) == []
    use(account, meter, NOW, "100", n=11, f=11, s=10, o="10")
    assert [kind for kind, _, _ in recorded(account)] == ["success_below", "unit_cost"]


def test_more_than_three_told_in_a_week_go_into_the_latest_unless_they_are_critical() -> None:
    account, meter = make_paying_account()
    for number in range(5):
        make_budget(account, "100", ("actual_percent", "75"), name=f"Budget {number}")
    make_budget(account, "80", ("actual_percent", "100"), name="Critical")
    use(account, meter, NOW, "78")
    alerts = list(Alert.objects.order_by("number"))
    assert [alert.bundled_into for alert in alerts] == [None, None, None, alerts[2], alerts[2]]
    assert [alert.escalates_at is None for alert in alerts] == [False, False, False, True, True]
    use(account, meter, NOW, "2")
    last = Alert.objects.latest("number")
    assert (last.severity, last.bundled_into) == ("critical", None)


def test_what_nobody_acknowledges_escalates_once() -> None:
    account, meter = make_paying_account()
    make_budget(account)
    AlertTerms.objects.create(organization=account.organization, account=account, escalate_minutes=30)
    use(account, meter, NOW, "90")
    assert tick(account.organization_id, NOW + timedelta(minutes=29)) == 0
    assert tick(account.organization_id, NOW + timedelta(minutes=30)) == 1
    assert tick(account.organization_id, NOW + timedelta(minutes=31)) == 0
    enter(staff_of(account))
    alert = Alert.objects.get()
    assert alert.escalated_at == NOW + timedelta(minutes=30)
    assert alert.events.filter(kind="escalated").count() == 1


def test_the_end_of_the_period_resolves() -> None:
    account, meter = make_paying_account()
    make_budget(account)
    use(account, meter, NOW, "90")
    tick(account.organization_id, datetime(2026, 7, 1, tzinfo=UTC))
    enter(staff_of(account))
    assert Alert.objects.get().state == "resolved"


def make_alert() -> tuple[Alert, object]:
    account, meter = make_paying_account()
    make_budget(account)
    use(account, meter, NOW, "90")
    member = make_member(account.organization)
    enter(staff_of(account))
    return Alert.objects.get(), member.user


def test_people_handle_an_alert_and_its_log_says_so() -> None:
    alert, user = make_alert()
    viewer = staff_of(alert.account)
    acknowledge(viewer, alert, NOW)
    acknowledge(viewer, alert, NOW + timedelta(hours=1))
    assert (alert.state, alert.acknowledged_at, alert.escalates_at) == ("acknowledged", NOW, None)
    assign(viewer, alert, user, NOW)  # type: ignore[arg-type]
    assign(viewer, alert, user, NOW)  # type: ignore[arg-type]
    comment(viewer, alert, " we look at it ", NOW, internal=True)
    judge(viewer, alert, "useful", NOW)
    resolve(viewer, alert, NOW)
    resolve(viewer, alert, NOW)
    kinds = [event.kind for event in AlertEvent.objects.filter(alert=alert).order_by("pk")]
    assert sorted(kinds) == sorted(["raised", "acknowledged", "assigned", "commented", "feedback", "resolved"])
    alert.refresh_from_db()
    assert (alert.state, alert.feedback, alert.assigned_to) == ("resolved", "useful", user)


def test_a_snooze_ends_and_the_alert_may_escalate_again() -> None:
    alert, _ = make_alert()
    viewer = staff_of(alert.account)
    for until in (NOW, NOW + timedelta(days=31)):
        with pytest.raises(ValidationError, match="Choose a time"):
            snooze(viewer, alert, until, NOW)
    snooze(viewer, alert, NOW + timedelta(days=1), NOW)
    assert tick(alert.organization_id, NOW + timedelta(hours=5)) == 0
    assert tick(alert.organization_id, NOW + timedelta(days=1)) == 1
    enter(viewer)
    alert.refresh_from_db()
    assert alert.state == "open"
    assert alert.escalates_at == NOW + timedelta(days=1, hours=4)


def test_only_who_may_handle_alerts_does() -> None:
    alert, _ = make_alert()
    reader = portal_of(alert.account, "portal_viewer")
    with pytest.raises(PermissionDenied):
        acknowledge(reader, alert, NOW)
    with pytest.raises(PermissionDenied):
        comment(reader, alert, "x", NOW)


def test_a_budget_within_another_may_not_be_larger() -> None:
    account, _ = make_paying_account()
    parent = make_budget(account, "100")
    workflow = make_workflow(account)
    child: dict[str, Any] = {"scope": Budget.Scope.WORKFLOW, "workflow": workflow, "parent": parent}
    with pytest.raises(ValidationError, match=r"\$120.00 is more than the \$100.00 of “Production”"):
        make_budget(account, "120", **child)
    with pytest.raises(ValidationError, match="same period"):
        make_budget(account, "50", period=Budget.Period.YEAR, **child)
    made = make_budget(account, "60", name="Flow", **child)
    with pytest.raises(ValidationError, match=r"“Flow” within this budget has \$60.00"):
        change_budget(staff_of(account), parent, D(50), [], NOW)
    with pytest.raises(ValidationError, match="is more than"):
        change_budget(staff_of(account), made, D(101), [], NOW)
    with pytest.raises(ValidationError, match="archive it first"):
        archive_budget(staff_of(account), parent, NOW)
    archive_budget(staff_of(account), made, NOW)
    archive_budget(staff_of(account), parent, NOW)


def test_a_budget_of_another_accounts_workflow_is_refused() -> None:
    account, _ = make_paying_account()
    other = make_account(account.organization, name="Other")
    workflow = make_workflow(other)
    new = NewBudget(name="x", amount=D(1), scope="workflow", workflow=workflow)
    with pytest.raises(ValidationError, match="of this account"):
        create_budget(staff_of(account), account, new, NOW)


def test_a_customer_makes_and_changes_budgets_of_its_own() -> None:
    account, meter = make_paying_account()
    viewer = portal_of(account)
    use(account, meter, NOW, "90")
    enter(viewer)
    new = NewBudget(name="Ours", amount=D(100), rules=[("actual_percent", D(80))])
    budget = create_budget(viewer, account, new, NOW)
    assert budget.by_customer
    settle(account.organization_id, NOW)
    enter(viewer)
    change_budget(viewer, budget, D(101), [("actual_percent", D(80))], NOW)
    assert [told for _, _, told in recorded(account)] == [True, False]


def test_an_archived_budget_is_not_looked_at() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account)
    archive_budget(staff_of(account), budget, NOW)
    use(account, meter, NOW, "90")
    assert recorded(account) == []


def test_a_budget_of_the_term_follows_the_contract() -> None:
    account, _ = make_paying_account()
    budget = make_budget(account, "100", period=Budget.Period.TERM)
    assert budget_uses(account.organization_id, NOW) == []
    make_commit(account)
    (one,) = budget_uses(account.organization_id, NOW)
    assert (one.budget, one.first_day) == (budget, date(2026, 1, 1))


def test_many_accounts_take_no_more_queries_than_one_and_none_without_budgets() -> None:
    account, _ = make_paying_account()
    rules = [*ALL, ("velocity_fast", "6"), ("forecast_over", "90"), ("balance_below", "5"), ("new_source", "9")]

    def count(accounts: list[str]) -> int:
        with act_as(staff_of(account)), CaptureQueriesContext(connection) as queries:
            evaluate(account.organization_id, NOW, accounts, {})
        return len(queries)

    assert count([str(account.pk)]) == 1
    everybody = [account]
    for number in range(6):
        everybody.append(make_account(account.organization, name=f"Account {number}"))
    make_budget(account, "1000", *rules)
    alone = count([str(account.pk)])
    for one in everybody[1:]:
        for _ in range(3):
            make_budget(one, "1000", *rules)
    assert count([str(one.pk) for one in everybody]) == alone
    assert alone <= 14


def test_a_new_forecast_run_tells_of_the_account_and_of_its_parts() -> None:
    account, meter = make_paying_account()
    workflow = make_workflow(account)
    for ago in range(1, 91):
        make_usage_day(account, meter, NOW.date() - timedelta(days=ago), workflow, spend=D(10))
    part: dict[str, Any] = {"scope": Budget.Scope.WORKFLOW, "workflow": workflow}
    over = ("forecast_over", "90")
    make_budget(account, "250", over, name="Account")
    make_budget(account, "250", over, name="Flow", **part)
    make_budget(account, "450", over, name="Wide", **part)
    assert make_runs(account.organization_id, NOW) == 1
    enter(staff_of(account))
    told = Alert.objects.order_by("number").values_list("budget__name", "kind")
    assert list(told) == [("Account", "forecast_over"), ("Flow", "forecast_over")]
    assert 280 < D(Alert.objects.get(number=2).numbers["p50"]) < 320


def test_a_forecast_of_a_time_that_has_passed_alerts_nobody() -> None:
    account, meter = make_paying_account()
    for ago in range(1, 91):
        make_usage_day(account, meter, NOW.date() - timedelta(days=ago), spend=D(10))
    make_budget(account, "250", ("forecast_over", "90"))
    assert make_runs(account.organization_id, NOW, rebuilt=True) == 1
    assert recorded(account) == []


def test_what_a_process_remembers_of_budgets_is_never_older_than_the_database() -> None:
    account, meter = make_paying_account()
    budget = make_budget(account)
    use(account, meter, NOW, "10")
    budget.name = "Renamed"
    budget.save(update_fields=["name"])
    use(account, meter, NOW, "80")
    assert Alert.objects.get().headline.startswith("Renamed: 90%")
