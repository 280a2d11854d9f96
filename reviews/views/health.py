"""Health of all accounts and of one, a person's word over it, the recipe, early warnings, and what metrics mean."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from reviews.actions import overrides, recipes, signals
from reviews.actions.health import recipe_in_force
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.recipes import band_words, labels_of
from reviews.calc.signals import KINDS
from reviews.charts.health import year_chart
from reviews.exports.health import health_csv
from reviews.forms.health import OverrideForm, RecipeForm
from reviews.models import HealthOverride, HealthRecipe, Signal
from reviews.reports import health_list
from reviews.reports.brief_words import part_words
from reviews.reports.health import health_year, shown_health
from reviews.reports.measured import latest_metrics
from reviews.reports.signal_quality import quality_headline, signal_quality
from reviews.tasks import try_recipes
from reviews.views.parts import is_part
from usage.views.overview import download

PAGE_SIZE = 50
FILLED_AT_ONCE = 200


@require_safe
@requires("book.view", staff=True)
def health(request: HttpRequest) -> HttpResponse:
    """All accounts by their health, the lowest first."""
    viewer, now = viewer_of(request), timezone.now()
    band = request.GET.get("band", "") if request.GET.get("band") in health_list.BANDS else ""
    words = request.GET.get("q", "")[:100]
    everything = health_list.health_lines(viewer, now)
    lines = health_list.health_lines(viewer, now, band, words) if band or words else everything
    moved = [line for line in everything if line.moved is not None and line.moved <= -5]
    page = Paginator(lines, PAGE_SIZE).get_page(request.GET.get("page"))
    health_list.fill(viewer, now, list(page))
    context = {
        "page": page,
        "total": len(everything),
        "shown": len(lines),
        "spread": [(key, health_list.BANDS[key], count) for key, count in health_list.spread(everything).items()],
        "moved": sorted(moved, key=lambda line: line.moved or 0),
        "band": band,
        "words": words,
        "recipe": recipe_in_force(viewer.organization_id, now),
    }
    return render(request, "reviews/health.html", context)


@require_safe
@requires("book.view", staff=True)
def health_file(request: HttpRequest) -> HttpResponse:
    """Health of all accounts with the points of each measure."""
    viewer, now = viewer_of(request), timezone.now()
    lines = health_list.health_lines(viewer, now)
    for first in range(0, len(lines), FILLED_AT_ONCE):
        health_list.fill(viewer, now, lines[first : first + FILLED_AT_ONCE])
    return download(health_csv(lines), f"health-{now.date()}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.view", staff=True)
def account_health(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One account's health over a year, in points, with a person's word over it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    may_override = can(viewer, "health.override")
    form = OverrideForm(request.POST if request.method == "POST" and may_override else None)
    if form.is_bound and form.is_valid():
        overrides.set_override(
            viewer, account, form.cleaned_data["score"], form.cleaned_data["reason"], form.lasting, now
        )
        messages.success(request, "Your score holds from now on.")
        return redirect("reviews:account_health", account.pk)
    found = shown_health(viewer.organization_id, [account.pk], now)[account.pk]
    measured = latest_metrics(viewer.organization_id, [account.pk])[account.pk]
    today = day_of(as_utc(now), zone_of(account.timezone))
    context = {
        "account": account,
        "health": found,
        "since": found.day - timedelta(days=7) if found.day else today,
        "parts": [(part, part_words(part, measured)) for part in found.parts],
        "chart": year_chart(health_year(viewer.organization_id, account.pk, today)),
        "form": form,
        "may_override": may_override,
        "overrides": HealthOverride.objects.visible_to(viewer)
        .filter(account=account)
        .select_related("by")
        .order_by("-starts_at")[:10],
        "signals": Signal.objects.visible_to(viewer).filter(account=account).order_by("closed_at", "-opened_at")[:20],
        "may_judge": can(viewer, "book.edit"),
        "recipe": recipe_in_force(viewer.organization_id, now),
        "now": now,
    }
    return render(request, "reviews/account_health.html", context, status=422 if form.errors else 200)


@require_POST
@requires("health.override", staff=True)
def end_override(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Take a person's word back before its end."""
    viewer, account = viewer_of(request), account_of(request)
    overrides.end_override(viewer, account, timezone.now())
    messages.success(request, "The score counts again.")
    return redirect("reviews:account_health", account.pk)


