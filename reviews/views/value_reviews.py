"""Published value reviews, the same page for both sides: read, sign, comment, correct, check, print."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.exports.workbook import workbook
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import value_reviews as acting
from reviews.exports.review_pdf import review_pdf
from reviews.exports.review_pptx import review_pptx
from reviews.forms.value_reviews import CommentForm, CorrectionForm, SignForm
from reviews.models import ReviewDraft, ValueReview
from reviews.reports.review_page import margin_text, shown
from reviews.reports.review_signs import beside
from reviews.reports.review_since import since
from reviews.reports.review_tables import review_document
from reviews.reports.value_review_list import review_list
from reviews.views.headlines import pieces
from usage.views.overview import download

TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


@require_safe
@requires("review.view")
def value_reviews(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """All reviews of the account, newest first; for staff also what is in the making."""
    viewer, account = viewer_of(request), account_of(request)
    listed = review_list(viewer, account)
    drafts: list[ReviewDraft] = []
    if viewer.is_staff:
        rows = ReviewDraft.objects.visible_to(viewer).filter(account=account, published=None, dropped_at=None)
        drafts = list(rows.select_related("made_by").order_by("-made_at"))
    context = {
        "account": account,
        "lines": listed.lines,
        "headline": pieces(listed.headline(viewer.is_portal)),
        "lead": listed.lead,
        "chart": listed.chart,
        "drafts": drafts,
        "may_edit": viewer.is_staff and can(viewer, "review.edit"),
    }
    return render(request, "reviews/value_reviews.html", context)


@require_safe
@requires("review.view")
def value_review(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """One review as it was published, with what was said and signed since."""
    viewer, account = viewer_of(request), account_of(request)
    review = _review(viewer, account.pk, review_id)
    return render(request, "reviews/value_review.html", _context(viewer, review))


@require_safe
@requires("review.view")
def review_margin(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """The one rule of style by which every printed page of a review bears its number and hash."""
    viewer, account = viewer_of(request), account_of(request)
    review = _review(viewer, account.pk, review_id)
    text = margin_text(review.content, review.hash)
    # A string of CSS: backslash, quote and what ends a line are written as code points.
    safe = "".join(sign if sign.isalnum() or sign in " ·,.-&" else f"\\{ord(sign):06x} " for sign in text)
    rule = f'@page {{ @bottom-left {{ content: "{safe}"; }} }}\n'
    return HttpResponse(rule, content_type="text/css; charset=utf-8")


@require_safe
@requires("review.view")
def review_file(request: HttpRequest, account_id: UUID, review_id: UUID, kind: str) -> HttpResponse:
    """The review as a file: set for paper (`pdf`, with `?paper=letter` for Letter) or its figures as a workbook, or
    slides."""
    viewer, account = viewer_of(request), account_of(request)
    review = _review(viewer, account.pk, review_id)
    if kind == "pdf":
        content = review_pdf(review, "letter" if request.GET.get("paper") == "letter" else "a4")
    elif kind == "pptx":
        content = review_pptx(review)
    else:
        content = workbook(review_document(review))
    answer = download(content, f"value-review-{review.number}-{account.key}.{kind}")
    answer["Content-Type"] = TYPES[kind]
    return answer


@require_POST
@requires("review.sign")
def sign_review(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """Sign off for the customer; an htmx request gets the signatures back."""
    viewer, account = viewer_of(request), account_of(request)
    review = _review(viewer, account.pk, review_id)
    form = SignForm(request.POST)
    title = form.cleaned_data["title"] if form.is_valid() else ""
    try:
        acting.sign(viewer, review, title, timezone.now())
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        messages.success(request, f"You signed off value review {review.number}.")
    if request.headers.get("HX-Request"):
        return render(request, "reviews/_review_signed.html", _context(viewer, review))
    return redirect("reviews:value_review", account.pk, review.pk)


@require_POST
@requires("review.comment")
def comment_review(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """Say something about a review, or ask for a correction."""
    viewer, account = viewer_of(request), account_of(request)
    review, form = _review(viewer, account.pk, review_id), CommentForm(request.POST)
    if not form.is_valid():
        return render(request, "reviews/value_review.html", _context(viewer, review) | {"said": form}, status=422)
    acting.comment(viewer, review, form.cleaned_data["kind"], form.cleaned_data["text"], timezone.now())
    messages.success(request, "Your comment is kept beside the review.")
    return redirect("reviews:value_review", account.pk, review.pk)


@require_POST
@requires("review.edit", staff=True)
def correct_review(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """Add a numbered note above a review."""
    viewer, account = viewer_of(request), account_of(request)
    review, form = _review(viewer, account.pk, review_id), CorrectionForm(request.POST)
    if not form.is_valid():
        return render(request, "reviews/value_review.html", _context(viewer, review) | {"note": form}, status=422)
    acting.correct(viewer, review, form.cleaned_data["text"], timezone.now())
    messages.success(request, "The note stands above the review.")
    return redirect("reviews:value_review", account.pk, review.pk)


@require_safe
@requires("review.view")
def check_review(request: HttpRequest, account_id: UUID, review_id: UUID) -> HttpResponse:
    """Compute the hash of the content again and say whether it is what was published."""
    viewer, account = viewer_of(request), account_of(request)
    review = _review(viewer, account.pk, review_id)
    context = {"account": account, "review": review, "is_intact": acting.is_intact(review)}
    return render(request, "reviews/review_check.html", context)


def _review(viewer: Viewer, account_id: UUID, review_id: UUID) -> ValueReview:
    rows = ValueReview.objects.visible_to(viewer).select_related("account", "before")
    found: ValueReview = get_object_or_404(rows, account_id=account_id, pk=review_id)
    return found


def _context(viewer: Viewer, review: ValueReview) -> dict[str, Any]:
    is_intact, page = acting.is_intact(review), shown(review.content, review.hash)
    live = beside(viewer, review)
    may_sign = viewer.is_portal and can(viewer, "review.sign") and is_intact and not live.has_signed
    return {
        "account": review.account,
        "review": review,
        "page": page,
        "headline": pieces(page["headline"]),
        "live": live,
        "is_intact": is_intact,
        "may_sign": may_sign,
        "may_comment": can(viewer, "review.comment"),
        "may_correct": viewer.is_staff and can(viewer, "review.edit"),
        "sign": SignForm(initial={"title": next((one.title for one in live.signers if one.is_you), "")}),
        "said": CommentForm(),
        "note": CorrectionForm(),
        "since": since(review.before.content, review.content) if review.before and is_intact else [],
        "later": ValueReview.objects.visible_to(viewer).filter(before=review).first(),
    }
