"""Plans to begin with: those everybody has, those the organization keeps, and keeping one."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from reviews.actions.plan_templates import keep_template, remove_template
from reviews.calc.plan_templates import TEMPLATES
from reviews.forms.plans import TemplateForm
from reviews.models import AdoptionPlan, PlanTemplate
from reviews.reports.plan_outlines import outlines


@require_safe
@requires("plan.view", staff=True)
def plan_templates(request: HttpRequest) -> HttpResponse:
    """List all templates with their segment, days and size."""
    viewer = viewer_of(request)
    names = dict(Account.Segment.choices)
    lines = [
        {
            "outline": one,
            "segments": ", ".join(str(names.get(key, key)) for key in one.segments) or "Any",
            "is_own": one not in TEMPLATES,
        }
        for one in outlines(viewer)
    ]
    return render(request, "reviews/plan_templates.html", {"lines": lines, "may_edit": can(viewer, "plan.edit")})


@require_POST
@requires("plan.edit", staff=True)
def template_keep(request: HttpRequest, account_id: UUID, adoption_plan_id: UUID) -> HttpResponse:
    """Keep a plan as a template for others to begin with."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(AdoptionPlan.objects.visible_to(viewer), account=account, pk=adoption_plan_id)
    form = TemplateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give the template a name, and choose a segment from the list.")
        return redirect("reviews:plan", account.pk)
    try:
        keep_template(viewer, found, form.cleaned_data["name"], form.cleaned_data["segment"], timezone.now())
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
        return redirect("reviews:plan", account.pk)
    messages.success(request, "The template is kept. New plans can begin with it.")
    return redirect("reviews:plan_templates")


@require_POST
@requires("plan.edit", staff=True)
def template_remove(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Take away a template of the organization."""
    viewer = viewer_of(request)
    remove_template(viewer, get_object_or_404(PlanTemplate.objects.visible_to(viewer), pk=template_id))
    messages.success(request, "The template is gone. Plans that began with it stay as they are.")
    return redirect("reviews:plan_templates")
