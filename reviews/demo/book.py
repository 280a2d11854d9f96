"""What people of the demo know, said and agreed about its customers, as plain data. Times are days before today."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PersonPlan:
    """A person at the customer; `left` days ago, None: still there."""

    name: str
    role: str
    title: str
    email: str = ""
    left: int | None = None


@dataclass(frozen=True)
class Said:
    """An entry of the timeline; `who` are the first names of who took part, `by` the login of another than the CSM."""

    days_ago: int
    kind: str
    text: str
    sentiment: str = ""
    minutes: int | None = None
    who: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True)
class ToDo:
    """A task; due in so many days (below zero: it was due), done so many days ago."""

    title: str
    due_in: int
    done: int | None = None
    detail: str = ""
    is_shared: bool = False


@dataclass(frozen=True)
class Opinion:
    """What somebody thinks of the renewal of the term at hand."""

    days_ago: int
    opinion: str
    reason: str
    automated: str
    is_final: bool = False


@dataclass(frozen=True)
class Loss:
    """Why less is spent, approved when `approved` days ago."""

    kind: str
    starts: int
    amount_a_month: str
    note: str
    approved: int | None = None


@dataclass(frozen=True)
class Proposal:
    """A way to spend less; `done` days ago it began to work."""

    workflow: str
    title: str
    detail: str
    saving_a_month: str
    effort: str
    trade_off: str
    state: str = "proposed"
    made: int = 10
    done: int | None = None
    is_shared: bool = False


@dataclass(frozen=True)
class Known:
    """All that is known of one account beside its use."""

    people: tuple[PersonPlan, ...] = ()
    said: tuple[Said, ...] = ()
    tasks: tuple[ToDo, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    losses: tuple[Loss, ...] = ()
    proposals: tuple[Proposal, ...] = ()


BOOK: dict[str, Known] = {
    "northwind": Known(
        (
            PersonPlan("Dana Mercer", "champion", "Head of Automation", "dana@northwind.example"),
            PersonPlan("Felix Grant", "buyer", "Finance Director", "finance@northwind.example"),
            PersonPlan("Elif Kaya", "engineer", "Platform engineer", "engineer@northwind.example"),
            PersonPlan("Henrik Olsen", "executive", "Chief Operating Officer"),
        ),
        (
            Said(50, "review", "Value review: invoices are read for 40% less than in spring. Two more sites to come.",
                 "positive", 60, ("Dana", "Felix", "Henrik")),
            Said(47, "email", "Felix asked why October's statement has an adjustment. Sent him its events."),
            Said(33, "meeting", "Kick-off of lead enrichment. Pilot until the new year; success is 400 leads a week.",
                 "positive", 45, ("Dana", "Elif")),
            Said(12, "call", "Contract search is a third cheaper since caching. Dana shows it to Henrik.",
                 "positive", 25, ("Dana",)),
            Said(4, "note", "Henrik decides on renewals in February. Have the right-sizing ready by then."),
        ),
        (
            ToDo("Send the right-sizing of next term to Felix", 6, detail="Low, base and high, from the forecast."),
            ToDo("Announce the load test of contract search to on-call", 9),
            ToDo("Agree on the success of lead enrichment", -20, done=21),
            ToDo("Name who signs the renewal", 12, is_shared=True),
        ),
        (Opinion(30, "flat", "They grow on the workflows, and tune what is there: about the same.", "flat"),),
        (),
        (
            Proposal("claims-triage", "Triage the short claims with the small model",
                     "Seven in ten claims are below 2,000 tokens; the small model judges them alike.", "610", "days",
                     "Two points fewer agreed judgements on the long tail; those go to the large model again.",
                     state="accepted", made=18, is_shared=True),
            Proposal("invoice-ocr", "Skip pages without text", "Three in a hundred pages are blank backs.", "95",
                     "hours", "None that we know of.", made=9),
        ),
    ),
    "helios": Known(
        (
            PersonPlan("Maya Lindholm", "champion", "VP Dispatch", "maya@helios.example"),
            PersonPlan("Peter Oyelaran", "buyer", "Procurement", "peter@helios.example"),
            PersonPlan("Sun-hi Park", "engineer", "Lead engineer", "sunhi@helios.example"),
        ),
        (
            Said(62, "review", "Value review: 1,900 dispatches a day without a person. They want every depot on it.",
                 "positive", 50, ("Maya",)),
            Said(41, "call", "Growth is real: two depots a month. Peter has not planned for it.", "neutral", 30,
                 ("Maya", "Peter")),
            Said(16, "email", "Sent the date the commit ends at today's pace, with its range, to Maya and Peter.",
                 "", None, ("Maya", "Peter")),
            Said(6, "call", "Peter is not pleased that overage costs 1.2 times. He wants options, not a bill.",
                 "negative", 35, ("Peter",)),
        ),
        (
            ToDo("Three options for Peter: tune, top up, commit anew", 1),
            ToDo("Ask Sun-hi what a second model at night would do", 4),
        ),
        (Opinion(14, "grow", "Every depot by summer; the commit has to follow.", "grow"),),
        (),
        (
            Proposal("dispatch-agent", "Run the night's dispatches in one batch",
                     "Half of the tokens are the same instructions, sent 600 times a night.", "1450", "weeks",
                     "Dispatches between midnight and five come up to 20 minutes later.", made=11, is_shared=True),
            Proposal("bill-of-lading", "Do not read the same page twice",
                     "Three in a hundred pages are those of a few, sent again.", "180", "days",
                     "A page that was corrected under the same hash is not read again.", made=11),
        ),
    ),
    "juniper": Known(
        (
            PersonPlan("Dr. Alma Reyes", "champion", "Chief Medical Information Officer", "alma@juniper.example"),
            PersonPlan("Ken Watanabe", "buyer", "Director of IT", "ken@juniper.example"),
        ),
        (
            Said(58, "review", "Value review: good summaries, fewer of them. Two clinics left the group in summer.",
                 "neutral", 45, ("Dr. Alma", "Ken")),
            Said(55, "meeting", "Prior authorization could be ten times what it is; their records team is the limit.",
                 "positive", 40, ("Dr. Alma",)),
            Said(23, "email", "Ken asked what happens with what is not used by June.", "neutral", None, ("Ken",)),
            Said(9, "call", "Pilot of prior authorization stays with one clinic until the records team has time.",
                 "neutral", 20, ("Dr. Alma",)),
        ),
        (
            ToDo("Plan with the records team for prior authorization", 3, is_shared=True),
            ToDo("Right-size the commit early: show what half of it would do", 10),
        ),
        (Opinion(20, "at_risk", "They pay for twice what they use, and know it.", "at_risk"),),
    ),
    "cobalt": Known(
        (
            PersonPlan("Ines Duarte", "champion", "Head of Data", "ines@cobalt.example"),
            PersonPlan("Rob Tanner", "engineer", "Data engineer", "rob@cobalt.example"),
        ),
        (
            Said(70, "review", "Value review: reports leave a day earlier. They stay on the monthly plan.", "positive",
                 40, ("Ines",)),
            Said(28, "call", "A second team may want data labels; nothing decided.", "neutral", 20, ("Ines",)),
            Said(2, "call", "Rob started a backfill twice by mistake. They ask for a credit, once.", "negative", 15,
                 ("Rob", "Ines")),
        ),
        (ToDo("Show Rob how to announce a backfill", 2, is_shared=True),),
        (Opinion(25, "flat", "Content, and small.", "flat"),),
    ),
    "quanta": Known(
        (
            PersonPlan("Oliver Hale", "champion", "Head of Support", "oliver@quanta.example"),
            PersonPlan("Grace Adeyemi", "engineer", "Agent team", "grace@quanta.example"),
        ),
        (
            Said(66, "review", "Value review: 1,450 tickets a day. Next is an agent that asks back.", "positive", 45,
                 ("Oliver",)),
            Said(18, "meeting", "The new agent goes live in the week of the 20th. No load test was planned.",
                 "neutral", 30, ("Grace",)),
            Said(1, "call", "The new agent retries its own failures. Grace caps the retries.", "negative", 20,
                 ("Grace",)),
        ),
        (ToDo("Ask Grace when the cap on retries is live", 0), ToDo("Send Oliver what the loop cost", 2)),
        (Opinion(40, "flat", "Happy, but the pack was larger than what they use.", "flat"),),
        (),
        (
            Proposal("ticket-agent", "At most two tries of a ticket",
                     "Since the new version six of ten tries are repeats of failures.", "2900", "hours",
                     "A ticket that fails twice goes to a person.", made=1, is_shared=True),
        ),
    ),
    "orchid": Known(
        (
            PersonPlan("Olivia Brandt", "champion", "Partner, operations", "owner@orchid.example"),
            PersonPlan("Tim Becker", "engineer", "IT contractor"),
        ),
        (
            Said(25, "meeting", "Kick-off. First drafts were planned for day 10.", "positive", 60, ("Olivia", "Tim")),
            Said(13, "email", "Tim has a key; every call is refused. Asked him for the request.", "", None, ("Tim",)),
            Said(5, "call", "Tim works two days a week. Olivia is getting impatient.", "negative", 20, ("Olivia",),
                 "cto@acme"),
        ),
        (ToDo("Pair with Tim on the authentication", -1, is_shared=True),),
    ),
    "meridian": Known(
        (
            PersonPlan("Carla Rossi", "champion", "VP Claims", "carla@meridian.example", left=9),
            PersonPlan("Joel Freeman", "engineer", "Architect", "joel@meridian.example"),
            PersonPlan("Nadia Petrov", "buyer", "Vendor management", "nadia@meridian.example"),
        ),
        (
            Said(86, "meeting", "Joel wants prompt caching. We help: two workshops.", "positive", 90, ("Joel",),
                 "cto@acme"),
            Said(44, "email", "Caching is live: the same answers for a third less. Carla told their board.",
                 "positive", None, ("Carla", "Joel")),
            Said(31, "review", "Value review: the commit was lowered with the use, in good faith on both sides.",
                 "positive", 60, ("Carla", "Nadia")),
            Said(9, "email", "Carla leaves for another insurer. No successor is named.", "neutral", None, ("Carla",)),
        ),
        (ToDo("Ask Nadia who takes over from Carla", 1), ToDo("Meet Joel's manager", 8)),
        (Opinion(32, "flat", "Lower, and safe: they got it by working with us.", "flat"),),
        (Loss("assisted", 45, "2400", "Prompt caching, built with Joel in two workshops.", approved=30),),
        (
            Proposal("policy-qa", "Cache the fixed part of the prompt",
                     "Nine tenths of each prompt are the same policy texts.", "2400", "weeks",
                     "Policies that change are seen an hour later.", state="done", made=80, done=45, is_shared=True),
        ),
    ),
    "lumen": Known(
        (
            PersonPlan("Amélie Laurent", "champion", "E-commerce director", "amelie@lumen.example"),
            PersonPlan("Hugo Petit", "buyer", "Controller", "hugo@lumen.example"),
        ),
        (
            Said(64, "review", "Value review before the season. They know that winter is twice the summer.",
                 "positive", 50, ("Amélie", "Hugo")),
            Said(30, "call", "Season has begun two weeks early. Hugo looks at the burndown each Monday.", "positive",
                 20, ("Hugo",)),
            Said(8, "email", "Sent the likely date of the run-out with its range: January or early February.",
                 "", None, ("Hugo",)),
        ),
        (ToDo("Work out a top-up until the end of the term", 5), ToDo("Hugo tells his budget of the season", 7,
                                                                   is_shared=True)),
        (Opinion(28, "grow", "The season alone needs more than the commit.", "grow"),),
    ),
    "vertex": Known(
        (
            PersonPlan("Marta Kowalski", "champion", "Operations lead", "marta@vertex.example"),
            PersonPlan("Evan Brooks", "buyer", "Chief Financial Officer", "evan@vertex.example"),
        ),
        (
            Said(100, "email", "First notice that the commit ends in September.", "", None, ("Marta", "Evan")),
            Said(81, "call", "Evan waits for the next fiscal year. Overage is in writing.", "neutral", 30, ("Evan",)),
            Said(47, "review", "Value review: drivers love it; finance does not see why it costs more than agreed.",
                 "neutral", 45, ("Marta", "Evan")),
            Said(11, "call", "Third invoice with overage. Evan wants a new commit, at last year's rate.", "negative",
                 40, ("Evan",)),
        ),
        (ToDo("Order form for Evan, with the overage of three months beside it", -1),),
        (Opinion(15, "grow", "They will sign; the rate is what is open.", "at_risk"),),
    ),
    "pioneer": Known(
        (PersonPlan("Zoe Campbell", "champion", "Innovation manager", "zoe@pioneer.example"),),
        (
            Said(11, "meeting", "Kick-off. Keys were handed over in the call.", "positive", 45, ("Zoe",)),
            Said(8, "email", "First readings arrived on the second day.", "positive", None, ("Zoe",)),
        ),
        (ToDo("First look at results together", 6, is_shared=True),),
    ),
    "sakura": Known(
        (PersonPlan("Haruto Sato", "champion", "Contact centre director", "owner@sakura.example"),),
        (Said(60, "review", "Value review: steady, and they like that.", "positive", 40, ("Haruto",)),),
        (),
        (Opinion(35, "flat", "Nothing changes, on purpose.", "flat"),),
    ),
    "ganga": Known(
        (PersonPlan("Priti Shah", "champion", "Customer operations", "priti@ganga.example"),),
        (Said(20, "call", "Two more regions next quarter.", "positive", 30, ("Priti",)),),
    ),
}  # fmt: skip

# Days ago that somebody of the customer was last in the portal, by login.
SEEN = {
    "dana@northwind": 1, "finance@northwind": 6, "engineer@northwind": 2, "viewer@northwind": 19, "owner@sakura": 3,
}  # fmt: skip
HOURS = {"priya@acme": "30", "marco@acme": "24", "cto@acme": "20", "admin@globex": "16"}  # a week, for accounts
TIER_HOURS = {"high_touch": "3", "standard": "1.5", "self_serve": "0.25"}
AWAY, COVERED_BY, AWAY_IN, AWAY_DAYS = "marco@acme", "priya@acme", 9, 5
# What was said of the first early warning of each of these kinds.
JUDGED = {
    "concentration": "expected", "pacing_slow": "useful", "pacing_fast": "useful", "falling": "useful",
    "reliability": "useful", "champion": "useful", "spend_low": "wrong",
}  # fmt: skip
