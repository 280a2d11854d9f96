"""The workflow ladder of an account: the board, one card, and what people decide. Staff and customers share it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account, Role
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions import ladder as acts
from reviews.calc.ladder_gates import GATES
from reviews.forms.ladder import CardForm, RungForm
from reviews.models import RungMove
from reviews.reports import ladder_headline
from reviews.reports.expansion import candidate_lines
from reviews.reports.ladder import Board, Shown, ladder_board, moves_of
from reviews.reports.plans import active_plan
from reviews.views.parts import is_part
from usage.models import Workflow

CUSTOMER = "customer"


@require_safe
@requires("ladder.view")
def ladder(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Every workflow of the account on its rung; staff may look at it as the customer does."""
    return _board_page(request, None, {})


@require_safe
@requires("ladder.view")
def ladder_card(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """One workflow's gates, proposals and history: under the board, or that part alone."""
    workflow = _workflow(request, workflow_id)
    if is_part(request):
        viewer, account = _seen_by(request), account_of(request)
        board = ladder_board(viewer, account, timezone.now())
        return render(request, "reviews/_ladder_detail.html", _detail(viewer, account, board, workflow, {}))
    return _board_page(request, workflow, {})


@require_POST
@requires("ladder.edit", staff=True)
def ladder_check(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Look at the account's workflows now instead of at the next hour."""
    acts.check_now(viewer_of(request), account_of(request), timezone.now())
    messages.success(request, "All gates were checked.")
    return redirect("reviews:ladder", account_id)


@require_POST
@requires("ladder.edit", staff=True)
def ladder_tick(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """Confirm a gate that no data can tick, or take that back."""
    viewer, account, workflow = viewer_of(request), account_of(request), _workflow(request, workflow_id)
    key, now = request.POST.get("key", ""), timezone.now()
    try:
        if request.POST.get("on") == "no":
            acts.untick(viewer, account, workflow, key, now)
        else:
            acts.tick(viewer, account, workflow, key, request.POST.get("value", ""), now)
    except ValidationError as problem:
        return _board_page(request, workflow, {"problem": " ".join(problem.messages)}, 422)
    messages.success(request, f"{workflow.name}: {GATES[key].label if key in GATES else 'the gate'} was changed.")
    return redirect("reviews:ladder_card", account_id, workflow_id)


@require_POST
@requires("ladder.edit", staff=True)
def ladder_edit(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """Owners on both sides, the next gate's date, and what it waits for."""
    viewer, account, workflow = viewer_of(request), account_of(request), _workflow(request, workflow_id)
    form = CardForm(viewer, None, request.POST)
    if not form.is_valid():
        return _board_page(request, workflow, {"card_form": form}, 422)
    acts.edit_card(viewer, account, workflow, form.wanted(), timezone.now())
    messages.success(request, f"{workflow.name} was changed.")
    return redirect("reviews:ladder_card", account_id, workflow_id)


@require_POST
@requires("ladder.edit", staff=True)
def ladder_rung(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """Set a rung against the gates, with a reason and an end."""
    viewer, account, workflow = viewer_of(request), account_of(request), _workflow(request, workflow_id)
    now = timezone.now()
    form = RungForm(workflow.stage, day_of(now, zone_of(account.timezone)), request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            acts.set_rung(viewer, account, workflow, data["stage"], data["reason"], data["expires_on"], now)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            stage = Workflow.Stage(data["stage"]).label
            messages.success(request, f"{workflow.name} stands on {stage} until {data['expires_on']:%b %-d}.")
            return redirect("reviews:ladder_card", account_id, workflow_id)
    return _board_page(request, workflow, {"rung_form": form}, 422)


@require_POST
@requires("ladder.edit", staff=True)
def ladder_decide(request: HttpRequest, account_id: UUID, move_id: UUID) -> HttpResponse:
    """Take a proposed step, or leave the workflow where it is and say why."""
    viewer, account, move = viewer_of(request), account_of(request), _move(request, move_id)
    try:
        if request.POST.get("answer") == "confirm":
            acts.confirm(viewer, account, move, timezone.now())
            said = f"{move.workflow.name} stands on {move.get_to_stage_display()} now."
        else:
            acts.decline(viewer, account, move, request.POST.get("reason", ""), timezone.now())
            said = f"{move.workflow.name} stays on {move.get_from_stage_display()}."
    except ValidationError as problem:
        return _board_page(request, move.workflow, {"problem": " ".join(problem.messages)}, 422)
    messages.success(request, said)
    return redirect("reviews:ladder_card", account_id, move.workflow_id)


@require_POST
@requires("ladder.edit", staff=True)
def ladder_end(request: HttpRequest, account_id: UUID, move_id: UUID) -> HttpResponse:
    """End a rung set by hand before its time."""
    viewer, account, move = viewer_of(request), account_of(request), _move(request, move_id)
    try:
        acts.end_override(viewer, account, move, timezone.now())
    except ValidationError as problem:
        return _board_page(request, move.workflow, {"problem": " ".join(problem.messages)}, 422)
    messages.success(request, f"The data propose steps for {move.workflow.name} again.")
    return redirect("reviews:ladder_card", account_id, move.workflow_id)


def _board_page(
    request: HttpRequest, workflow: Workflow | None, more: dict[str, Any], status: int = 200
) -> HttpResponse:
    viewer, account, now = _seen_by(request), account_of(request), timezone.now()
    board, plan = ladder_board(viewer, account, now), active_plan(viewer, account, now)
    inside = not viewer.is_portal
    context = {
        "account": account,
        "board": board,
        "headline": ladder_headline.headline(board),
        "lead": ladder_headline.lead(board),
        "title": ladder_headline.board_title(board),
        "facts": ladder_headline.board_facts(board, account, inside=inside),
        "seen_words": ladder_headline.seen_words(board, account, plan.shared_items if plan else None),
        "plan": plan,
        "plan_late": f"{counted(len(plan.late), 'milestone')} late" if plan else "",
        "candidates": candidate_lines(viewer, account) if inside and can(viewer, "expansion.view") else [],
        "may_plan": inside and can(viewer, "plan.edit"),
        "may_finish": viewer == viewer_of(request) and can(viewer, "plan.finish"),
        "history": moves_of(viewer, account),
        "is_staff": viewer_of(request).is_staff,
        "is_preview": viewer_of(request).is_staff and viewer.is_portal,
        "preview": f"?view={CUSTOMER}" if viewer_of(request).is_staff and viewer.is_portal else "",
        "may_edit": inside and can(viewer, "ladder.edit"),
        "may_add": can(viewer, "workflow.edit"),
        "may_see_rules": viewer_of(request).is_staff,
        "inside": inside,
    }
    if workflow is not None:
        context |= _detail(viewer, account, board, workflow, more)
    return render(request, "reviews/ladder.html", context | more, status=status)


def _detail(
    viewer: Viewer, account: Account, board: Board, workflow: Workflow, more: dict[str, Any]
) -> dict[str, Any]:
    """What the part under the board shows of one workflow."""
    shown = next(card for card in board.cards if card.workflow.pk == workflow.pk)
    may_edit = viewer.is_staff and can(viewer, "ladder.edit")
    forms = {}
    if may_edit:
        forms = {
            "card_form": CardForm(viewer, shown.card),
            "rung_form": RungForm(workflow.stage, board.today),
        }
    return {
        "account": account,
        "open": shown,
        "gates": [(row, GATES.get(row["key"])) for row in shown.rows],
        "standing": [(row, GATES.get(row["key"])) for row in _standing(shown)],
        "moves": moves_of(viewer, account, workflow),
        "may_edit": may_edit,
        "inside": viewer.is_staff,
        "is_late": board.is_late,
        **forms,
        **more,
    }


def _standing(shown: Shown) -> list[dict[str, Any]]:
    """Return what the present rung asks to be kept, unless the board shows that already."""
    return list(shown.card.standing) if shown.card and shown.card.gates else []


def _seen_by(request: HttpRequest) -> Viewer:
    """Return the viewer, or for staff who look at the customer's page a viewer of that customer."""
    viewer, account = viewer_of(request), account_of(request)
    if viewer.is_staff and request.GET.get("view") == CUSTOMER:
        return Viewer(viewer.organization_id, account.pk, Role.PORTAL_VIEWER)
    return viewer


def _workflow(request: HttpRequest, workflow_id: UUID) -> Workflow:
    rows = Workflow.objects.visible_to(viewer_of(request)).filter(account=account_of(request))
    found: Workflow = get_object_or_404(rows, pk=workflow_id)
    return found


def _move(request: HttpRequest, move_id: UUID) -> RungMove:
    rows = RungMove.objects.visible_to(viewer_of(request)).filter(account=account_of(request))
    found: RungMove = get_object_or_404(rows.select_related("workflow"), pk=move_id)
    return found
