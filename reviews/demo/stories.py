"""The demo's customers: who they are and how their usage runs, as plain data. Times are days before today."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from math import exp, pi, sin
from typing import Any

HISTORY_DAYS = 548  # eighteen months
ARCHIVE_AGO = 2
Terms = str | dict[str, Any]  # a price for a unit, or the terms of a price


@dataclass(frozen=True)
class Run:
    """How one workflow's day differs from its plan: factors on jobs, units per job and success; retries per job."""

    jobs: float = 1.0
    units: float = 1.0
    success: float = 1.0
    attempts: int = 1
    version: str = "2026.1"
    night: bool = False


Course = Callable[[int, date], Run]


@dataclass(frozen=True)
class WorkflowPlan:
    """A workflow on an ordinary weekday: `units` of the meter in all, spread over `jobs` events."""

    key: str
    name: str
    event_type: str
    units: int
    jobs: int
    outcomes: int
    outcome_unit: str
    stage: str = "production"
    success: float = 0.98
    target: str = ""  # of its success; "": five points below what is usual
    weekend: float = 0.45
    starts: int = HISTORY_DAYS  # days ago
    course: Course | None = None

    @property
    def success_target(self) -> Decimal:
        """What its success should be, as a share."""
        return Decimal(self.target) if self.target else Decimal(str(round(self.success - 0.05, 2)))


@dataclass(frozen=True)
class Story:
    """One account of the demo and the course its usage takes."""

    key: str
    name: str
    tells: str
    workflows: tuple[WorkflowPlan, ...]
    course: Course
    segment: str = "mid_market"
    tier: str = "standard"
    currency: str = "USD"
    timezone: str = "America/New_York"
    term_days_ago: int = 210
    term_days: int = 365
    csm: str = "priya"
    prices: dict[str, str] = field(default_factory=dict)  # contract rates by event type
    raised: dict[str, tuple[int, str]] = field(default_factory=dict)  # days ago from which another rate holds
    also_sent_as: str = ""  # a wrong name that some of its events carry: they are quarantined


def steady(days_ago: int, day: date) -> Run:
    return Run(units=1 + 0.03 * sin(days_ago / 23))


def growing(days_ago: int, day: date) -> Run:
    return Run(jobs=1, units=exp(-0.0034 * days_ago))


def shrinking(days_ago: int, day: date) -> Run:
    return Run(units=0.24 + 0.76 * min(1.0, max(0.0, (days_ago - 60) / 300)))


def spiking(days_ago: int, day: date) -> Run:
    """A backfill that nobody announced: one day at five times the usual, three days ago, on a new version."""
    return Run(jobs=2.0, units=2.6, version="2026.2-backfill") if days_ago == 3 else steady(days_ago, day)


def looping(days_ago: int, day: date) -> Run:
    """An agent that retries its own failures, at night as well, since three days ago."""
    return Run(jobs=2.2, success=0.42, attempts=6, version="2026.4-agent", night=True) if days_ago <= 3 else Run()


def creeping(days_ago: int, day: date) -> Run:
    """Scans that cannot be read are sent again and again: a tenth more each day since ten days ago."""
    run = growing(days_ago, day)
    return replace(run, units=run.units * 1.09 ** max(0, 10 - days_ago), version="2026.2-retry")


def falling_silent(days_ago: int, day: date) -> Run:
    """Their export stopped yesterday, and nobody of theirs noticed."""
    return Run(jobs=0) if days_ago <= 1 else steady(days_ago, day)


def archiving(days_ago: int, day: date) -> Run:
    """Two days ago a batch ran that had been announced."""
    run = shrinking(days_ago, day)
    return replace(run, jobs=2.0, units=run.units * 2, version="2026.1-archive") if days_ago == ARCHIVE_AGO else run


def tuned(days_ago: int, day: date) -> Run:
    """Prompt caching went live 45 days ago: the same work for a third less."""
    return Run(units=0.64, version="2026.3-cached") if days_ago <= 45 else Run()


def seasonal(days_ago: int, day: date) -> Run:
    """A retailer: a high season around the turn of the year and a busy end of each month."""
    year = 1 + 0.7 * sin(2 * pi * (day.timetuple().tm_yday + 110) / 365)
    return Run(units=max(0.25, year) * (1.35 if day.day >= 26 else 1.0))


def ramping(days_ago: int, day: date) -> Run:
    return Run(units=max(0.1, 1 - days_ago / 11))


def stalled(days_ago: int, day: date) -> Run:
    """Every call fails on authentication, so nothing billable has happened since the contract began."""
    return Run(jobs=0.4, success=0.0, units=0.0)


def _w(
    key: str, name: str, event_type: str, units: int, jobs: int, outcomes: int, unit: str, **more: object
) -> WorkflowPlan:
    return WorkflowPlan(key, name, event_type, units, jobs, outcomes, unit, **more)  # type: ignore[arg-type]


