"""What the demo's customers set out to do, what an outcome is worth to them, and what they could do next.

Days are before the day the stories are told; money is in the account's currency.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worth:
    """What one outcome of a workflow is worth, and whether the customer's owner has confirmed it."""

    workflow: str
    value: str
    definition: str
    basis: str
    lag_days: int = 0
    is_confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Idea:
    """A workflow that is not in production yet: its rung, owner on the customer's side and what it waits for."""

    name: str
    unit: str
    rung: str
    owner: str
    value: str
    weeks: str
    evidence: str
    spend: str
    remark: str = ""
    obstacles: tuple[str, ...] = ()
    known: str = ""
    state: str = "proposed"
    ticks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One account's value: outcomes, ideas, owners by workflow, the days on which reviews were published."""

    worths: tuple[Worth, ...] = ()
    ideas: tuple[Idea, ...] = ()
    owners: tuple[tuple[str, str], ...] = ()
    reviewed: tuple[int, ...] = ()  # days ago, the earliest first; each of the quarter that had ended by then
    signed_by: tuple[str, ...] = ()
    draft: bool = False


VALUE: dict[str, Account] = {
    "northwind": Account(
        worths=(
            Worth("Invoice OCR", "0.42", "An invoice booked without a correction", "45 seconds of a clerk at $34"),
            Worth("Claims triage", "3.10", "A claim decided without a person", "Six minutes of a clerk at $31", 2),
            Worth("Contract search", "0.25", "A question answered with its clause", "30 seconds of counsel"),
            Worth("Support summaries", "0.15", "A ticket summed up", "20 seconds of an agent", 0, False),
        ),
        ideas=(
            Idea(
                "Supplier onboarding checks", "supplier", "idea", "Ines", "2600", "2", "0.7", "240",
                remark="Slot booked with the supplier desk", known="Same reader as Invoice OCR",
                state="agreed", ticks=(("owner", "Ines"), ("value", "$2,600"), ("access", "granted")),
            ),
            Idea(
                "Warranty claim drafting", "letter", "building", "Dana", "7400", "5", "0.6", "1150",
                remark="Legal has not cleared letters", obstacles=("Legal clearance",),
                known="83 test runs, 74 accepted unedited", ticks=(("owner", "Dana"),),
            ),
            Idea(
                "Returns inspection notes", "note", "idea", "Dana", "9800", "6", "0.4", "1600",
                remark="Waits on photo access", obstacles=("Photo access", "No test set"),
                known="30 samples read by hand", state="found", ticks=(("owner", "Dana"), ("value", "$9,800")),
            ),
        ),
        owners=(("Invoice OCR", "Ines"), ("Claims triage", "Dana"), ("Contract search", "Leo"),
                ("Support summaries", "Ines"), ("Lead enrichment", "Leo")),
        reviewed=(139, 50),
        signed_by=("finance@northwind", "viewer@northwind"),
        draft=True,
    ),
    "helios": Account(
        ideas=(Idea("Customs papers", "paper", "idea", "Henrik", "6400", "4", "0.5", "900",
                    obstacles=("Access to the broker's portal",), known="Asked for twice this year"),),
        reviewed=(62,),
    ),
    "juniper": Account(reviewed=(58,)),
    "cobalt": Account(
        ideas=(Idea("Board pack drafts", "pack", "idea", "Rosa", "1800", "2", "0.4", "210", state="found"),),
        reviewed=(70,),
    ),
    "sakura": Account(
        ideas=(Idea("Complaint routing", "complaint", "idea", "Haruto", "480000", "3", "0.6", "62000"),),
    ),
}  # fmt: skip
