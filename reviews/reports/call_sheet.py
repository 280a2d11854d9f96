"""What to have in hand for a call: the questions to ask with why, and what waits between both sides."""

from dataclasses import dataclass

from consumption_cs.lib.tenancy import Viewer
from reviews.calc.questions import questions
from reviews.calc.queue import Due, reasons
from reviews.models import BookTerms, Contact
from reviews.reports.brief import Brief
from reviews.reports.people import People
from reviews.reports.queue import numbers_of
from reviews.reports.queue_words import sentence
from reviews.reports.value_due import Due as Waiting
from reviews.reports.value_due import value_due
from usage.reports.overview_words import short_date


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask, and what in the data asks for it; "" where nothing does."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class CallSheet:
    """`waiting`: what is due in plans, values and signatures, the oldest first."""

    questions: list[Question]
    waiting: list[Waiting]


def call_sheet(viewer: Viewer, found: Brief, people: People) -> CallSheet:
    """Return it for a brief and its people. Five queries."""
    terms = BookTerms.objects.visible_to(viewer).first() or BookTerms()
    why = reasons(numbers_of(found.found), Due(), onboarding_days=terms.onboarding_days)
    words = {one.key: sentence((one,), found.found, found.today) for one in why}
    waiting = sorted(value_due(viewer, found.today).get(found.account.pk, []), key=lambda one: (one.on, one.title))
    words |= {one.kind: f"{one.title}, {one.words} since {short_date(one.on)}." for one in reversed(waiting)}
    words["champion"] = "No champion is known."
    champions = [one for one in people.there if one.contact.role == Contact.Role.CHAMPION]
    asked = questions([one.key for one in why], [one.kind for one in waiting], has_champion=bool(champions))
    return CallSheet([Question(text, words.get(key, "")) for key, text in asked], waiting)