_NORTHWIND = (
    _w("invoice-ocr", "Invoice OCR", "doc.page", 14_200, 12, 2_350, "document", success=0.986),
    _w("claims-triage", "Claims triage", "llm.tokens", 27_000_000, 12, 310, "claim", success=0.955),
    _w("contract-search", "Contract search", "api.call", 28_500, 10, 1_060, "answer", success=0.991, course=tuned),
    _w("support-summaries", "Support summaries", "llm.tokens", 11_200_000, 10, 740, "summary", success=0.979),
    _w(
        "lead-enrichment",
        "Lead enrichment",
        "api.call",
        14_500,
        8,
        112,
        "lead",
        stage="pilot",
        success=0.912,
        starts=34,
    ),
)

ACME_STORIES = (
    Story(
        "northwind",
        "Northwind Robotics",
        "steady",
        _NORTHWIND,
        steady,
        "enterprise",
        "high_touch",
        prices={"doc.page": "0.0115"},
        raised={"doc.page": (4, "0.016")},
    ),
    Story(
        "helios",
        "Helios Freight",
        "overburner",
        (
            _w("dispatch-agent", "Dispatch agent", "llm.tokens", 96_000_000, 14, 1_900, "dispatch", success=0.972),
            _w(
                "bill-of-lading",
                "Bill of lading OCR",
                "doc.page",
                21_000,
                12,
                3_800,
                "document",
                success=0.988,
                course=creeping,
            ),
        ),
        growing,
        "enterprise",
        "high_touch",
        term_days_ago=146,
        timezone="America/Chicago",
    ),
    Story(
        "juniper",
        "Juniper Health",
        "underburner",
        (
            _w(
                "chart-summaries",
                "Chart summaries",
                "llm.tokens",
                30_000_000,
                12,
                640,
                "summary",
                success=0.969,
                course=archiving,
            ),
            _w(
                "prior-auth",
                "Prior authorization",
                "llm.tokens",
                12_000_000,
                8,
                90,
                "case",
                stage="pilot",
                success=0.93,
            ),
        ),
        shrinking,
        "enterprise",
        "high_touch",
        term_days_ago=150,
        csm="marco",
    ),
    Story(
        "cobalt",
        "Cobalt Analytics",
        "spike",
        (
            _w("report-writer", "Report writer", "llm.tokens", 42_000_000, 12, 520, "report", success=0.981),
            _w("data-labels", "Data labels", "api.call", 36_000, 10, 7_200, "label", success=0.994, course=steady),
        ),
        spiking,
        timezone="America/Los_Angeles",
        csm="marco",
    ),
    Story(
        "quanta",
        "Quanta Support",
        "loop",
        (
            _w("ticket-agent", "Ticket agent", "llm.tokens", 38_000_000, 14, 1_450, "ticket", success=0.961),
            _w("faq-search", "FAQ search", "api.call", 52_000, 10, 9_900, "answer", success=0.993, course=steady),
        ),
        looping,
        timezone="Europe/London",
        currency="GBP",
    ),
    Story(
        "orchid",
        "Orchid Legal",
        "stalled onboarding",
        (
            _w(
                "brief-drafts",
                "Brief drafts",
                "llm.tokens",
                8_000_000,
                10,
                60,
                "draft",
                stage="building",
                success=0.9,
                starts=24,
            ),
        ),
        stalled,
        "small",
        term_days_ago=25,
        csm="marco",
        also_sent_as="orchid-legal",
    ),
    Story(
        "meridian",
        "Meridian Insurance",
        "cost-tuned",
        (
            _w("policy-qa", "Policy Q&A", "llm.tokens", 64_000_000, 12, 4_100, "answer", success=0.984),
            _w(
                "fnol-intake",
                "Claim intake",
                "doc.page",
                9_600,
                10,
                1_300,
                "claim",
                success=0.977,
                course=falling_silent,
            ),
        ),
        tuned,
        "enterprise",
        "high_touch",
        timezone="America/New_York",
    ),
    Story(
        "lumen",
        "Lumen Retail",
        "seasonal",
        (
            _w("catalog-copy", "Catalog copy", "llm.tokens", 33_000_000, 12, 2_900, "description", success=0.982),
            _w("visual-search", "Visual search", "api.call", 61_000, 10, 13_000, "match", success=0.989),
        ),
        seasonal,
        timezone="Europe/Paris",
        currency="EUR",
    ),
    Story(
        "vertex",
        "Vertex Mobility",
        "exhausted commit",
        (
            _w("route-notes", "Route notes", "llm.tokens", 58_000_000, 12, 2_200, "note", success=0.975),
            _w("driver-chat", "Driver chat", "llm.tokens", 22_000_000, 10, 1_700, "conversation", success=0.958),
        ),
        growing,
        term_days_ago=320,
        timezone="America/Denver",
    ),
    Story(
        "pioneer",
        "Pioneer Energy",
        "new",
        (
            _w(
                "meter-reads",
                "Meter readings",
                "api.call",
                31_000,
                10,
                6_100,
                "reading",
                stage="pilot",
                success=0.967,
                starts=9,
            ),
        ),
        ramping,
        term_days_ago=11,
        timezone="Australia/Brisbane",
        currency="AUD",
        csm="marco",
    ),
)

