"""The adoption plan of an account: the same page for both sides, and the forms by which staff change it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import plan_links
from reviews.actions import plans as acting
from reviews.forms.plans import CommentForm, LinkForm, MilestoneForm, ObjectiveForm, PlanForm, TemplateForm
from reviews.models import AdoptionPlan, Milestone, MilestoneNeed, Objective, PlanLink
from reviews.reports.plan_outlines import outline_for, outlines
from reviews.reports.plan_words import plan_facts, plan_headline, plan_lead, quarter_warning
from reviews.reports.plans import PlanShown, active_plan
from reviews.views.headlines import pieces
from usage.reports.freshness import data_through


@require_safe
@requires("plan.view")
def plan(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Objectives with their measures, milestones, what was said; for staff also who sees what and shared links."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    shown = active_plan(viewer, account, now)
    context = page_context(shown, viewer, account) | {
        "account": account,
        "may_edit": viewer.is_staff and can(viewer, "plan.edit"),
        "may_finish": can(viewer, "plan.finish"),
        "freshness": data_through(viewer, now),
        "comment": CommentForm(),
        "link": LinkForm(),
        "template": TemplateForm(),
        "links": _links(viewer, shown, now),
        "secret": request.session.pop("plan_link", "") if viewer.is_staff else "",
    }
    return render(request, "reviews/plan.html", context)


def page_context(shown: PlanShown | None, viewer: Viewer, account: Account) -> dict[str, Any]:
    """Return what the plan's parts need, wherever they stand."""
    today = day_of(timezone.now(), zone_of(account.timezone))
    return {
        "shown": shown,
        "headline": pieces(plan_headline(shown)) if shown else [],
        "lead": plan_lead(shown, today) if shown else "",
        "facts": plan_facts(shown, today) if shown else [],
        "warning": quarter_warning(shown) if shown and viewer.is_staff else "",
    }


