"""Value reviews: every figure comes from the records, what is published stays as it is, and the customer signs it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum

from accounts.models import Account, AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.value_reviews import (
    comment,
    correct,
    drop_draft,
    edit_draft,
    is_intact,
    make_draft,
    publish,
    refresh_draft,
    sign,
)
from reviews.models import OutcomeAnswer, OutcomeTerms, ReviewDraft, ReviewSignature, ValueReview
from reviews.reports.value_review import Asked, find_figures
from reviews.reports.value_review_words import first_text
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    portal_of,
    staff_of,
)
from usage.models import AccountDay, UsageDay, Workflow

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 10, 4, 12, tzinfo=UTC)
START, END = date(2026, 7, 1), date(2026, 10, 1)
BEFORE = date(2026, 4, 1)


def _use(account: Account, workflow: Workflow, first: date, days: int, meter: Any, **fields: Any) -> None:
    for number in range(days):
        make_usage_day(account, meter, first + timedelta(days=number), workflow, **fields)


def _account(**fields: Any) -> tuple[Account, Workflow, Any]:
    """Ninety days before: 100 pages a day for 9 of 10 documents at $1; now the same pages bring 10 of 10."""
    account = make_account(make_organization(), **fields)
    meter, workflow = make_meter(account.organization, unit="page"), make_workflow(account)
    _use(account, workflow, BEFORE, 91, meter)
    _use(account, workflow, START, 92, meter, successes=10, outcomes=Decimal(10))
    return account, workflow, meter


def _asked(account: Account, viewer: Viewer | None = None, now: datetime = NOW) -> Asked:
    viewer = viewer or staff_of(account)
    enter(viewer)
    return Asked(viewer, account, START, END, BEFORE, START, now)


def _confirm(account: Account, workflow: Workflow, each: str | None, at: datetime, lag: int = 0) -> None:
    person = make_member(account, Role.PORTAL_OWNER).user
    enter(staff_of(account))
    own = {"organization_id": account.organization_id, "account": account}
    terms = OutcomeTerms.objects.create(
        **own, workflow=workflow, definition="A document read without a correction", lag_days=lag,
        value_each=Decimal(each) if each else None, currency=account.currency, proposed_at=at,
    )  # fmt: skip
    OutcomeAnswer.objects.create(**own, terms=terms, answer="confirmed", by=person, at=at)


def _draft(account: Account, now: datetime = NOW, **dates: Any) -> ReviewDraft:
    viewer = staff_of(account)
    enter(viewer)
    return make_draft(viewer, account, START, END, now, BEFORE, START)


# ---- figures


def test_totals_are_the_sums_of_the_days_and_nothing_else() -> None:
    account, _, _ = _account()
    totals = find_figures(_asked(account))["totals"]
    kept = AccountDay.objects.filter(account=account, day__gte=START, day__lt=END)
    found = kept.aggregate(spend=Sum("spend"), outcomes=Sum("outcomes"), finished=Sum("finished"))
    assert Decimal(totals["spend"]) == found["spend"] == 92
    assert Decimal(totals["outcomes"]) == found["outcomes"] == 920
    assert totals["attempts"] == found["finished"] == 920
    assert (totals["per_thousand_before"], totals["per_thousand"]) == ("111.11", "100.00")
    assert Decimal(totals["per_money"]) == 10_000


def test_the_bridge_adds_up_to_the_cent_by_part_and_by_workflow() -> None:
    account, workflow, meter = _account()
    other = make_workflow(account, "Claims triage")
    _use(account, other, START, 40, meter, spend=Decimal("3.33"), outcomes=Decimal(7), successes=7)
    make_usage_day(account, meter, date(2026, 5, 2), None, spend=Decimal("17.01"), outcomes=Decimal(0))
    bridge = find_figures(_asked(account))["bridge"]
    parts = {part["key"]: Decimal(part["amount"]) for part in bridge["parts"]}
    assert Decimal(bridge["opening"]) + sum(parts.values()) == Decimal(bridge["closing"])
    for key, amount in parts.items():
        assert sum(Decimal(row["parts"][key]) for row in bridge["workflows"]) == amount
    assert sum(Decimal(row["total"]) for row in bridge["workflows"]) == Decimal(bridge["change"])
    assert parts["started"] > 0 > parts["stopped"]
    assert parts["reliability"] < 0
    assert {row["name"] for row in bridge["workflows"]} == {"Invoice OCR", "Claims triage", "Without a workflow"}
    assert str(workflow.pk) in {row["id"] for row in bridge["workflows"]}


def test_what_was_booked_without_use_is_in_the_bridge() -> None:
    account, _, _ = _account()
    AccountDay.objects.filter(account=account, day=START).update(spend=Decimal("-40"), adjustment=Decimal("-41"))
    figures = find_figures(_asked(account))
    assert figures["totals"]["spend"] == "51.00"
    parts = {part["key"]: Decimal(part["amount"]) for part in figures["bridge"]["parts"]}
    assert parts["undelivered"] == Decimal("-44.57")
    assert Decimal(figures["bridge"]["opening"]) + sum(parts.values()) == Decimal(figures["bridge"]["closing"])


def test_a_period_without_outcomes_has_no_cost_of_one_and_says_so() -> None:
    account = make_account(make_organization())
    meter, workflow = make_meter(account.organization), make_workflow(account)
    _use(account, workflow, START, 3, meter, outcomes=Decimal(0), successes=0)
    figures = find_figures(_asked(account))
    assert figures["bridge"] is None
    assert "No outcome was counted" in figures["bridge_missing"]
    assert figures["totals"]["per_thousand"] is None
    assert figures["totals"]["spend"] == "3.00"


def test_outcomes_are_counted_as_late_as_they_become_known() -> None:
    account, workflow, meter = _account()
    make_usage_day(account, meter, date(2026, 10, 2), workflow, outcomes=Decimal(500), spend=Decimal(0), events=0)
    _confirm(account, workflow, "0.42", NOW, lag=2)
    figures = find_figures(_asked(account))
    # Of Jul 3 to Oct 2 inclusive, without Jul 1 and 2: 90 days of 10, and 500.
    assert figures["totals"]["outcomes"] == "1400"
    assert figures["values"][0]["value"] == "588.00"


def test_only_confirmed_value_counts_and_only_from_when_it_was_confirmed() -> None:
    account, workflow, _ = _account()
    _confirm(account, workflow, "0.42", NOW + timedelta(hours=1))
    figures = find_figures(_asked(account))
    assert (figures["totals"]["confirmed_value"], figures["values"][0]["value"]) == (None, None)
    later = find_figures(_asked(account, now=NOW + timedelta(hours=2)))
    assert later["totals"]["confirmed_value"] == "386.40"  # 920 × 0.42
    assert Decimal(later["totals"]["return"]) == Decimal("4.2")


def test_success_has_its_range_and_too_few_attempts_have_none() -> None:
    account, _, meter = _account()
    rare = make_workflow(account, "Rare")
    _use(account, rare, START, 2, meter)
    rows = {row["name"]: row for row in find_figures(_asked(account))["success"]}
    assert rows["Invoice OCR"]["rate"] == "1"
    assert Decimal("0.99") < Decimal(rows["Invoice OCR"]["low"]) < 1
    assert rows["Invoice OCR"]["rate_before"] == "0.9"
    assert rows["Rare"]["rate"] is None
    assert rows["Rare"]["missing"] == "Needs 30 finished attempts, has 20."


def test_days_after_the_moment_are_not_read() -> None:
    account, _, meter = _account()
    make_usage_day(account, meter, date(2026, 9, 30), make_workflow(account, "Late"), spend=Decimal(1000))
    early = find_figures(_asked(account, now=datetime(2026, 9, 30, 12, tzinfo=UTC)))
    assert early["totals"]["spend"] == "91.00"


def test_figures_hold_no_float_and_nothing_of_the_vendor() -> None:
    account, _, _ = _account()
    figures = find_figures(_asked(account))
    text = str(figures).lower()
    assert not any(word in text for word in ("margin", "vendor_cost", "health", "nan"))

    def floats(value: Any) -> bool:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return isinstance(value, float) or any(floats(one) for one in inner)

    assert not floats(figures)


def test_the_number_of_queries_does_not_grow_with_workflows(django_assert_max_num_queries: Any) -> None:
    account, _, meter = _account()
    for number in range(12):
        make_usage_day(account, meter, START, make_workflow(account, f"Flow {number}"))
    with django_assert_max_num_queries(45):
        find_figures(_asked(account))


def test_a_decision_whose_day_has_passed_is_told_as_overdue() -> None:
    account, _, _ = _account()
    figures = find_figures(_asked(account))
    for day, words in (("2026-10-05", "is needed by {decide_by}"), ("2026-10-03", "was due by {decide_by}")):
        assert words in first_text(figures | {"commit": {"decide_by": day, "p50": None}})["lead"]


# ---- drafts


def test_a_period_that_has_not_ended_or_is_too_long_is_refused_in_words() -> None:
    account, _, _ = _account()
    viewer = staff_of(account)
    for start, end, words in (
        (START, date(2026, 10, 5), "not ended"),
        (START, START, "after it starts"),
        (date(2025, 1, 1), date(2026, 6, 1), "up to 400 days"),
    ):
        enter(viewer)
        with pytest.raises(ValidationError, match=words):
            make_draft(viewer, account, start, end, NOW)
    with pytest.raises(ValidationError, match="before this one begins"):
        make_draft(viewer, account, START, END, NOW, BEFORE, date(2026, 7, 2))


def test_the_first_text_of_a_draft_may_be_published_as_it_is() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    assert draft.narrative["headline"].startswith("You got {change} more {unit}")
    review = publish(staff_of(account), draft, NOW)
    assert review.content["narrative"]["headline"] == (
        "You got 11% more outcomes per $1: 10,000 for each $1,000, before 9,000"
    )


def test_a_text_with_a_typed_figure_is_not_kept() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    with pytest.raises(ValidationError) as problem:
        edit_draft(staff_of(account), draft, {"lead": "You saved $9,000.", "spend": "{spent}"}, [], [], NOW)
    assert set(problem.value.message_dict) == {"lead", "spend"}
    draft.refresh_from_db()
    assert "9,000" not in draft.narrative["lead"]


def test_a_draft_keeps_text_and_signers_and_hides_sections() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    signer = {"name": "Marta", "title": "Chief operating officer", "email": "Marta@Northwind.example"}
    kept = edit_draft(staff_of(account), draft, {"lead": "Well done: {spend}."}, ["savings", "lead"], [signer], NOW)
    assert kept.hidden == ["savings"]  # the lead cannot be left out
    assert kept.signers[0]["email"] == "marta@northwind.example"
    with pytest.raises(ValidationError):
        edit_draft(staff_of(account), draft, {}, [], [{"name": "X", "email": "no address"}], NOW)


def test_refreshing_reads_the_figures_again_and_says_what_changed() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    assert refresh_draft(staff_of(account), draft, NOW) == []
    UsageDay.objects.filter(account=account, day=START).update(outcomes=Decimal(1000))
    changed = refresh_draft(staff_of(account), draft, NOW + timedelta(minutes=1))
    assert {"outcomes", "per_money", "change"} <= set(changed)
    assert "spend" not in changed


def test_a_dropped_draft_is_neither_edited_nor_published() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    drop_draft(staff_of(account), draft, NOW)
    for act in (lambda: publish(staff_of(account), draft, NOW), lambda: refresh_draft(staff_of(account), draft, NOW)):
        with pytest.raises(ValidationError, match="dropped"):
            act()


# ---- published


def _published(account: Account, now: datetime = NOW) -> ValueReview:
    return publish(staff_of(account), _draft(account, now), now)


def test_reviews_are_numbered_by_account_and_know_the_one_before() -> None:
    account, _, _ = _account()
    one, other = _published(account), _published(account, NOW + timedelta(days=1))
    assert (one.number, other.number, other.before_id) == (1, 2, one.pk)
    assert other.content["before_number"] == 1
    assert is_intact(one)


def test_publishing_twice_gives_one_review() -> None:
    account, _, _ = _account()
    draft = _draft(account)
    assert publish(staff_of(account), draft, NOW).pk == publish(staff_of(account), draft, NOW).pk
    assert ValueReview.objects.filter(account=account).count() == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE reviews_valuereview SET content = '{}'", "DELETE FROM reviews_valuereview",
     "UPDATE reviews_reviewsignature SET name = 'x'", "DELETE FROM reviews_reviewsignature"],
)  # fmt: skip
def test_the_application_may_not_change_what_was_published_or_signed(statement: str) -> None:
    account, _, _ = _account()
    _published(account)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_review_does_not_change_when_its_records_do() -> None:
    account, _, _ = _account()
    review = _published(account)
    AccountDay.objects.filter(account=account).update(spend=0)
    UsageDay.objects.filter(account=account).update(spend=0, outcomes=0)
    review.refresh_from_db()
    assert review.content["figures"]["totals"]["spend"] == "92.00"
    assert is_intact(review)


def test_a_changed_content_no_longer_has_its_hash_and_cannot_be_signed() -> None:
    account, _, _ = _account()
    review = _published(account)
    review.content["figures"]["totals"]["spend"] = "1.00"
    assert not is_intact(review)
    member = make_member(account, Role.PORTAL_OWNER)
    viewer = Viewer(account.organization_id, account.pk, Role.PORTAL_OWNER, member.user_id)
    enter(viewer)
    with pytest.raises(ValidationError, match="hash"):
        sign(viewer, review, "", NOW)


def test_a_person_of_the_customer_signs_once_and_an_executive_who_only_reads_may() -> None:
    account, _, _ = _account()
    review = _published(account)
    member = make_member(account, Role.PORTAL_VIEWER)
    viewer = Viewer(account.organization_id, account.pk, Role.PORTAL_VIEWER, member.user_id)
    for _ in range(2):
        enter(viewer)
        signature = sign(viewer, review, "Chief operating officer", NOW)
    assert (signature.title, signature.hash) == ("Chief operating officer", review.hash)
    enter(staff_of(account))
    assert ReviewSignature.objects.filter(review=review).count() == 1
    assert AuditEvent.objects.filter(action="review.signed", account_id=account.pk).count() == 1


def test_staff_do_not_sign_and_engineers_of_the_customer_neither() -> None:
    account, _, _ = _account()
    review = _published(account)
    for viewer in (staff_of(account), portal_of(account, Role.PORTAL_ENGINEER)):
        enter(viewer)
        with pytest.raises((PermissionDenied, ValidationError)):
            sign(viewer, review, "", NOW)


def test_comments_of_both_sides_and_numbered_corrections_stand_beside_it() -> None:
    account, _, _ = _account()
    review = _published(account)
    member, ours = make_member(account, Role.PORTAL_ENGINEER), make_member(account.organization, Role.CSM)
    theirs = Viewer(account.organization_id, account.pk, Role.PORTAL_ENGINEER, member.user_id)
    enter(theirs)
    comment(theirs, review, "request", "September looks low.", NOW)
    with pytest.raises(ValidationError, match="Write what"):
        comment(theirs, review, "comment", "  ", NOW)
    with pytest.raises(PermissionDenied):
        correct(theirs, review, "No.", NOW)
    staff = Viewer(account.organization_id, None, Role.CSM, ours.user_id)
    enter(staff)
    notes = [correct(staff, review, text, NOW) for text in ("One event came late.", "And another.")]
    assert [note.number for note in notes] == [1, 2]


def test_a_customer_sees_its_reviews_and_no_draft_and_nobody_elses() -> None:
    account, _, _ = _account()
    _published(account)
    enter(staff_of(account))
    other = make_account(Organization.objects.get(pk=account.organization_id), "Globex")
    enter(portal_of(account))
    assert ValueReview.objects.count() == 1
    assert ReviewDraft.objects.count() == 0
    enter(portal_of(other))
    assert ValueReview.objects.count() == 0
