"""Who hears what: destinations, routes, a person's own wishes, the delivery log, and the link that ends mails."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account, Membership
from accounts.permissions import requires
from budgets.actions.destinations import (
    add_destination,
    add_route,
    remove,
    remove_route,
    replay,
    rotate,
    send_test,
    switch_on,
)
from budgets.actions.stopping import gets_mails, seat_of, stop_mails
from budgets.forms.notifications import DestinationForm, RouteForm, WishesForm
from budgets.models import Destination, NotificationWishes
from budgets.reports.notifications import DeliveryLine, deliveries, destinations, routes
from budgets.reports.receivers import receivers
from consumption_cs.lib.tenancy import Viewer, enter, leave

LINES = 50


@require_http_methods(["GET", "POST"])
@requires("destination.manage", staff=True)
def organization_notifications(request: HttpRequest) -> HttpResponse:
    """The organization's own destinations."""
    return _destinations(request, None)


@require_http_methods(["GET", "POST"])
@requires("destination.manage")
def account_notifications(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """An account's destinations and routes."""
    return _destinations(request, account_of(request))


@require_POST
@requires("destination.manage")
def route_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Let somebody hear of a budget or of the account."""
    viewer, account = viewer_of(request), account_of(request)
    form = RouteForm(viewer, account, request.POST)
    if not form.is_valid():
        return _shown(request, account, DestinationForm(for_staff=viewer_of(request).is_staff), form, status=422)
    data = form.cleaned_data
    chosen = data["receiver"]
    seat, place = form.seats.get(chosen), form.places.get(chosen)
    try:
        add_route(viewer, account, data["budget"], seat, place, data["is_escalation"])
    except ValidationError as error:
        form.add_error(None, error.messages[0])
        return _shown(request, account, DestinationForm(for_staff=viewer_of(request).is_staff), form, status=422)
    messages.success(request, "They hear of it from now on.")
    return redirect("budgets:account_notifications", account.pk)


@require_POST
@requires("destination.manage")
def route_remove(request: HttpRequest, account_id: UUID, route_id: UUID) -> HttpResponse:
    """End a route."""
    viewer, account = viewer_of(request), account_of(request)
    remove_route(viewer, get_object_or_404(routes(viewer, account), pk=route_id))
    messages.success(request, "They do not hear of it any more.")
    return redirect("budgets:account_notifications", account.pk)


@require_POST
@requires("destination.manage", staff=True)
def organization_destination_change(request: HttpRequest, destination_id: UUID, change: str) -> HttpResponse:
    """Rotate, test, switch on or remove one of the organization's."""
    return _change(request, None, destination_id, change)


@require_POST
@requires("destination.manage")
def account_destination_change(
    request: HttpRequest, account_id: UUID, destination_id: UUID, change: str
) -> HttpResponse:
    """Rotate, test, switch on or remove one of an account's."""
    return _change(request, account_of(request), destination_id, change)


@require_GET
@requires("destination.manage", staff=True)
def organization_deliveries(request: HttpRequest) -> HttpResponse:
    """The log of all messages of the organization."""
    return _log(request, None)


@require_GET
@requires("destination.manage")
def account_deliveries(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The log of an account's messages."""
    return _log(request, account_of(request))


@require_POST
@requires("destination.manage", staff=True)
def organization_delivery_replay(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Send a message that was given up again."""
    return _replay(request, None, delivery_id)


@require_POST
@requires("destination.manage")
def account_delivery_replay(request: HttpRequest, account_id: UUID, delivery_id: UUID) -> HttpResponse:
    """Send an account's message that was given up again."""
    return _replay(request, account_of(request), delivery_id)


@require_http_methods(["GET", "POST"])
@requires("usage.view")
def my_notifications(request: HttpRequest) -> HttpResponse:
    """What the reader wants to get by mail in this seat, and when not."""
    viewer = viewer_of(request)
    seats = Membership.objects.visible_to(viewer).filter(user=viewer.user_id, account=viewer.account_id)
    seat = get_object_or_404(seats.select_related("account", "organization"))
    zone = (seat.account or seat.organization).timezone
    empty = NotificationWishes(
        organization_id=seat.organization_id, account_id=seat.account_id, membership=seat, timezone=zone
    )
    wishes = NotificationWishes.objects.visible_to(viewer).filter(membership=seat).first() or empty
    form = WishesForm(request.POST or None, instance=wishes)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("budgets:my_notifications")
    return render(request, "budgets/my_notifications.html", {"form": form}, status=422 if form.errors else 200)


@csrf_exempt  # mail programs post here with nothing but the link, which is the proof (RFC 8058)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """End the mails to the seat that a mail's link names: asked first, since programs open links on their own."""
    with transaction.atomic():
        try:
            found = seat_of(token)
            if found is None:
                raise Http404
            seat = found[1]
            if request.method == "POST":
                stop_mails(seat)
            about = f"{seat.account.name} ({seat.organization.name})" if seat.account else seat.organization.name
            context = {"stopped": not gets_mails(seat), "about": about}
        finally:
            viewer: Viewer | None = getattr(request, "viewer", None)
            if viewer is None:
                leave()
            else:
                enter(viewer)
    return render(request, "budgets/stop_mails.html", context)


def _destinations(request: HttpRequest, account: Account | None) -> HttpResponse:
    form = DestinationForm(request.POST or None, for_staff=viewer_of(request).is_staff)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made, secret = add_destination(
                viewer_of(request), account, data["kind"], data["name"], data["address"], form.shown, data["topics"]
            )
        except ValidationError as error:
            form.add_error(None, error.messages[0])
            return _shown(request, account, form, status=422)
        if secret:
            return _secret_shown(request, account, made, secret)
        messages.success(request, f"“{made.name}” is added.")
        return _to(account, "notifications")
    return _shown(request, account, form, status=422 if form.errors else 200)


def _shown(
    request: HttpRequest,
    account: Account | None,
    form: DestinationForm,
    route_form: RouteForm | None = None,
    status: int = 200,
) -> HttpResponse:
    viewer = viewer_of(request)
    context = {
        "of_account": account,
        "form": form,
        "destinations": destinations(viewer, account),
        "routes": routes(viewer, account) if account else None,
        "told_now": receivers(account.organization_id, [account.pk]).people(account.pk, None) if account else [],
        "route_form": route_form or (RouteForm(viewer, account) if account else None),
    }
    return render(request, "budgets/notifications.html", context, status=status)


def _secret_shown(request: HttpRequest, account: Account | None, place: Destination, secret: str) -> HttpResponse:
    context = {"of_account": account, "destination": place, "secret": secret}
    answer = render(request, "budgets/destination_secret.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _change(request: HttpRequest, account: Account | None, destination_id: UUID, change: str) -> HttpResponse:
    viewer, now = viewer_of(request), timezone.now()
    place = get_object_or_404(destinations(viewer, account), pk=destination_id)
    if change == "rotate" and place.kind == Destination.Kind.WEBHOOK:
        return _secret_shown(request, account, place, rotate(viewer, place, now))
    try:
        messages.success(request, _changed(viewer, place, change, now))
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return _to(account, "deliveries" if change == "test" else "notifications")


def _changed(viewer: Viewer, place: Destination, change: str, now: datetime) -> str:
    if change == "test":
        send_test(viewer, place, now)
        return "The test is on its way. Here you see what became of it."
    if change == "on":
        switch_on(viewer, place)
        return f"“{place.name}” is switched on again. Send a test."
    if change == "remove":
        remove(viewer, place, now)
        return f"“{place.name}” is removed."
    raise Http404


def _log(request: HttpRequest, account: Account | None) -> HttpResponse:
    page = Paginator(deliveries(viewer_of(request), account), LINES).get_page(request.GET.get("page"))
    now = timezone.now()
    context = {"of_account": account, "page_obj": page, "lines": [DeliveryLine(row, now) for row in page]}
    return render(request, "budgets/deliveries.html", context)


def _replay(request: HttpRequest, account: Account | None, delivery_id: UUID) -> HttpResponse:
    viewer = viewer_of(request)
    replay(viewer, get_object_or_404(deliveries(viewer, account), pk=delivery_id), timezone.now())
    messages.success(request, "It is sent again, under the same id.")
    return _to(account, "deliveries")


def _to(account: Account | None, page: str) -> HttpResponse:
    return redirect(f"budgets:account_{page}", account.pk) if account else redirect(f"budgets:{page}")
