"""Spikes that were forgiven count neither in the burn rate nor in retention."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import pytest

from accounts.models import Account
from budgets.calc.burn_rate import burn_rate
from budgets.models import Alert, Anomaly, Forgiveness
from budgets.reports.excused import excused_by_account, excused_days, excused_spans
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit
from tests.factories import make_account, staff_of

START = datetime(2026, 6, 17, 20, tzinfo=timezone.utc)
NOW = START + timedelta(days=2)


@pytest.fixture
def account(db: None) -> Account:
    return make_account(timezone="Europe/Berlin")


def make_credit(account: Account, state: str = "approved", **fields: object) -> Forgiveness:
    """Credit for a spike of six hours over midnight in Berlin."""
    commit = make_commit(account)
    enter(staff_of(account))
    own = {"organization_id": account.organization_id, "account": account}
    anomaly = Anomaly.objects.create(
        **own, kind="spike", started_at=START, detected_at=START, seen_until=START + timedelta(hours=6),
        window_hours=6, score=5, expected=1, actual=7, impact=6,
    )  # fmt: skip
    alert = Alert.objects.create(
        **own, number=1, kind="spike", crossing="a", anomaly=anomaly, headline="Spike", raised_at=START
    )
    decided = {} if state == "requested" else {"decided_at": NOW, "commit": commit}
    return Forgiveness.objects.create(
        **own, alert=alert, amount=6, currency="USD", reason="loop", state=state, **decided, **fields
    )


def test_an_excused_spike_is_told_with_its_hours_and_local_days(account: Account) -> None:
    credit = make_credit(account)
    (span,) = excused_spans(staff_of(account), [account.pk])[account.pk]
    assert (span.start, span.end, span.amount) == (START, START + timedelta(hours=6), 6)
    assert (span.first_day, span.last_day) == (date(2026, 6, 17), date(2026, 6, 18))
    assert span.alert_id == credit.alert_id
    other = make_account()
    assert excused_spans(staff_of(other)) == {}


@pytest.mark.parametrize("fields", [{"state": "requested"}, {"state": "declined"}, {"is_excused": False}])
def test_what_is_not_approved_or_not_to_be_excused_is_not_told(account: Account, fields: dict[str, object]) -> None:
    make_credit(account, **fields)  # type: ignore[arg-type]
    assert excused_spans(staff_of(account)) == {}


def test_at_an_earlier_moment_it_was_not_excused_yet(account: Account) -> None:
    make_credit(account)
    enter(staff_of(account))
    assert excused_spans(staff_of(account), now=NOW - timedelta(hours=1)) == {}
    assert excused_spans(staff_of(account), now=NOW) != {}


def test_the_burn_rate_leaves_excused_days_out(account: Account) -> None:
    make_credit(account)
    enter(staff_of(account))
    today, key = date(2026, 6, 20), str(account.pk)
    history = np.full(56, 10.0)
    history[[53, 54]] = 500.0  # June 17 and 18
    (excused,) = excused_by_account(staff_of(account), {key: today}, {key: 56}, NOW).values()
    assert np.flatnonzero(excused).tolist() == [53, 54]
    assert burn_rate(history, excused=excused) == pytest.approx(10)
    assert (burn_rate(history) or 0) > 20


def test_a_spike_before_the_history_excuses_nothing_of_it(account: Account) -> None:
    make_credit(account)
    enter(staff_of(account))
    spans = excused_spans(staff_of(account))[account.pk]
    assert excused_days(spans, date(2026, 7, 20), 10) is None