@require_safe
@requires("book.view", staff=True)
def recipe(request: HttpRequest) -> HttpResponse:
    """The recipe in force, those before and after it, and how they did on the past."""
    viewer, now = viewer_of(request), timezone.now()
    present = recipe_in_force(viewer.organization_id, now)
    rows = []
    for one in health_list.recipes(viewer):
        trials = sorted(one.trials.all(), key=lambda trial: trial.asked_at, reverse=True)
        rows.append((one, trials[0] if trials else None, labels_of(one.body)))
    context = {
        "present": present,
        "rows": rows,
        "measures": [
            (one, [(band_words(band, DEFINITIONS[one["metric"]].unit), band["score"]) for band in one["bands"]])
            for one in present.body["measures"]
        ],
        "may_edit": can(viewer, "recipe.edit"),
        "is_waiting": any(trial and trial.state in ("waiting", "running") for _, trial, _ in rows),
    }
    return render(request, "reviews/recipe.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("recipe.edit", staff=True)
def recipe_new(request: HttpRequest) -> HttpResponse:
    """Write a new recipe, beginning with the one in force."""
    viewer, now = viewer_of(request), timezone.now()
    body = recipe_in_force(viewer.organization_id, now).body
    form = RecipeForm(request.POST or None, body=body)
    if form.is_bound and form.is_valid():
        try:
            made = recipes.save_recipe(viewer, form.body(), form.cleaned_data["note"], now)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            recipes.ask_for_trial(viewer, made)
            _try_soon(viewer.organization_id)
            messages.success(request, f"Recipe {made.number} is kept and tried on the past. Switch it on below.")
            return redirect("reviews:recipe")
    return render(request, "reviews/recipe_form.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@requires("recipe.edit", staff=True)
def recipe_try(request: HttpRequest, recipe_id: UUID) -> HttpResponse:
    """Try a recipe on the last twelve months."""
    viewer = viewer_of(request)
    recipes.ask_for_trial(viewer, get_object_or_404(HealthRecipe.objects.visible_to(viewer), pk=recipe_id))
    _try_soon(viewer.organization_id)
    return redirect("reviews:recipe")


@require_POST
@requires("recipe.edit", staff=True)
def recipe_switch(request: HttpRequest, recipe_id: UUID) -> HttpResponse:
    """Score by a recipe from now on."""
    viewer = viewer_of(request)
    wanted = get_object_or_404(HealthRecipe.objects.visible_to(viewer), pk=recipe_id)
    try:
        recipes.switch_on(viewer, wanted, timezone.now())
        messages.success(request, f"Recipe {wanted.number} scores from tonight on; past scores stay as they were.")
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    return redirect("reviews:recipe")


@require_safe
@requires("book.view", staff=True)
def signal_list(request: HttpRequest) -> HttpResponse:
    """Early warnings of all accounts; how precise each kind was is loaded after them."""
    viewer = viewer_of(request)
    kind = request.GET.get("kind", "") if request.GET.get("kind") in KINDS else ""
    state = request.GET.get("state", "open")
    rows = Signal.objects.visible_to(viewer).select_related("account", "feedback_by")
    rows = rows.filter(kind=kind) if kind else rows
    rows = rows.filter(closed_at=None) if state != "all" else rows
    context = {
        "page": Paginator(rows.order_by("-opened_at", "account__name"), PAGE_SIZE).get_page(request.GET.get("page")),
        "kinds": [(key, one.label) for key, one in KINDS.items()],
        "kind": kind,
        "state": state,
        "may_judge": can(viewer, "book.edit"),
    }
    return render(request, "reviews/signals.html", context)


@require_safe
@requires("book.view", staff=True)
def signal_precision(request: HttpRequest) -> HttpResponse:
    """What people said of each kind of warning, and what happened after it; as a card beside them, or whole."""
    quality = signal_quality(viewer_of(request), timezone.now())
    template = "reviews/_signal_quality.html" if is_part(request) else "reviews/signal_quality.html"
    return render(request, template, {"quality": quality, "headline": quality_headline(quality)})


@require_POST
@requires("book.edit", staff=True)
def signal_judge(request: HttpRequest, signal_id: UUID) -> HttpResponse:
    """Say whether a warning was useful, expected or wrong."""
    viewer = viewer_of(request)
    found = get_object_or_404(Signal.objects.visible_to(viewer).select_for_update(of=("self",)), pk=signal_id)
    try:
        signals.judge(viewer, found, request.POST.get("feedback", ""), timezone.now())
        messages.success(request, "Thank you: this counts in its precision.")
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    if request.POST.get("back") == "account":
        return redirect("reviews:account_health", found.account_id)
    return redirect("reviews:signals")


@require_safe
@requires("book.view", staff=True)
def metrics(request: HttpRequest) -> HttpResponse:
    """What every metric means, with its formula."""
    words = request.GET.get("q", "")[:100].lower().split()
    internal = can(viewer_of(request), "margin.view")
    rows = [
        (name, one)
        for name, one in DEFINITIONS.items()
        if (not one.is_internal or internal or name == "at_risk")
        and all(word in f"{name} {one.label} {one.formula}".lower() for word in words)
    ]
    context = {"rows": rows, "words": request.GET.get("q", ""), "total": len(DEFINITIONS)}
    return render(request, "reviews/metrics.html", context)


def _try_soon(organization_id: UUID) -> None:
    transaction.on_commit(lambda: try_recipes.delay(str(organization_id)))