@require_http_methods(["GET", "HEAD", "POST"])
@requires("plan.edit", staff=True)
def plan_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Begin a plan, empty or from what fits the segment; the present one is closed."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    choices = outlines(viewer)
    fits, today = outline_for(account, choices), day_of(now, zone_of(account.timezone))
    first = {
        "title": f"Adoption plan {today.year}", "starts_on": today, "ends_on": today + timedelta(days=fits.days),
        "template": fits.key,
    }  # fmt: skip
    form = PlanForm(choices, request.POST if request.method == "POST" else None, initial=first)
    if form.is_bound and form.is_valid():
        said = form.cleaned_data
        outline = next((one for one in choices if one.key == said["template"]), None)
        try:
            acting.make_plan(viewer, account, said["title"], said["starts_on"], said["ends_on"], now, outline)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, "The plan is made. Add who answers for what, then share it.")
            return redirect("reviews:plan", account.pk)
    context = {"account": account, "form": form, "title": "A new adoption plan", "save": "Make the plan"}
    context["templates_url"] = reverse("reviews:plan_templates")
    return render(request, "reviews/plan_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("plan.edit", staff=True)
def objective_edit(request: HttpRequest, account_id: UUID, objective_id: UUID | None = None) -> HttpResponse:
    """Add or change an objective."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    row = _objective(viewer, account, objective_id) if objective_id else None
    found = row.plan if row else _open_plan(viewer, account)
    form = ObjectiveForm(viewer, account, request.POST or None, initial=_goal(row, found))
    if form.is_bound and form.is_valid():
        try:
            acting.save_objective(viewer, found, form.goal(), now, row)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, "The objective is kept.")
            return redirect("reviews:plan", account.pk)
    context = {
        "account": account, "form": form, "row": row, "save": "Keep",
        "title": "Change an objective" if row else "A new objective",
        "remove_url": reverse("reviews:objective_remove", args=[account.pk, row.pk]) if row else "",
    }  # fmt: skip
    return render(request, "reviews/plan_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("plan.edit", staff=True)
def milestone_edit(request: HttpRequest, account_id: UUID, milestone_id: UUID | None = None) -> HttpResponse:
    """Add or change a milestone."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    row = _milestone(viewer, account, milestone_id) if milestone_id else None
    found = row.plan if row else _open_plan(viewer, account)
    others = Milestone.objects.visible_to(viewer).filter(plan=found, removed_at=None).order_by("due_on", "pk")
    others = others.exclude(pk=row.pk) if row else others
    form = MilestoneForm(viewer, account, list(others), request.POST or None, initial=_step(viewer, row, found))
    if form.is_bound and form.is_valid():
        try:
            acting.save_milestone(viewer, found, form.step(), now, row)
        except ValidationError as problem:
            for name, words in _named(problem):
                form.add_error(name if name in form.fields else None, words)
        else:
            messages.success(request, "The milestone is kept.")
            return redirect("reviews:plan", account.pk)
    context = {
        "account": account, "form": form, "row": row, "save": "Keep",
        "title": "Change a milestone" if row else "A new milestone",
        "remove_url": reverse("reviews:milestone_remove", args=[account.pk, row.pk]) if row else "",
    }  # fmt: skip
    return render(request, "reviews/plan_form.html", context, status=422 if form.errors else 200)


def _named(problem: ValidationError) -> list[tuple[str | None, str]]:
    if not hasattr(problem, "error_dict"):
        return [(None, words) for words in problem.messages]
    return [(name, words) for name, found in problem.message_dict.items() for words in found]


@require_POST
@requires("plan.finish")
def milestone_done(request: HttpRequest, account_id: UUID, milestone_id: UUID) -> HttpResponse:
    """Complete a milestone, or open it again."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    row = _milestone(viewer, account, milestone_id)
    try:
        if request.POST.get("done") == "no":
            acting.reopen_milestone(viewer, row, now)
            messages.success(request, f"“{row.title}” is open again.")
        else:
            acting.finish_milestone(viewer, row, now)
            messages.success(request, f"“{row.title}” is done.")
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.edit", staff=True)
def milestone_share(request: HttpRequest, account_id: UUID, milestone_id: UUID) -> HttpResponse:
    """Show a milestone to the customer or keep it internal."""
    viewer, account = viewer_of(request), account_of(request)
    row, is_shared = _milestone(viewer, account, milestone_id), request.POST.get("shared") == "yes"
    acting.share_item(viewer, row, is_shared, request.POST.get("because", ""), timezone.now())
    messages.success(request, f"“{row.title}” is {'shared' if is_shared else 'internal'} now.")
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.edit", staff=True)
def objective_done(request: HttpRequest, account_id: UUID, objective_id: UUID) -> HttpResponse:
    """Say by hand that an objective is reached, or is not."""
    viewer, account = viewer_of(request), account_of(request)
    try:
        acting.tick_objective(
            viewer, _objective(viewer, account, objective_id), request.POST.get("done") != "no", timezone.now()
        )
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.edit", staff=True)
def objective_remove(request: HttpRequest, account_id: UUID, objective_id: UUID) -> HttpResponse:
    """Take an objective out of the plan."""
    viewer, account = viewer_of(request), account_of(request)
    acting.remove_item(viewer, _objective(viewer, account, objective_id), timezone.now())
    messages.success(request, "The objective is removed.")
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.edit", staff=True)
def milestone_remove(request: HttpRequest, account_id: UUID, milestone_id: UUID) -> HttpResponse:
    """Take a milestone out of the plan."""
    viewer, account = viewer_of(request), account_of(request)
    acting.remove_item(viewer, _milestone(viewer, account, milestone_id), timezone.now())
    messages.success(request, "The milestone is removed.")
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.view")
def plan_comment(request: HttpRequest, account_id: UUID, adoption_plan_id: UUID) -> HttpResponse:
    """Say something about the plan or one of its milestones."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(AdoptionPlan.objects.visible_to(viewer), account=account, pk=adoption_plan_id)
    form = CommentForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Write what you want to say, in up to 4,000 characters.")
        return redirect("reviews:plan", account.pk)
    about = request.POST.get("milestone", "")
    milestone = _milestone(viewer, account, UUID(about)) if _is_id(about) else None
    acting.say(
        viewer, found, form.cleaned_data["text"], timezone.now(), milestone=milestone,
        is_shared=not form.cleaned_data["internal"],
    )  # fmt: skip
    messages.success(request, "Your comment is kept.")
    return redirect("reviews:plan", account.pk)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@require_POST
@requires("plan.edit", staff=True)
def link_new(request: HttpRequest, account_id: UUID, adoption_plan_id: UUID) -> HttpResponse:
    """Make a secret address of the plan; it is shown once."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(AdoptionPlan.objects.visible_to(viewer), account=account, pk=adoption_plan_id)
    form = LinkForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose 1 to 90 days.")
        return redirect("reviews:plan", account.pk)
    said = form.cleaned_data
    try:
        _, token = plan_links.make_link(viewer, found, said["days"], said["passcode"], timezone.now())
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        url = request.build_absolute_uri(reverse("reviews:shared_plan", args=[token]))
        request.session["plan_link"] = url
        messages.success(
            request, f"The link counts for {counted(said['days'], 'day')}. Copy it now: it is shown once."
        )
    return redirect("reviews:plan", account.pk)


@require_POST
@requires("plan.edit", staff=True)
def link_end(request: HttpRequest, account_id: UUID, link_id: UUID) -> HttpResponse:
    """End a secret address."""
    viewer, account = viewer_of(request), account_of(request)
    rows = PlanLink.objects.visible_to(viewer).select_related("plan")
    plan_links.end_link(viewer, get_object_or_404(rows, account=account, pk=link_id), timezone.now())
    messages.success(request, "The link no longer counts.")
    return redirect("reviews:plan", account.pk)


def _links(viewer: Viewer, shown: PlanShown | None, now: Any) -> list[PlanLink]:
    if shown is None or viewer.is_portal:
        return []
    rows = PlanLink.objects.visible_to(viewer).filter(plan=shown.plan, revoked_at=None, expires_at__gt=now)
    return list(rows.select_related("made_by").order_by("-made_at"))


def _open_plan(viewer: Viewer, account: Account) -> AdoptionPlan:
    rows = AdoptionPlan.objects.visible_to(viewer).filter(account=account).exclude(state=AdoptionPlan.State.CLOSED)
    found: AdoptionPlan = get_object_or_404(rows.select_related("account")[:1])
    return found


def _objective(viewer: Viewer, account: Account, objective_id: UUID) -> Objective:
    rows = Objective.objects.visible_to(viewer).filter(removed_at=None).select_related("plan__account", "workflow")
    found: Objective = get_object_or_404(rows, account=account, pk=objective_id)
    return found


def _milestone(viewer: Viewer, account: Account, milestone_id: UUID) -> Milestone:
    rows = Milestone.objects.visible_to(viewer).filter(removed_at=None).select_related("plan__account", "account")
    rows = rows.filter(is_shared=True) if viewer.is_portal else rows
    found: Milestone = get_object_or_404(rows, account=account, pk=milestone_id)
    return found


def _goal(row: Objective | None, found: AdoptionPlan) -> dict[str, Any]:
    if row is None:
        return {"due_on": found.ends_on}
    return {
        "title": row.title, "metric": row.metric, "workflow": row.workflow_id, "due_on": row.due_on,
        "target": f"{row.target.normalize():f}" if row.target is not None else None,
        "our_owner": str(row.our_owner_id or ""), "their_owner": row.their_owner, "is_shared": row.is_shared,
    }  # fmt: skip


def _step(viewer: Viewer, row: Milestone | None, found: AdoptionPlan) -> dict[str, Any]:
    if row is None:
        return {"due_on": found.ends_on}
    needs = MilestoneNeed.objects.visible_to(viewer).filter(milestone=row).values_list("needs_id", flat=True)
    condition = row.condition or {}
    return {
        "title": row.title, "due_on": row.due_on, "moved_because": row.moved_because, "side": row.side,
        "our_owner": str(row.our_owner_id or ""), "their_owner": row.their_owner, "workflow": row.workflow_id,
        "ticked_by": condition.get("kind", ""), "rung": condition.get("need") or "production",
        "needs": [str(one) for one in needs], "detail": row.detail, "is_shared": row.is_shared,
        "internal_because": row.internal_because,
    }  # fmt: skip
