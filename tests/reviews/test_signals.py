"""Early warnings: they open at one level, close at another, and are told with their figures."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Account, AuditEvent
from reviews.actions.signals import judge, look
from reviews.calc.metrics import DEFINITIONS, Value
from reviews.calc.signals import KINDS, open_kinds
from reviews.models import Signal
from tests.factories import make_account, make_member, staff_of

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = date(2026, 6, 14)


def test_every_kind_reads_a_metric_that_there_is_and_opens_where_it_is_not_closed() -> None:
    for kind in KINDS.values():
        assert kind.metric in DEFINITIONS
        assert not DEFINITIONS[kind.metric].is_internal


def test_falling_use_opens_at_20_percent_and_stays_until_it_is_above_10() -> None:
    assert open_kinds({"change_28": D("-19.9")}, {}) == []
    (found,) = open_kinds({"change_28": D(-38)}, {})
    assert (found.kind, found.severity, found.headline) == ("falling", "warning", "Use fell by 38% in 28 days")
    assert open_kinds({"change_28": D(-12)}, {}, frozenset({"falling"}))
    assert open_kinds({"change_28": D(-9)}, {}, frozenset({"falling"})) == []
    assert open_kinds({"change_28": D(-45)}, {})[0].severity == "critical"


def test_what_is_not_known_opens_nothing_and_closes_nothing() -> None:
    assert open_kinds({"change_28": None}, {}) == []
    assert [found.kind for found in open_kinds({}, {}, frozenset({"falling"}))] == ["falling"]


def test_a_flat_line_under_a_cap_is_told_as_held_back() -> None:
    (found,) = open_kinds({"suppressed_percent": D(64)}, {})
    assert found.kind == "suppressed"
    assert "not on track" in found.headline


def test_the_workflow_is_named() -> None:
    (found,) = open_kinds({"failing_days": D(4)}, {"failing_days": "Claims triage"})
    assert found.headline == "Claims triage is below its target for 4 days"


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def see(account: Account, numbers: Mapping[str, D | None], days: int = 0) -> None:
    values = {name: Value(number) for name, number in numbers.items()}
    later = timedelta(days=days)
    look(account.organization_id, NOW + later, [(account.pk, DAY + later, values)])


def test_a_signal_is_opened_once_extended_and_closed(account: Account) -> None:
    see(account, {"change_28": D(-30)})
    see(account, {"change_28": D(-30)})
    see(account, {"change_28": D(-33)}, days=1)
    signal = Signal.objects.get()
    assert (signal.opened_on, signal.seen_on, signal.closed_at) == (DAY, DAY + timedelta(days=1), None)
    assert signal.headline == "Use fell by 33% in 28 days"
    see(account, {"change_28": None}, days=2)
    assert Signal.objects.get().headline == "Use fell by 33% in 28 days"
    see(account, {"change_28": D(2)}, days=3)
    assert Signal.objects.get().closed_at == NOW + timedelta(days=3)
    see(account, {"change_28": D(-50)}, days=9)
    assert Signal.objects.filter(closed_at=None).count() == 1
    assert Signal.objects.count() == 2


def test_feedback_is_kept_with_who_gave_it_and_in_the_audit_log(account: Account) -> None:
    see(account, {"silent_days": D(3)})
    member = make_member(account.organization)
    signal = Signal.objects.get()
    viewer = staff_of(account)
    viewer = type(viewer)(viewer.organization_id, None, viewer.role, member.user_id)
    judge(viewer, signal, "useful", NOW)
    signal.refresh_from_db()
    assert (signal.feedback, signal.feedback_by, signal.feedback_at) == ("useful", member.user, NOW)
    assert AuditEvent.objects.filter(action="signal.judged").exists()
    with pytest.raises(ValidationError, match="useful, expected or wrong"):
        judge(viewer, signal, "nonsense", NOW)
