"""Cost-tuning proposals: found in the data, decided on, shared or not, and proved before against after to the cent."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, AuditEvent, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.savings import Wanted, add_proposal, propose_found, set_state, share
from reviews.calc.savings import MONTH, Attempts, ClassUse, FlowUse, suggestions
from reviews.models import CostProposal
from reviews.reports.savings import account_suggestions, proof_of, saved_words
from reviews.reports.savings_words import words_of
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    portal_of,
    signed_in,
    staff_of,
)
from tests.reviews.test_reliability import make_event
from usage.models import Meter, Workflow

# ---- pure: what is found


def _flow(**fields: Any) -> FlowUse:
    plain: dict[str, Any] = {
        "workflow": "w", "name": "OCR", "spend": Decimal(1000), "finished": 1000, "successes": 990,
        "target": Decimal("0.95"),
    }  # fmt: skip
    return FlowUse(**plain | fields)


def _only(flow: FlowUse) -> Any:
    (one,) = suggestions([flow])
    return one


def test_a_workflow_that_works_as_it_should_has_nothing_to_save() -> None:
    assert suggestions([_flow(failed=Decimal(10))]) == []
    assert suggestions([]) == []


def test_failures_save_what_lies_beyond_the_target() -> None:
    one = _only(_flow(successes=800, failed=Decimal(200)))
    # 20 % fail where 5 % may: three quarters of 200 in 28 days.
    assert (one.kind, one.saving_a_month) == ("failures", Decimal(150) * MONTH)
    assert words_of(one).title == "Lift the success of OCR to 95.0%"


def test_a_workflow_that_may_be_below_target_by_chance_is_left_alone() -> None:
    assert suggestions([_flow(finished=40, successes=37, failed=Decimal(75))]) == []


def test_retries_save_what_comes_after_the_third_attempt_and_say_what_is_lost() -> None:
    attempts = [
        Attempts(1, Decimal(400), 400, 200, Decimal(200)),
        Attempts(2, Decimal(200), 200, 100, Decimal(100)),
        Attempts(4, Decimal(100), 100, 10, Decimal(90)),
        Attempts(5, Decimal(90), 90, 0, Decimal(90)),
    ]
    flow = _flow(finished=790, successes=310, failed=Decimal(480), attempts=attempts, jobs=400, target=Decimal("0.3"))
    one = _only(flow)
    assert (one.kind, round(one.saving_a_month, 6)) == ("retries", round(Decimal(190) * MONTH, 6))
    assert words_of(one).trade_off == "10 jobs that succeeded later than that would fail (2.5% of its jobs)."
    # Below target too: the failures of attempts that are stopped are not saved a second time.
    both = suggestions([_flow(finished=790, successes=310, failed=Decimal(480), attempts=attempts, jobs=400)])
    failures = next(one for one in both if one.kind == "failures")
    assert failures.saving_a_month < Decimal(300) * MONTH


def test_a_workflow_that_never_works_is_to_be_stopped_and_nothing_else() -> None:
    one = _only(_flow(successes=0, failed=Decimal(1000), duplicates=Decimal(500), top_error="timeout"))
    assert (one.kind, one.saving_a_month) == ("idle", 1000 * MONTH)
    assert "mostly with “timeout”" in words_of(one).detail


def test_work_that_comes_again_and_a_dear_class_save_too() -> None:
    classes = {
        "model": [
            ClassUse("large", Decimal(100), Decimal(800), 500, 490),
            ClassUse("small", Decimal(100), Decimal(200), 500, 488),
        ]
    }
    first, second = suggestions([_flow(classes=classes, duplicates=Decimal(30), repeated=40)])
    assert (first.kind, first.saving_a_month) == ("cheaper", Decimal(300) * MONTH)
    assert words_of(first).title == "Move half of OCR from “large” to “small”"
    assert words_of(first).trade_off.startswith("“small” succeeds in 97.6% of attempts, “large” in 98.0%.")
    assert (second.kind, second.saving_a_month) == ("duplicates", 30 * MONTH)


def test_a_cheaper_class_that_works_worse_or_costs_nearly_as_much_is_not_proposed() -> None:
    dear = ClassUse("large", Decimal(100), Decimal(800), 500, 490)
    assert suggestions([_flow(classes={"m": [dear, ClassUse("s", Decimal(100), Decimal(200), 500, 400)]})]) == []
    assert suggestions([_flow(classes={"m": [dear, ClassUse("s", Decimal(100), Decimal(700), 500, 490)]})]) == []


def test_at_most_three_the_largest_first_and_none_below_a_five_hundredth_of_the_spend() -> None:
    flows = [_flow(workflow=str(n), name=str(n), duplicates=Decimal(n)) for n in (5, 40, 50, 60, 70)]
    assert [one.name for one in suggestions(flows)] == ["70", "60", "50"]
    assert suggestions([_flow(duplicates=Decimal("1.9"))]) == []


# ---- from the database

pytestmark = pytest.mark.django_db


def _northwind() -> tuple[Account, Meter, Workflow, Viewer]:
    organization = make_organization()
    account = make_account(organization)
    return account, make_meter(organization), make_workflow(account), staff_of(account, Role.FIELD_CTO)


def _failing() -> tuple[Account, Workflow, Viewer]:
    account, meter, workflow, viewer = _northwind()
    day = timezone.now().date() - timedelta(days=2)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    make_event(account, meter, workflow, "20", succeeded=False, attempt=1, properties={"error": "x"}, occurred_at=at)
    make_event(account, meter, workflow, "10", succeeded=True, attempt=4, occurred_at=at)
    make_usage_day(account, meter, day, workflow, quantity=Decimal(100), events=100, finished=100, successes=60,
                   spend=Decimal(500))  # fmt: skip
    enter(viewer)
    return account, workflow, viewer


def test_an_account_is_told_its_ways_to_save_from_its_own_events() -> None:
    account, _, viewer = _failing()
    found = {one.kind: one for one in account_suggestions(viewer, account, timezone.now())}
    assert found["retries"].saving_a_month == 50 * MONTH
    # 100 failed; 40 % fail where 5 % may.
    assert found["failures"].saving_a_month == Decimal(100) * Decimal("0.875") * MONTH
    assert found["failures"].facts["error"] == "x"


def test_what_is_proposed_keeps_its_evidence_and_is_not_suggested_again() -> None:
    account, workflow, viewer = _failing()
    now = timezone.now()
    proposal = propose_found(viewer, account, "failures", str(workflow.pk), now)
    assert proposal is not None
    assert proposal.evidence["kind"] == "failures"
    assert proposal.saving_a_month == Decimal("95.05")
    assert proposal.created_by_id == viewer.user_id
    assert [one.kind for one in account_suggestions(viewer, account, now)] == ["retries"]
    assert propose_found(viewer, account, "failures", str(workflow.pk), now) is None
    assert propose_found(viewer, account, "nonsense", "", now) is None


def _hand(viewer: Viewer, account: Account, workflow: Workflow | None = None) -> CostProposal:
    wanted = Wanted("Cache the answers", Decimal(120), "days", workflow, "They repeat", "Answers may be old")
    return add_proposal(viewer, account, wanted, timezone.now())


def test_done_needs_a_day_that_has_come() -> None:
    account, _, _, viewer = _northwind()
    proposal, now = _hand(viewer, account), timezone.now()
    for done_on, words in (
        (None, "on which day"),
        (now.date() + timedelta(days=2), "today or an earlier day"),
        (now.date() - timedelta(days=500), "400 days back"),
    ):
        with pytest.raises(ValidationError, match=words):
            set_state(viewer, proposal, "done", now, done_on)
    set_state(viewer, proposal, "done", now, now.date())
    set_state(viewer, proposal, "proposed", now)
    proposal.refresh_from_db()
    assert (proposal.state, proposal.done_on) == ("proposed", None)


def test_what_is_not_shared_stays_out_of_the_customers_audit_log() -> None:
    account, _, _, viewer = _northwind()
    proposal = _hand(viewer, account)
    enter(staff_of(account))
    assert AuditEvent.objects.get(action="proposal.proposed").account_id is None
    share(viewer, proposal, True)
    enter(staff_of(account))
    assert AuditEvent.objects.get(action="proposal.shared").account_id == account.pk


def test_an_analyst_and_a_customer_propose_nothing() -> None:
    account, _, _, _ = _northwind()
    for viewer in (staff_of(account, Role.ANALYST), portal_of(account)):
        with pytest.raises(PermissionDenied):
            _hand(viewer, account)


def _before_and_after(days_ago: int = 28) -> tuple[Account, CostProposal, Viewer]:
    """Two units an outcome at 1.00 before, one unit at 1.10 after; 1 of 2 attempts delivers throughout."""
    account, meter, workflow, viewer = _northwind()
    done_on = timezone.now().date() - timedelta(days=days_ago)
    for number in range(-28, days_ago):
        units, price = (Decimal(200), Decimal(1)) if number < 0 else (Decimal(100), Decimal("1.1"))
        make_usage_day(account, meter, done_on + timedelta(days=number), workflow, quantity=units, events=100,
                       finished=100, successes=50, outcomes=Decimal(50), spend=units * price)  # fmt: skip
    proposal = _hand(viewer, account, workflow)
    set_state(viewer, proposal, "done", timezone.now(), done_on)
    enter(viewer)
    return account, proposal, viewer


def test_a_done_proposal_is_proved_before_against_after_and_its_parts_add_up_to_the_cent() -> None:
    account, proposal, viewer = _before_and_after()
    proof = proof_of(viewer, account, proposal, timezone.now())
    assert proof is not None
    assert (proof.per, proof.opening, proof.closing) == ("1,000 outcomes", Decimal("4000.00"), Decimal("2200.00"))
    parts = {row["name"]: Decimal(row["amount"]) for row in proof.rows if not row["is_total"]}
    assert set(parts) == {"price", "efficiency"}
    assert proof.opening + sum(parts.values()) == proof.closing
    # Logarithmic mean of 2200 and 4000 times ln of each factor.
    assert abs(parts["price"] - Decimal("286.97")) < Decimal("0.01")
    assert abs(parts["efficiency"] + Decimal("2086.97")) < Decimal("0.01")
    assert proof.saved == 28 * 50 * Decimal("1.8")
    assert saved_words(proof, "USD") == (
        "The cost of 1,000 outcomes fell by 45%, from $4,000.00 to $2,200.00. "
        "What 28 days brought cost $2,520 less than before."
    )


def test_a_proof_needs_a_week_and_outcomes_on_both_sides() -> None:
    account, proposal, viewer = _before_and_after(days_ago=3)
    proof = proof_of(viewer, account, proposal, timezone.now())
    assert proof is not None
    assert proof.problem == "Too early to say: needs 7 closed days, has 3."
    other = make_workflow(account, "Never used")
    proposal.workflow, proposal.done_on = other, timezone.now().date() - timedelta(days=30)
    proof = proof_of(viewer, account, proposal, timezone.now())
    assert proof is not None
    assert "no cost of an outcome" in proof.problem


# ---- the page


def test_a_field_cto_proposes_shares_and_finishes_on_the_page() -> None:
    account, workflow, _ = _failing()
    client = signed_in(make_member(account.organization, Role.FIELD_CTO))
    url = f"/accounts/{account.pk}/savings/"
    page = client.get(url)
    assert "".join(text for text, _ in page.context["headline"]).startswith("2 ways to spend about $149 a month less")
    assert "Internal only" in page.content.decode()
    client.post(f"{url}propose/", {"kind": "failures", "workflow": str(workflow.pk)})
    said = "".join(text for text, _ in client.get(url).context["headline"])
    assert said == "1 proposal would save about $95 a month for the same outcomes."
    enter(staff_of(account))
    proposal = CostProposal.objects.get()
    customer = signed_in(make_member(account))
    assert proposal.title not in customer.get(url).content.decode()
    client.post(f"{url}{proposal.pk}/share/", {"shared": "yes"})
    client.post(f"{url}{proposal.pk}/state/", {"state": "done", "done_on": str(timezone.now().date())})
    seen = customer.get(url).content.decode()
    assert "Lift the success of Invoice OCR" in seen
    assert "Too early to say: needs 7 closed days, has 0." in seen
    for internal in ("Internal only", "Found in the last", "Share with", "proposed by", "Propose"):
        assert internal not in seen
    assert (
        "Say on which day"
        not in client.post(f"{url}{proposal.pk}/state/", {"state": "accepted"}, follow=True).content.decode()
    )
    answer = client.post(f"{url}{proposal.pk}/state/", {"state": "done"}, follow=True).content.decode()
    assert "Say on which day the change began to work." in answer


def test_a_proposal_is_written_and_corrected_by_hand() -> None:
    account, _, workflow, _ = _northwind()
    client = signed_in(make_member(account.organization, Role.CSM))
    url = f"/accounts/{account.pk}/savings/"
    asked = {"title": "Cache", "saving_a_month": "50.00", "effort": "weeks", "workflow": str(workflow.pk)}
    assert client.post(f"{url}new/", asked | {"saving_a_month": "0"}).status_code == 422
    assert client.post(f"{url}new/", asked).status_code == 302
    enter(staff_of(account))
    proposal = CostProposal.objects.get()
    page = client.get(f"{url}{proposal.pk}/").content.decode()
    assert 'value="50"' in page
    client.post(f"{url}{proposal.pk}/", asked | {"title": "Cache answers"})
    enter(staff_of(account))
    proposal.refresh_from_db()
    assert (proposal.title, proposal.effort, proposal.saving_a_month) == ("Cache answers", "weeks", Decimal(50))


def test_the_download_has_the_bridge_of_what_is_done() -> None:
    account, _, _ = _before_and_after()
    client = signed_in(make_member(account.organization, Role.FIELD_CTO))
    content = client.get(f"/accounts/{account.pk}/savings/savings.csv").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content))
    parts = ("before", "price", "efficiency", "reliability", "mix", "started", "stopped", "undelivered")
    assert sum(Decimal(row[name]) for name in parts) == Decimal(row["after"])
    assert row["saved_since"] == "2520.00"


def test_the_database_shows_a_customer_only_what_is_shared() -> None:
    account, _, _, viewer = _northwind()
    hidden, shown = _hand(viewer, account), _hand(viewer, account)
    share(viewer, shown, True)
    with transaction.atomic():
        enter(portal_of(account))
        assert list(CostProposal.objects.values_list("pk", flat=True)) == [shown.pk]
    enter(staff_of(account))
    assert CostProposal.objects.filter(pk__in=[hidden.pk, shown.pk]).count() == 2


def test_the_page_costs_no_more_queries_for_more_workflows() -> None:
    account, _, _ = _failing()
    client = signed_in(make_member(account.organization, Role.FIELD_CTO))
    url = f"/accounts/{account.pk}/savings/"
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    meter = make_meter(account.organization, "pages")
    for number in range(5):
        make_usage_day(account, meter, timezone.now().date() - timedelta(days=1), make_workflow(account, f"w{number}"))
    with CaptureQueriesContext(connection) as many:
        client.get(url)
    assert len(many) == len(few)
