"""A published review as files: slides with its figures, order and charts, a workbook, paper; the same bytes again."""

import io
import time
import zipfile
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook
from pptx import Presentation

from accounts.models import Account, Role
from budgets.exports.workbook import workbook
from consumption_cs.lib.tenancy import Viewer, enter
from reviews.actions.value_reviews import edit_draft, make_draft, publish
from reviews.exports.review_pdf import review_pdf
from reviews.exports.review_pptx import review_pptx
from reviews.models import ValueReview
from reviews.reports.review_page import shown
from reviews.reports.review_tables import review_document
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
)

pytestmark = pytest.mark.django_db


def _review(account: Account, workflows: int = 2, hidden: tuple[str, ...] = ()) -> ValueReview:
    meter, today = make_meter(account.organization), timezone.now().date()
    for number in range(workflows):
        workflow = make_workflow(account, key=f"w{number}", name=f"Work {number}")
        for ago in range(1, 130):
            outcomes = Decimal(9 + number + (ago < 60))
            make_usage_day(account, meter, today - timedelta(days=ago), workflow, outcomes=outcomes)
    member = make_member(account.organization, Role.CSM)
    viewer = Viewer(account.organization_id, None, Role.CSM, member.user_id)
    enter(viewer)
    draft = make_draft(viewer, account, today - timedelta(days=60), today, timezone.now())
    enter(viewer)
    edit_draft(viewer, draft, draft.narrative, hidden, [], timezone.now())
    enter(viewer)
    return publish(viewer, draft, timezone.now())


def _words(slide: Any) -> str:
    found = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
    tables = [shape.table for shape in slide.shapes if shape.has_table]
    return "\n".join([*found, *(cell.text for table in tables for cell in table.iter_cells())])


def test_slides_have_the_figures_of_the_page_and_charts_that_can_be_edited() -> None:
    review = _review(make_account(make_organization()))
    deck: Any = Presentation(io.BytesIO(review_pptx(review)))
    page, figures = shown(review.content, review.hash), review.content["figures"]
    slides = list(deck.slides)
    assert 4 <= len(slides) <= 8
    first = _words(slides[0])
    assert page["headline"] in first
    for fact in page["facts"]:
        assert fact["value"] in first
    assert [slide.shapes.title.text for slide in slides][1:3] == [
        page["sections"]["bridge"]["heading"], page["sections"]["success"]["heading"]
    ]  # fmt: skip
    bridge = next(shape.chart for shape in slides[1].shapes if shape.has_chart)
    _, amounts = bridge.plots[0].series
    assert Decimal(str(amounts.values[0])) == Decimal(figures["bridge"]["opening"])
    assert Decimal(str(amounts.values[-1])) == Decimal(figures["bridge"]["closing"])
    steps = [row["amount"] for row in page["sections"]["bridge"]["rows"]]
    assert [label for label in steps if label in _words(slides[1])] == steps
    for number, slide in enumerate(slides, 1):
        assert review.hash[:8] in _words(slide)
        assert f"{number} of {len(slides)}" in _words(slide)


def test_slides_are_the_same_bytes_at_another_time() -> None:
    review = _review(make_account(make_organization()))
    first = review_pptx(review)
    time.sleep(2.1)  # the clock of a ZIP ticks every two seconds
    assert review_pptx(review) == first


def test_hidden_sections_have_no_slide_and_many_workflows_say_what_is_left_out() -> None:
    review = _review(make_account(make_organization()), workflows=10, hidden=("bridge", "incidents", "savings"))
    deck: Any = Presentation(io.BytesIO(review_pptx(review)))
    words = "\n".join(_words(slide) for slide in deck.slides)
    assert "What happened" not in words
    assert "8 of 10 are shown" in words


@pytest.mark.parametrize("role", [Role.PORTAL_VIEWER, Role.PORTAL_OWNER])
def test_a_customer_downloads_the_slides_of_its_review(role: str) -> None:
    account = make_account(make_organization())
    review, client = _review(account), signed_in(make_member(account, role))
    answer = client.get(reverse("reviews:review_pptx", args=[account.pk, review.pk]))
    assert answer.status_code == 200
    assert answer["Content-Type"].endswith("presentationml.presentation")
    assert f"value-review-{review.number}" in answer["Content-Disposition"]


def test_an_account_without_outcomes_has_slides_that_say_so() -> None:
    account = make_account(make_organization())
    deck: Any = Presentation(io.BytesIO(review_pptx(_review(account, workflows=0))))
    assert len(deck.slides) >= 2


def test_the_workbook_shows_small_values_whole_and_has_native_charts() -> None:
    review = _review(make_account(make_organization()))
    review.content["figures"]["values"][0] |= {"value_each": "0.0042", "value": "10.00"}
    made = workbook(review_document(review))
    sheet = load_workbook(io.BytesIO(made))["Value"]
    cell = next(cell for row in sheet.iter_rows() for cell in row if cell.value == 0.0042)
    assert cell.number_format == "#,##0.00####"
    with zipfile.ZipFile(io.BytesIO(made)) as parts:
        charts = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/charts/chart")]
    assert any("<c:barChart>" in chart for chart in charts)


def test_the_paper_has_the_spend_of_each_month() -> None:
    review = _review(make_account(make_organization()))
    page = shown(review.content, review.hash)
    assert len(page["sections"]["spend"]["months"]) >= 2
    first = review_pdf(review)
    assert first.startswith(b"%PDF")
    assert review_pdf(review) == first


@pytest.mark.parametrize("name", ["review_pptx", "review_pdf", "review_xlsx"])
def test_files_of_a_review_are_nobody_elses(name: str) -> None:
    account = make_account(make_organization())
    review, other = _review(account), make_account(account.organization, key="other", name="Other")
    neighbour = signed_in(make_member(other, Role.PORTAL_OWNER))
    stranger = signed_in(make_member(make_organization(), Role.ADMIN))
    for client in (neighbour, stranger):
        for of in (account, other):
            answer = client.get(reverse(f"reviews:{name}", args=[of.pk, review.pk]))
            assert answer.status_code in (403, 404)
