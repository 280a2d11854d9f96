"""Every component of the interface in all its states, with made-up data. Shown in the demo and in development only."""

from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.views.styleguide_data import DAILY_SPEND, WORKFLOWS
from consumption_cs.lib.display import money_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series
from consumption_cs.lib.icons import ICONS


class SampleForm(forms.Form):
    """One control of each kind."""

    name = forms.CharField(help_text="As it stands on the contract.")
    email = forms.EmailField(label="E-mail")
    currency = forms.ChoiceField(choices=[("USD", "US dollar"), ("EUR", "Euro"), ("JPY", "Japanese yen")])
    colour = forms.CharField(widget=forms.TextInput(attrs={"type": "color"}), initial="#5146e5", required=False)
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    upload = forms.FileField(label="CSV file", required=False)
    scope = forms.MultipleChoiceField(
        choices=[("events:write", "Send events"), ("read", "Read"), ("events:backfill", "Send old events")],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label="What may the key do?",
    )
    agree = forms.BooleanField(label="Mail me when it is done", required=False, help_text="About two minutes.")


def styleguide(request: HttpRequest) -> HttpResponse:
    """Show the components; `?frame=portal` and `?frame=staff` put them into the two frames."""
    if not (settings.DEBUG or settings.DEMO):
        raise Http404
    messages.success(request, "The key was revoked. Nothing can be sent with it any more.")
    messages.error(request, "The file was not imported: line 7 has no price.")
    return render(request, "styleguide.html", _sample() | _frame(request.GET.get("frame", "portal")))


def _sample() -> dict[str, Any]:
    now = timezone.now()
    return {
        "now": now,
        "earlier": now - timedelta(minutes=4),
        "long_ago": now - timedelta(days=400),
        "daily": daily_figure(now.date()),
        "lines": line_figure(now.date()),
        "workflows": WORKFLOWS,
        "page": Paginator(range(1204), 50).page(2),
        "form": SampleForm(),
        "bad_form": SampleForm({"name": "", "email": "dana@", "currency": "GBP"}),
        "icons": sorted(ICONS),
        "sort": "-spend",
        "facts": [
            {"label": "Likely month-end", "value": "$10,980 – 11,760"},
            {"label": "Chance of going over", "value": "needs 14 days of use", "none": True},
            {"label": "Success rate", "value": "98.1%", "note": "▲ 0.2 pt on October", "tone": "good"},
            {"label": "Commit left", "value": "$71,960", "note": "of $120,000"},
        ],
        "curl": CURL,
    }


def _frame(kind: str) -> dict[str, Any]:
    """Stand in for the context processor, so that the frames can be seen without signing in."""
    tabs, top = _entries("Overview", "Usage", "Money", "More"), _entries("Accounts", "Usage", "Money", "More")
    account = SimpleNamespace(
        name="Northwind Robotics",
        timezone="America/New_York",
        csm=SimpleNamespace(name="Priya", email="priya@acme.example"),
    )
    return {
        "viewer": SimpleNamespace(is_portal=kind != "staff", is_staff=kind == "staff"),
        "organization": SimpleNamespace(name="Acme AI", pk=None, logo_type=""),
        "account": account,
        "nav": top if kind == "staff" else tabs,
        "account_nav": tabs if kind == "staff" else [],
    }


def _entries(*names: str) -> list[dict[str, Any]]:
    first, *others = names
    places = [{"label": name, "url": "#", "icon": "file", "current": False} for name in ("One page", "Another")]
    menus: list[dict[str, Any]] = [{"label": name, "places": places, "current": False} for name in others]
    return [{"label": first, "url": "#", "current": True}, *menus]


def daily_figure(today: date) -> Figure:
    """Return a month of daily spend with one flagged day and a straight projection."""
    days = [today - timedelta(days=len(DAILY_SPEND) - 1 - index) for index in range(len(DAILY_SPEND))]
    ahead = [today + timedelta(days=index + 1) for index in range(8)]
    spent = [Decimal(amount) for amount in DAILY_SPEND]
    peak = spent.index(max(spent))
    return Figure(
        id="daily",
        headline="Daily spend is steady; one day was a one-off backfill",
        sub="Weekdays run close to $450 and weekends to $210, in US dollars at the contract rate.",
        summary="Bar chart of daily spend: about $450 on weekdays, $210 at weekends, once $641.",
        series=[
            Series("Spent", days, spent, flagged=[peak]),
            Series("Straight projection", ahead, [Decimal(395)] * 8, tone="weak"),
        ],
        marks=[Mark(days[peak], spent[peak], "Backfill +$190")],
        rules=[Rule("$400 a day spends exactly the budget", y=400)],
        numbers=Numbers(
            ["Day", "Spent"],
            [[f"{day:%b} {day.day}", money_text(amount, "USD")] for day, amount in zip(days, spent, strict=True)],
        ),
        csv_url="#",
        more=("By workflow", "#"),
    )


def line_figure(today: date) -> Figure:
    """Return a success rate by day, with a gap and a name that tries to be a link."""
    days = [today - timedelta(days=27 - index) for index in range(28)]
    rates = [None if 9 < index < 13 else 0.97 + (index * 7 % 5) / 200 for index in range(28)]
    return Figure(
        id="success",
        headline="Success held above 96% all month",
        sub="Days without finished runs are left out, not drawn as zero.",
        summary="Line chart of the success rate by day, between 97% and 99%.",
        value="percent",
        from_zero=False,
        series=[Series("Claims <a href='https://evil.example'>triage</a>", days, rates, kind="line")],
        numbers=Numbers(
            ["Day", "Success"],
            [
                [f"{day:%b} {day.day}", "no runs" if rate is None else f"{rate:.1%}"]
                for day, rate in zip(days, rates, strict=True)
            ],
        ),
    )


CURL = """curl https://usage.acme.example/api/v1/events \\
  -H "Authorization: Bearer ccs_live_7f3a…" \\
  -H "Content-Type: application/cloudevents+json" \\
  -d '{"specversion": "1.0", "id": "run-1", "source": "acme/worker", "type": "tokens",
       "subject": "northwind", "data": {"tokens": 1200, "workflow": "Claims triage"}}'"""
