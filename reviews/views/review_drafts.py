"""Making a value review: choose the days, read the draft with its evidence, put it in words, publish it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account, Membership
from accounts.permissions import CAPABILITIES, requires
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import value_reviews as acting
from reviews.calc.narrative import SECTIONS, bind, problems
from reviews.forms.review_drafts import LABELS, NarrativeForm, PeriodForm, presets
from reviews.models import ReviewDraft, ValueReview
from reviews.reports.review_page import shown
from reviews.views.headlines import pieces

DAY = timedelta(days=1)
_MOST_TOLD = 5  # changed figures in one message


@require_http_methods(["GET", "HEAD", "POST"])
@requires("review.edit", staff=True)
def new_review(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Choose the days; the draft is there at once."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    offered = presets(account, day_of(now, zone_of(account.timezone)))
    asked = request.POST.get("preset") if request.method == "POST" else None
    chosen = next((one for one in offered if one[0] == asked), None)
    form = PeriodForm(
        request.POST if request.method == "POST" and chosen is None else None, initial=_initial(offered[0])
    )
    if chosen is not None or (form.is_bound and form.is_valid()):
        try:
            draft = acting.make_draft(viewer, account, now=now, **_days(chosen, form))
        except ValidationError as problem:
            form.errors.setdefault("__all__", form.error_class()).extend(problem.messages)
        else:
            messages.success(request, "The draft is ready. Read it, put it in your words, then publish it.")
            return redirect("reviews:review_draft", account.pk, draft.pk)
    last = ValueReview.objects.visible_to(viewer).filter(account=account).order_by("-number").first()
    context = {"account": account, "form": form, "presets": offered, "last": last}
    return render(request, "reviews/review_new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("review.edit", staff=True)
def review_draft(request: HttpRequest, account_id: UUID, draft_id: UUID) -> HttpResponse:
    """The draft as it would be published, beside its text with the figures that may be used."""
    viewer, account = viewer_of(request), account_of(request)
    draft = _draft(viewer, account.pk, draft_id)
    if draft.published_id is not None:
        return redirect("reviews:value_review", account.pk, draft.published_id)
    form, people = _form(viewer, request, draft)
    if request.headers.get("HX-Request"):
        return render(request, "reviews/_draft_preview.html", _context(draft, form) | {"account": account})
    if form.is_bound and _keep(viewer, request, draft, form, people):
        messages.success(request, "The draft is kept.")
        return redirect("reviews:review_draft", account.pk, draft.pk)
    return _page(request, account, draft, form)


def _page(request: HttpRequest, account: Account, draft: ReviewDraft, form: NarrativeForm) -> HttpResponse:
    context = _context(draft, form) | {
        "account": account,
        "publish_url": reverse("reviews:publish_review", args=[account.pk, draft.pk]),
        "drop_url": reverse("reviews:drop_review", args=[account.pk, draft.pk]),
    }
    return render(request, "reviews/review_draft.html", context, status=422 if form.errors else 200)


def _form(
    viewer: Viewer, request: HttpRequest, draft: ReviewDraft
) -> tuple[NarrativeForm, list[tuple[str, str, str]]]:
    people = _people(viewer, draft.account_id)
    form = NarrativeForm(
        SECTIONS, acting.HIDEABLE, [(email, f"{name}, {role}") for email, name, role in people],
        request.POST if request.method == "POST" else None, initial=_text(draft),
    )  # fmt: skip
    return form, people


def _keep(
    viewer: Viewer, request: HttpRequest, draft: ReviewDraft, form: NarrativeForm, people: list[tuple[str, str, str]]
) -> bool:
    """Keep what was posted; False, with the reasons in the form, when it cannot be."""
    if not form.is_valid():
        return False
    seen = request.POST.get("seen")
    if seen and seen != draft.changed_at.isoformat():
        form.add_error(None, "Somebody changed this draft while you wrote. Your words are here: read them once more,"
                             " then keep them.")  # fmt: skip
        return False
    chosen = form.cleaned_data["signers"]
    signers = [
        {"email": email, "name": name, "title": form.title_of(email)} for email, name, _ in people if email in chosen
    ]
    try:
        acting.edit_draft(viewer, draft, form.narrative(), form.hidden(), signers, timezone.now())
    except ValidationError as problem:
        _add(form, problem)
    return not form.errors


@require_POST
@requires("review.edit", staff=True)
def refresh_review(request: HttpRequest, account_id: UUID, draft_id: UUID) -> HttpResponse:
    """Read the figures again and say which changed."""
    viewer, account = viewer_of(request), account_of(request)
    draft = _draft(viewer, account.pk, draft_id)
    before = draft.figures["named"]
    try:
        changed = acting.refresh_draft(viewer, draft, timezone.now())
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        after = _draft(viewer, account.pk, draft_id).figures["named"]
        messages.success(request, f"Read again: {_changes(changed, before, after)}.")
    return redirect("reviews:review_draft", account.pk, draft.pk)


@require_POST
@requires("review.edit", staff=True)
def publish_review(request: HttpRequest, account_id: UUID, draft_id: UUID) -> HttpResponse:
    """Freeze the draft as the next review, with the words of its page when they come along."""
    viewer, account = viewer_of(request), account_of(request)
    draft = _draft(viewer, account.pk, draft_id)
    if "headline" in request.POST and draft.published_id is None:
        form, people = _form(viewer, request, draft)
        if not _keep(viewer, request, draft, form, people):
            messages.error(request, "It is not published: something in the text needs a change first.")
            return _page(request, account, draft, form)
    try:
        review = acting.publish(viewer, draft, timezone.now())
    except ValidationError as problem:
        messages.error(request, "It is not published. " + " ".join(problem.messages))
        return redirect("reviews:review_draft", account.pk, draft.pk)
    messages.success(request, f"Value review {review.number} is published. {account.name} reads it in its portal.")
    return redirect("reviews:value_review", account.pk, review.pk)


@require_POST
@requires("review.edit", staff=True)
def drop_review(request: HttpRequest, account_id: UUID, draft_id: UUID) -> HttpResponse:
    """End a draft."""
    viewer, account = viewer_of(request), account_of(request)
    draft = _draft(viewer, account.pk, draft_id)
    try:
        acting.drop_draft(viewer, draft, timezone.now())
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        messages.success(request, "The draft is dropped.")
    return redirect("reviews:value_reviews", account.pk)


def _changes(names: list[str], before: dict[str, str], after: dict[str, str]) -> str:
    """Say which figures changed, from what to what."""
    told = [
        f"{name.replace('_', ' ')} {before.get(name) or 'not there'} → {after.get(name) or 'gone'}"
        for name in names[:_MOST_TOLD]
    ]
    more = f" and {len(names) - _MOST_TOLD} more figures" if len(names) > _MOST_TOLD else ""
    return ", ".join(told) + more if told else "nothing changed"


def _days(chosen: Any, form: PeriodForm) -> dict[str, Any]:
    """Return the half-open periods: of a preset, or as written."""
    names = ("starts_on", "ends_on", "compared_from", "compared_to")
    if chosen is not None:
        _, _, start, end, before = chosen
        return dict(zip(names, (start, end, before, start), strict=True))
    said = form.cleaned_data
    before_last = said["before_last"]
    ends = said["last"] + DAY, said["before_first"], before_last + DAY if before_last else None
    return dict(zip(names, (said["first"], *ends), strict=True))


def _initial(preset: Any) -> dict[str, Any]:
    _, _, start, end, before = preset
    return {"first": start, "last": end - DAY, "before_first": before, "before_last": start - DAY}


def _draft(viewer: Viewer, account_id: UUID, draft_id: UUID) -> ReviewDraft:
    rows = ReviewDraft.objects.visible_to(viewer).select_related("account", "made_by")
    found: ReviewDraft = get_object_or_404(rows, account_id=account_id, pk=draft_id)
    if found.dropped_at is not None:
        raise Http404
    return found


def _people(viewer: Viewer, account_id: UUID) -> list[tuple[str, str, str]]:
    """Return those of the customer who may sign: e-mail, name, role in words."""
    able = [role for role, capabilities in CAPABILITIES.items() if "review.sign" in capabilities]
    rows = Membership.objects.visible_to(viewer).filter(account_id=account_id, role__in=able).select_related("user")
    return sorted((row.user.email.lower(), row.user.name or row.user.email, row.get_role_display()) for row in rows)


def _text(draft: ReviewDraft) -> dict[str, Any]:
    text = {section: draft.narrative.get(section, "") for section in SECTIONS}
    switches = {f"show_{section}": section not in draft.hidden for section in acting.HIDEABLE}
    titles = {f"title-{one['email']}": one["title"] for one in draft.signers}
    return text | switches | titles | {"signers": [one["email"] for one in draft.signers]}


def _add(form: NarrativeForm, problem: ValidationError) -> None:
    named = problem.message_dict if hasattr(problem, "error_dict") else {"": problem.messages}
    for section, found in named.items():
        for words in found:
            form.add_error(section if section in form.fields else None, words)


def _context(draft: ReviewDraft, form: NarrativeForm) -> dict[str, Any]:
    """The draft as its page shows it; what is being written, when it can be read, instead of what was kept."""
    named = draft.figures["named"]
    text, hidden = draft.narrative, draft.hidden
    if form.is_bound:
        text = {section: form.data.get(section, "").replace("\r\n", "\n") for section in SECTIONS}
        hidden = [section for section in acting.HIDEABLE if f"show_{section}" not in form.data]
    words = {section: bind(said, named) if not _unknown(said, named) else said for section, said in text.items()}
    content = {
        "figures": draft.figures, "narrative": words, "hidden": hidden, "signers": draft.signers,
        "number": None, "before_number": None, "published_by": "",
    }  # fmt: skip
    page = shown(content)
    return {
        "draft": draft,
        "form": form,
        "page": page,
        "headline": pieces(page["headline"]),
        "named": sorted(named.items()),
        "wrong": [(LABELS[section], one) for section, said in text.items() for one in problems(said, named)],
        "is_live": False,
    }


def _unknown(text: str, named: dict[str, str]) -> bool:
    try:
        bind(text, named)
    except KeyError:
        return True
    return False