GLOBEX_STORIES = (
    Story(
        "sakura",
        "Sakura Telecom",
        "steady",
        (_w("call-notes", "Call notes", "voice.minute", 5_200, 12, 610, "call", success=0.985),),
        steady,
        "enterprise",
        currency="JPY",
        timezone="Asia/Tokyo",
        csm="anika",
    ),
    Story(
        "ganga",
        "Ganga Logistics",
        "growing",
        (_w("ivr-bot", "Phone menu bot", "voice.minute", 3_100, 10, 880, "call", success=0.962),),
        growing,
        currency="EUR",
        timezone="Asia/Kolkata",
        csm="anika",
    ),
    Story(
        "fjord",
        "Fjord Bank",
        "steady",
        (_w("card-hotline", "Card hotline", "voice.minute", 1_900, 10, 240, "call", success=0.991),),
        steady,
        "mid_market",
        currency="EUR",
        timezone="Europe/Oslo",
        csm="anika",
    ),
)


@dataclass(frozen=True)
class MeterPlan:
    event_type: str
    name: str
    unit: str
    dimensions: tuple[str, ...]
    prices: dict[str, str]  # by currency, in the first month
    raised: dict[str, Terms] = field(default_factory=dict)  # from 200 days ago


@dataclass(frozen=True)
class Vendor:
    """An organization of the demo."""

    key: str
    name: str
    timezone: str
    currency: str
    brand_color: str
    meters: tuple[MeterPlan, ...]
    stories: tuple[Story, ...]


def _tiers(model: str, rows: tuple[tuple[str | None, str], ...]) -> dict[str, Any]:
    return {"model": model, "params": {"tiers": [{"up_to": up_to, "unit": unit} for up_to, unit in rows]}}


def _graduated(*rows: tuple[str | None, str]) -> dict[str, Any]:
    return _tiers("graduated", rows)


def _volume(*rows: tuple[str | None, str]) -> dict[str, Any]:
    return _tiers("volume", rows)


def _by_model(large: str, small: str) -> dict[str, Any]:
    cells = [
        {"values": [model], "terms": {"model": "unit", "params": {"unit": unit}}}
        for model, unit in (("large", large), ("small", small))
    ]
    return {"matrix": {"dimensions": ["model"], "cells": cells, "otherwise": cells[0]["terms"]}}


VENDORS = (
    Vendor(
        "acme-ai",
        "Acme AI",
        "America/New_York",
        "USD",
        "#5146e5",
        (
            MeterPlan(
                "llm.tokens",
                "Model tokens",
                "token",
                ("model",),
                {"USD": "0.0000045", "EUR": "0.0000042", "GBP": "0.0000036", "AUD": "0.0000068"},
                {
                    "USD": _graduated(("300000000", "0.0000042"), ("1000000000", "0.000004"), (None, "0.0000037")),
                    "EUR": _graduated(("500000000", "0.0000038"), (None, "0.0000035")),
                    "GBP": _by_model("0.0000044", "0.0000026"),
                    "AUD": "0.0000061",
                },
            ),
            MeterPlan(
                "doc.page",
                "Document pages",
                "page",
                (),
                {"USD": "0.012", "EUR": "0.011", "GBP": "0.0095", "AUD": "0.018"},
                {"USD": {"model": "package", "params": {"size": "1000", "price": "12"}}},
            ),
            MeterPlan(
                "api.call",
                "API calls",
                "call",
                ("region",),
                {"USD": "0.002", "EUR": "0.0019", "GBP": "0.0016", "AUD": "0.003"},
                {
                    "USD": _volume(("500000", "0.0021"), ("2000000", "0.0019"), (None, "0.0017")),
                    "EUR": {"model": "unit", "params": {"unit": "0.002"}, "free_units": "100000"},
                    "AUD": {"model": "unit", "params": {"unit": "0.003"}, "min_spend": "400"},
                },
            ),
        ),
        ACME_STORIES,
    ),
    Vendor(
        "globex-voice",
        "Globex Voice",
        "Asia/Kolkata",
        "EUR",
        "#0f766e",
        (
            MeterPlan(
                "voice.minute",
                "Voice minutes",
                "minute",
                (),
                {"EUR": "0.021", "JPY": "3.4", "USD": "0.023"},
                {"EUR": _graduated(("50000", "0.0215"), (None, "0.0195"))},
            ),
        ),
        GLOBEX_STORIES,
    ),
)
