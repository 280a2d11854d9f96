"""Savings of an account: what the data suggests, what was proposed, and done ones before against after.

The customer sees those that are shared, without what is only for the vendor's staff.
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted, money_text
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.savings import add_proposal, edit_proposal, propose_found, set_state, share
from reviews.exports.savings import savings_csv
from reviews.forms.savings import DoneForm, ProposalForm
from reviews.models import CostProposal
from reviews.reports.savings import Proof, account_suggestions, proof_of, saved_words
from reviews.reports.savings_words import words_of
from reviews.views.headlines import pieces
from usage.reports.freshness import data_through
from usage.views.overview import download

State = CostProposal.State
_TONES = {State.PROPOSED: "info", State.ACCEPTED: "warn", State.DONE: "good", State.DECLINED: "none"}
_ORDER = [State.ACCEPTED, State.PROPOSED, State.DONE, State.DECLINED]
_SAID = {
    State.PROPOSED: "is open again",
    State.ACCEPTED: "is accepted",
    State.DONE: "is done; its proof grows day by day",
    State.DECLINED: "is declined",
}


@require_safe
@requires("usage.view")
def savings(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Proposals of the account with money, effort and trade-off; for staff also what the data suggests."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    shown = _shown(viewer, account)
    proofs = {row.pk: proof_of(viewer, account, row, now) for row in shown}
    found = [] if viewer.is_portal else account_suggestions(viewer, account, now)
    context = {
        "account": account,
        "headline": pieces(_headline(shown, account, found)),
        "lead": _lead(list(proofs.values()), account),
        "found": [(one, words_of(one)) for one in found],
        "rows": [_card(row, proofs[row.pk], account, viewer) for row in shown],
        "may_edit": not viewer.is_portal and can(viewer, "book.edit"),
        "is_staff": not viewer.is_portal,
        "today": day_of(now, zone_of(account.timezone)),
        "freshness": data_through(viewer, now),
    }
    return render(request, "reviews/savings.html", context)


@require_safe
@requires("usage.view")
def savings_file(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The proposals that the reader sees, with the bridges of those that are done."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    rows = [(row, proof_of(viewer, account, row, now)) for row in _shown(viewer, account)]
    return download(savings_csv(rows), f"savings-{account.key}-{now:%Y-%m-%d}.csv")


@require_POST
@requires("book.edit", staff=True)
def savings_propose(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Make a proposal of what the data shows."""
    viewer, account = viewer_of(request), account_of(request)
    kind, workflow = request.POST.get("kind", ""), request.POST.get("workflow", "")
    proposal = propose_found(viewer, account, kind, workflow, timezone.now())
    if proposal is None:
        messages.error(request, "The data no longer shows this, or it is proposed already.")
    else:
        messages.success(request, f"“{proposal.title}” is proposed. Share it when the customer should see it.")
    return redirect("reviews:savings", account.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.edit", staff=True)
def savings_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Propose something by hand."""
    viewer, account = viewer_of(request), account_of(request)
    form = ProposalForm(viewer, account, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        proposal = add_proposal(viewer, account, form.wanted(), timezone.now())
        messages.success(request, f"“{proposal.title}” is proposed.")
        return redirect("reviews:savings", account.pk)
    context = {"account": account, "form": form, "proposal": None}
    return render(request, "reviews/savings_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.edit", staff=True)
def savings_edit(request: HttpRequest, account_id: UUID, proposal_id: UUID) -> HttpResponse:
    """Change what a proposal says."""
    viewer, account = viewer_of(request), account_of(request)
    proposal = _proposal(viewer, account, proposal_id)
    names = ("title", "workflow", "saving_a_month", "effort", "detail", "trade_off")
    initial = {name: getattr(proposal, name) for name in names}
    initial["saving_a_month"] = f"{proposal.saving_a_month.normalize():f}"
    form = ProposalForm(viewer, account, request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        edit_proposal(viewer, proposal, form.wanted())
        messages.success(request, f"“{proposal.title}” is saved.")
        return redirect("reviews:savings", account.pk)
    context = {"account": account, "form": form, "proposal": proposal}
    return render(request, "reviews/savings_form.html", context, status=422 if form.errors else 200)


@require_POST
@requires("book.edit", staff=True)
def savings_state(request: HttpRequest, account_id: UUID, proposal_id: UUID) -> HttpResponse:
    """Accept, decline, finish on a day, or open again."""
    viewer, account = viewer_of(request), account_of(request)
    proposal = _proposal(viewer, account, proposal_id)
    state = request.POST.get("state", "")
    form = DoneForm(request.POST)
    done_on = form.cleaned_data["done_on"] if form.is_valid() else None
    if state not in State.values:
        messages.error(request, "Choose what became of the proposal.")
        return redirect("reviews:savings", account.pk)
    try:
        set_state(viewer, proposal, state, timezone.now(), done_on)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, f"“{proposal.title}” {_SAID[State(state)]}.")
    return redirect("reviews:savings", account.pk)


@require_POST
@requires("book.edit", staff=True)
def savings_share(request: HttpRequest, account_id: UUID, proposal_id: UUID) -> HttpResponse:
    """Show a proposal to the customer, or no longer."""
    viewer, account = viewer_of(request), account_of(request)
    proposal = _proposal(viewer, account, proposal_id)
    share(viewer, proposal, request.POST.get("shared") == "yes")
    said = f"{account.name} sees it now" if proposal.is_shared else f"{account.name} no longer sees it"
    messages.success(request, f"“{proposal.title}”: {said}.")
    return redirect("reviews:savings", account.pk)


def _shown(viewer: Viewer, account: Account) -> list[CostProposal]:
    """What the reader may see: customers see what is shared and not declined, in order of what is to be done."""
    rows = CostProposal.objects.visible_to(viewer).filter(account=account).select_related("workflow", "created_by")
    if viewer.is_portal:
        rows = rows.filter(is_shared=True).exclude(state=State.DECLINED)
    return sorted(rows, key=lambda row: (_ORDER.index(State(row.state)), -row.saving_a_month))


def _proposal(viewer: Viewer, account: Account, proposal_id: UUID) -> CostProposal:
    rows = CostProposal.objects.visible_to(viewer).filter(account=account, pk=proposal_id)
    proposal: CostProposal | None = rows.select_related("account", "workflow").first()
    if proposal is None:
        raise Http404
    return proposal


def _card(row: CostProposal, proof: Proof | None, account: Account, viewer: Viewer) -> dict[str, Any]:
    facts = [
        {"label": "Saves about", "value": money_text(row.saving_a_month, row.currency, places=0), "note": "a month"},
        {"label": "Effort", "value": row.get_effort_display()},
    ]
    if row.done_on:
        facts.append({"label": "Works since", "value": f"{row.done_on:%b} {row.done_on.day}, {row.done_on.year}"})
    if not viewer.is_portal:
        by = f"proposed by {row.created_by}" if row.created_by else ""
        facts.append({"label": "Customer", "value": "sees it" if row.is_shared else "does not see it", "note": by})
    return {
        "facts": facts,
        "proposal": row,
        "tone": _TONES[State(row.state)],
        "proof": proof,
        "proved": saved_words(proof, account.currency) if proof else "",
        "is_open": row.state in (State.PROPOSED, State.ACCEPTED),
    }


def _headline(shown: list[CostProposal], account: Account, found: list[Any]) -> str:
    waiting = [row for row in shown if row.state in (State.PROPOSED, State.ACCEPTED)]
    if waiting:
        amount = money_text(sum(row.saving_a_month for row in waiting), account.currency, places=0)
        return f"{counted(len(waiting), 'proposal')} would save about {amount} a month for the same outcomes."
    if found:
        amount = money_text(sum(one.saving_a_month for one in found), account.currency, places=0)
        ways = "One way" if len(found) == 1 else f"{len(found)} ways"
        return f"{ways} to spend about {amount} a month less for the same outcomes."
    if any(row.state == State.DONE for row in shown):
        return "Nothing is open; what was done is proved below."
    return "No way to spend less for the same outcomes is known now."


def _lead(proofs: list[Proof | None], account: Account) -> str:
    known = [proof for proof in proofs if proof is not None and not proof.problem]
    if not known:
        return ""
    saved = sum(proof.saved for proof in known)
    amount = money_text(abs(saved), account.currency, places=0)  # type: ignore[arg-type]
    return f"What is done cost {amount} {'less' if saved >= 0 else 'more'} since then than at the cost before."
