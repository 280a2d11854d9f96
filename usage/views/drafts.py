"""A version of a rate card: a draft that is written, weighed and published, or a published one that is withdrawn."""

from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.actions.publishing import CannotPublish, CannotWithdraw, publish, withdraw
from usage.actions.rate_cards import (
    NotADraft,
    change_draft,
    discard_draft,
    remove_line,
    save_line,
    start_draft,
)
from usage.calc.prices import PriceError
from usage.calc.worked_example import ladder, worked_examples
from usage.exports import effect_csv
from usage.forms import DraftForm, PriceEditor
from usage.models import Meter, RateCardVersion
from usage.reports.drafts import RUNNING, draft_problems, rerated_by_version
from usage.reports.effects import effect_of
from usage.reports.rate_cards import meters_shown, prices_on, said, version_changes
from usage.tasks import request_shadow
from usage.views.rate_cards import _today, card_in_url

ROWS_SHOWN = 50
EXAMPLE_QUANTITY, EXAMPLE_EVENTS = Decimal(1_250_000), 100


@require_safe
@requires("price.view", staff=True)
def rate_card_version(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """What a version says and does, and for a draft what is missing."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    return _page(request, viewer, version)


@require_POST
@requires("price.manage", staff=True)
def rate_card_draft(request: HttpRequest, card_id: UUID) -> HttpResponse:
    """Begin a draft of a card as a copy of its current prices."""
    viewer = viewer_of(request)
    card = card_in_url(viewer, card_id)
    next_month = add_months(_today(viewer), 1, 1)
    draft = start_draft(viewer, card, next_month, with_current=True)
    messages.success(request, f"Draft of version {draft.number}, with the prices that hold then. Nothing changes yet.")
    return redirect("usage:rate_card_version", draft.pk)


@require_POST
@requires("price.manage", staff=True)
def rate_card_change(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Move a draft to another day, or change its note."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    form = DraftForm(request.POST)
    if not form.is_valid():
        return _page(request, viewer, version, form)
    try:
        change_draft(viewer, version, form.cleaned_data["effective_on"], form.cleaned_data["note"])
        messages.success(request, "Draft saved.")
    except NotADraft as error:
        messages.error(request, str(error))
    return redirect("usage:rate_card_version", version.pk)


@require_safe
@requires("price.manage", staff=True)
def rate_card_line_add(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Go to the editor of the meter that was chosen."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    try:
        meter_id = UUID(request.GET.get("meter", ""))
    except ValueError:
        return redirect("usage:rate_card_version", version.pk)
    return redirect("usage:rate_card_line", version.pk, _meter(viewer, meter_id).pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage", staff=True)
def rate_card_line(request: HttpRequest, version_id: UUID, meter_id: UUID) -> HttpResponse:
    """Edit one meter's price in a draft. `act` adds and drops rows, or asks for the worked example alone."""
    viewer = viewer_of(request)
    version, meter = _version(viewer, version_id), _meter(viewer, meter_id)
    line = version.prices.filter(meter=meter).first()
    current = prices_on(viewer, version.card, version.effective_on).get(meter.pk)
    if request.method != "POST":
        started = line or current
        return _editor(request, version, PriceEditor.of(meter, started.terms if started else None), current)
    editor = PriceEditor(meter, {name: str(value)[:60] for name, value in request.POST.items()})
    act = _act(request)
    if act == "example":
        return render(request, "usage/_price_example.html", _example(request, version, editor))
    if act != "save":
        editor.act(act)
        return _editor(request, version, editor, current)
    terms = editor.read()
    if terms is None:
        return _editor(request, version, editor, current, status=422)
    try:
        price = save_line(viewer, version, meter, terms)
        messages.success(request, f"{meter.name}: {said(price).text}.")
    except NotADraft as error:
        messages.error(request, str(error))
    return redirect("usage:rate_card_version", version.pk)


@require_POST
@requires("price.manage", staff=True)
def rate_card_line_remove(request: HttpRequest, version_id: UUID, meter_id: UUID) -> HttpResponse:
    """Take a meter out of a draft."""
    viewer = viewer_of(request)
    version, meter = _version(viewer, version_id), _meter(viewer, meter_id)
    try:
        remove_line(viewer, version, meter)
        messages.success(request, f"{meter.name} is out of this version and keeps the price it has.")
    except NotADraft as error:
        messages.error(request, str(error))
    return redirect("usage:rate_card_version", version.pk)


@require_POST
@requires("price.manage", staff=True)
def rate_card_discard(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Throw a draft away."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    try:
        discard_draft(viewer, version)
    except NotADraft as error:
        messages.error(request, str(error))
        return redirect("usage:rate_card_version", version.pk)
    messages.success(request, f"The draft of version {version.number} is gone.")
    return redirect("usage:rate_cards")


@require_POST
@requires("price.manage", staff=True)
def rate_card_compute(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Compute the effect of a whole draft in the background."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    if version.status == RateCardVersion.Status.DRAFT and not draft_problems(viewer, version):
        request_shadow(viewer, version, timezone.now())
    return redirect("usage:rate_card_version", version.pk)


@require_safe
@requires("price.view", staff=True)
def rate_card_effect(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """The part of a version's page that shows its effect; asked for again while it is computed."""
    viewer = viewer_of(request)
    context = _effect(request, viewer, _version(viewer, version_id))
    response = render(request, "usage/_rate_card_effect.html", context)
    if context["effect"].state != RUNNING:
        response["HX-Refresh"] = "true"  # it is done, and more of the page depends on it
    return response


@require_safe
@requires("price.view", staff=True)
def rate_card_effect_csv(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Every account's month with the old and the new prices."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    effect = effect_of(viewer, version, timezone.now())
    if not effect.rows:
        raise Http404
    response = HttpResponse(effect_csv(effect), content_type="text/csv; charset=utf-8")
    name = f"effect-{version.card.currency.lower()}-version-{version.number}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
@requires("price.manage", staff=True)
def rate_card_publish(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Put a draft into force; its effect must be known."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    try:
        days = publish(viewer, version, timezone.now())
    except CannotPublish as problem:
        messages.error(request, f"Nothing was published. {problem}")
    else:
        messages.success(request, f"Version {version.number} is published.{again_words(days)}")
    return redirect("usage:rate_card_version", version.pk)


@require_POST
@requires("price.manage", staff=True)
def rate_card_withdraw(request: HttpRequest, version_id: UUID) -> HttpResponse:
    """Take a published version back, with a reason."""
    viewer = viewer_of(request)
    version = _version(viewer, version_id)
    try:
        days = withdraw(viewer, version, request.POST.get("reason", "")[:500], timezone.now())
    except CannotWithdraw as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"Version {version.number} is withdrawn.{again_words(days)}")
    return redirect("usage:rate_card_version", version.pk)


def again_words(days: int) -> str:
    """Say that days are being rated again, if any are."""
    if not days:
        return ""
    is_are = "is" if days == 1 else "are"
    return f" {counted(days, 'account day')} {is_are} being rated again; pages follow in seconds."


def _version(viewer: Viewer, version_id: UUID) -> RateCardVersion:
    rows = RateCardVersion.objects.visible_to(viewer).select_related("card", "account", "created_by", "published_by")
    version: RateCardVersion | None = rows.filter(pk=version_id).first()
    if version is None:
        raise Http404
    return version


def _meter(viewer: Viewer, meter_id: UUID) -> Meter:
    meter: Meter | None = Meter.objects.visible_to(viewer).filter(pk=meter_id).first()
    if meter is None:
        raise Http404
    return meter


def _page(
    request: HttpRequest, viewer: Viewer, version: RateCardVersion, form: DraftForm | None = None
) -> HttpResponse:
    is_draft = version.status == RateCardVersion.Status.DRAFT
    changes = version_changes(viewer, version)
    named = {change.meter.pk for change in changes}
    start = {"effective_on": version.effective_on, "note": version.note}
    context = _effect(request, viewer, version) | {
        "card": version.card,
        "changes": changes,
        "changed": [change for change in changes if not change.is_same],
        "unchanged": [change for change in changes if change.is_same],
        "form": form or DraftForm(initial=start),
        "today": _today(viewer),
        "rerated": rerated_by_version(viewer, version) if is_draft else None,
        "others": [meter for meter in meters_shown(viewer) if meter.pk not in named] if is_draft else [],
    }
    return render(request, "usage/rate_card_version.html", context, status=422 if form else 200)


def _effect(request: HttpRequest, viewer: Viewer, version: RateCardVersion) -> dict[str, Any]:
    is_draft = version.status == RateCardVersion.Status.DRAFT
    effect = effect_of(viewer, version, timezone.now())
    return {
        "version": version,
        "is_draft": is_draft,
        "effect": effect,
        "effect_rows": Paginator(effect.rows, ROWS_SHOWN).get_page(request.GET.get("page")),
        "problems": draft_problems(viewer, version) if is_draft else [],
        "may_manage": can(viewer, "price.manage"),
    }


def _act(request: HttpRequest) -> str:
    """What the form was sent for: a button says it, a changed choice of the model sends it without one."""
    return request.POST.get("act", "reshape" if request.headers.get("HX-Request") else "save")


def _editor(
    request: HttpRequest, version: RateCardVersion, editor: PriceEditor, current: Any, status: int = 200
) -> HttpResponse:
    is_part = bool(request.headers.get("HX-Request")) and _act(request) != "save"
    context = {
        "version": version,
        "card": version.card,
        "meter": editor.meter,
        "editor": editor,
        "current": said(current) if current else None,
        "quantity": request.POST.get("example_quantity", f"{EXAMPLE_QUANTITY:f}"),
        "events": request.POST.get("example_events", str(EXAMPLE_EVENTS)),
    }
    return render(
        request, "usage/_price_terms.html" if is_part else "usage/rate_card_line.html", context, status=status
    )


def _example(request: HttpRequest, version: RateCardVersion, editor: PriceEditor) -> dict[str, Any]:
    """The worked example for what is in the boxes now, or why there is none yet."""
    terms = editor.read()
    context: dict[str, Any] = {"meter": editor.meter, "version": version}
    if terms is None:
        return context | {"missing": len(editor.errors)}
    currency = version.card.currency
    try:
        quantity = Decimal(request.POST.get("example_quantity", "").strip()[:30] or EXAMPLE_QUANTITY)
        events = int(request.POST.get("example_events", "")[:4] or EXAMPLE_EVENTS)
        if not quantity.is_finite() or quantity < 0:
            raise InvalidOperation
        examples = worked_examples(terms, currency, quantity, events)
        return context | {"examples": examples, "ladder": ladder(terms, currency)}
    except (InvalidOperation, ValueError, PriceError):
        return context | {"bad_quantity": True}
