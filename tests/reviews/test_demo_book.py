"""The demo's stories in the book: each for its reason with its play, and out of it when its story ends."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now as read_clock

from accounts.models import Account, Organization, User
from budgets.actions.alerts import resolve
from budgets.actions.catch_up import catch_up
from budgets.actions.commits import NewCommit, amend_commit, create_commit
from budgets.actions.contracts import NewContract, change_contract
from budgets.actions.forecast import refresh
from budgets.models import Alert, Commit, Contract
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.contacts import Person, save_contact
from reviews.actions.measure import measure_accounts
from reviews.demo import alerts, forecasts, load, load_book
from reviews.management.commands import seed_demo
from reviews.models import PlayRun
from reviews.reports.queue import Filters, Row, queue
from usage.actions.accept import Sender, accept_events
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items

NEEDED_DAYS, MEASURED_DAYS = 330, 16
# story → what it is about in the queue, and the play that runs for it
EXPECTED = {
    "northwind": ("renewal", "renewal"),
    "helios": ("overburn", "overburn"),
    "juniper": ("underburn", "underburn"),
    "cobalt": ("spike", "spike"),
    "quanta": ("spike", "spike"),
    "orchid": ("stalled", "stalled_onboarding"),
    "meridian": ("champion_gone", "champion_lost"),
    "lumen": ("run_out", "run_out_soon"),
    "vertex": ("exhausted", "exhausted_commit"),
    "pioneer": ("", ""),
}
MORE = {("quanta", "reliability"), ("vertex", "renewal")}


@pytest.mark.django_db
def test_each_story_is_in_the_queue_for_its_reason_with_its_play_and_leaves_it_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One seed for all of it: it is what takes the time."""
    _by_indexes()
    monkeypatch.setattr(load, "HISTORY_DAYS", NEEDED_DAYS)
    monkeypatch.setattr(forecasts, "WEEKS", 4)
    monkeypatch.setattr(alerts, "FINE_HOURS", range(102, 57, -9))
    monkeypatch.setattr(load_book, "MEASURED_DAYS", MEASURED_DAYS)
    monkeypatch.setattr(seed_demo, "VENDORS", seed_demo.VENDORS[:1])
    call_command("seed_demo", logins=tmp_path / "logins.json")
    organization = Organization.objects.get(key="acme-ai")

    rows = _book(organization)
    running = _running(organization)
    for key, (reason, play) in EXPECTED.items():
        told = rows[key].standing.reasons
        assert (told[0].key if told else "") == reason, key
        assert not play or (key, play) in running, key
        assert not reason or rows[key].sentence, key
    assert MORE <= running
    assert {row.found.number("at_risk") is not None for key, row in rows.items() if key != "pioneer"} == {True}

    later = _resolve(organization)
    refresh(organization.pk, later)
    measure_accounts(organization.pk, later)
    still = _running(organization)
    gone = {(key, play) for key, (_, play) in EXPECTED.items() if play}
    assert not gone & still
    with act_as(Viewer(organization.pk)):
        ended = PlayRun.objects.filter(ended_at=later)
        assert set(ended.values_list("outcome", flat=True)) == {PlayRun.Outcome.EXIT_MET}


def _book(organization: Organization) -> dict[str, Row]:
    leader = User.objects.get(email="leader@acme.example")
    with act_as(Viewer(organization.pk, None, "leader", leader.pk)) as viewer:
        found = queue(viewer, read_clock(), Filters(owner="all", needs="all"))
        return {row.account.key: row for group in found.groups for row in group.rows}


def _running(organization: Organization) -> set[tuple[str, str]]:
    with act_as(Viewer(organization.pk)):
        return set(PlayRun.objects.filter(ended_at=None).values_list("account__key", "play__key"))


def _resolve(organization: Organization) -> datetime:
    """What each story says would end it: commits, a fix, a first call, a new champion, an explanation."""
    now = read_clock()
    with act_as(Viewer(organization.pk)):
        accounts = {account.key: account for account in Account.objects.filter(organization=organization)}
    yesterday = {key: day_of(now, zone_of(one.timezone)) - timedelta(days=1) for key, one in accounts.items()}
    finance = Viewer(organization.pk, None, "finance", User.objects.get(email="finance@acme.example").pk)
    with act_as(finance) as viewer:
        for key, amount in (("helios", 200_000), ("lumen", 80_000), ("vertex", 40_000)):
            _top_up(viewer, accounts[key], amount, yesterday[key], now)
        _renew(viewer, accounts["northwind"], yesterday["northwind"], now)
        unused = Commit.objects.get(account=accounts["juniper"], name="Prepaid 2026")
        amend_commit(viewer, unused, Decimal(-22_000), yesterday["juniper"], "Right-sized early.", now)
    with act_as(Viewer(organization.pk, None, "csm", accounts["meridian"].csm_id)) as viewer:
        save_contact(viewer, accounts["meridian"], Person("Sofia Marin", "champion"))
        for alert in Alert.objects.filter(anomaly__isnull=False, account__key__in=("cobalt", "quanta")):
            resolve(viewer, alert, now)
    _first_call(organization, now)
    while catch_up(organization.pk, now):
        pass
    return read_clock()


def _top_up(viewer: Viewer, account: Account, amount: int, day: date, now: datetime) -> None:
    contract = Contract.objects.filter(account=account).latest("starts_on")
    new = NewCommit(
        contract=contract,
        name="Top-up",
        kind="prepaid",
        unit=account.currency,
        amount=Decimal(amount),
        effective_on=day,
        expires_on=contract.ends_on,
    )
    create_commit(viewer, account, new, now)


def _renew(viewer: Viewer, account: Account, day: date, now: datetime) -> None:
    """They sign early: the term goes on for a year, with a commit from now on."""
    held = Contract.objects.filter(account=account).latest("starts_on")
    assert held.ends_on is not None
    terms = NewContract(held.name, held.starts_on, held.ends_on + timedelta(days=365), held.draw_policy)
    change_contract(viewer, held, terms, now)
    _top_up(viewer, account, 200_000, day, now)


def _first_call(organization: Organization, now: datetime) -> None:
    at = now - timedelta(days=1)
    data = {"quantity": 50_000, "workflow": "brief-drafts", "success": True, "outcome": 1}
    event = {
        "specversion": "1.0",
        "id": "first-call",
        "source": "/prod/brief-drafts",
        "type": "llm.tokens",
        "subject": "orchid",
        "time": at.isoformat(),
        "data": data,
    }
    accept_events(Sender(organization.pk), parse_items([event], Window.around(now, at - timedelta(days=1))), now)


def _by_indexes() -> None:
    """Nothing is committed in a test, so nobody counts the rows: the planner would take full tables for empty ones."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = '5min'")
