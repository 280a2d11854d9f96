"""The ladder over all accounts, and the entry criteria of its rungs."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import viewer_of
from accounts.permissions import can, require, requires
from reviews.actions.ladder import save_rules
from reviews.calc.ladder import HELD_DAYS, OVERRIDE_DAYS, RESTS_DAYS, rule_words
from reviews.calc.ladder_gates import GATES
from reviews.calc.production import GRACE, LADDER
from reviews.exports.ladder import ladder_csv
from reviews.forms.ladder import RulesForm
from reviews.models import LadderRules
from reviews.reports.ladder_facts import rules_in_force
from reviews.reports.ladder_words import ABOUT, rung_name
from reviews.reports.ladders import SHOWS, LadderLine, fill_owners, ladder_lines, ladders_headline, shares, spread
from reviews.tasks import check_ladders
from reviews.views.headlines import pieces
from reviews.views.parts import add_errors
from usage.views.overview import download

PAGE_SIZE = 50
MOST_VERSIONS = 20


@require_safe
@requires("ladder.view", staff=True)
def ladders(request: HttpRequest) -> HttpResponse:
    """Workflows of all accounts on their rungs, those that need somebody first."""
    everything = _asked(request)
    show = request.GET.get("show", "") if request.GET.get("show") in SHOWS else ""
    page = Paginator([line for line in everything if show in line.shows], PAGE_SIZE).get_page(request.GET.get("page"))
    fill_owners(list(page))
    context = {
        "headline": pieces(ladders_headline(everything)),
        "spread": spread(everything),
        "shows": [(name, SHOWS[name], count) for name, count in shares(everything).items()],
        "show": show,
        "page": page,
        "total": page.paginator.count,
        "rungs": [(rung, rung_name(rung)) for rung in LADDER],
        "rung": request.GET.get("rung", ""),
        "text": request.GET.get("q", "")[:100],
        "mine": request.GET.get("mine") == "1",
        "address": request.GET.urlencode(),
    }
    return render(request, "reviews/ladders.html", context)


@require_safe
@requires("ladder.view", staff=True)
def ladders_file(request: HttpRequest) -> HttpResponse:
    """The same lines as the page asks for, as a file."""
    show = request.GET.get("show", "")
    lines = [line for line in _asked(request) if show not in SHOWS or show in line.shows]
    fill_owners(lines)
    return download(ladder_csv(lines), f"ladder-{timezone.now().date()}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("ladder.view", staff=True)
def ladder_rules(request: HttpRequest) -> HttpResponse:
    """The gates of each rung, how steps are proposed, earlier versions; who may edits them here."""
    viewer, now = viewer_of(request), timezone.now()
    number, rules = rules_in_force(viewer.organization_id)
    is_editing = can(viewer, "ladder.rules") and (request.method == "POST" or "edit" in request.GET)
    form = RulesForm(rules, request.POST if request.method == "POST" else None) if is_editing else None
    if request.method == "POST":
        require(viewer, "ladder.rules")
    if form is not None and form.is_bound and form.is_valid():
        try:
            made = save_rules(viewer, form.gates(), form.cleaned_data["note"], now)
        except ValidationError as problem:
            add_errors(form, problem)
        else:
            if made is not None:
                check_ladders.delay(str(viewer.organization_id))
            said = (
                f"Version {made.number} is in force; all workflows are checked by it." if made else "Nothing changed."
            )
            messages.success(request, said)
            return redirect("reviews:ladder_rules")
    context = {
        "number": number,
        "rungs": [
            (rung_name(rung), ABOUT[rung], [(GATES[row["key"]], rule_words(row)) for row in rules.get(rung, ())])
            for rung in LADDER[1:]
        ],
        "form": form,
        "form_rungs": [(rung_name(rung), *rows) for rung, *rows in form.rungs()] if form else [],
        "versions": LadderRules.objects.visible_to(viewer)
        .select_related("made_by")
        .order_by("-number")[:MOST_VERSIONS],
        "may_edit": can(viewer, "ladder.rules"),
        "held": HELD_DAYS,
        "grace": GRACE,
        "rest": RESTS_DAYS,
        "longest": OVERRIDE_DAYS,
    }
    return render(request, "reviews/ladder_rules.html", context, status=422 if form and form.errors else 200)


def _asked(request: HttpRequest) -> list[LadderLine]:
    rung = request.GET.get("rung", "") if request.GET.get("rung") in LADDER else ""
    text, mine = request.GET.get("q", "")[:100], request.GET.get("mine") == "1"
    return ladder_lines(viewer_of(request), timezone.now(), rung=rung, text=text, mine=mine)
