"""Why a row cannot be imported, in words, and what to do about it."""

from usage.calc.event_reasons import QUARANTINED, REJECTED, Reason

_ROWS = {
    "unknown_subject": Reason(
        "No account has this key", "Add the account, or correct the key in the file. Then check the file again."
    ),
    "unknown_type": Reason(
        "No meter has this key or type", "Add the meter, or correct it in the file. Then check the file again."
    ),
    "no_time": Reason("The time is missing", "Give each row the time at which the event happened, with an offset."),
    "same_id": Reason("An id stands twice with other content", "Give every event an id of its own."),
    "was_corrected": Reason(
        "The event was taken back before", "Use another id, or another source for the whole file: an id counts once."
    ),
    "differs": Reason("The event is there with other content", "Give the row another id; the window does the rest."),
    "outside_window": Reason(
        "The event lies outside the window", "Leave it out, or choose a window (meter, accounts, days) that holds it."
    ),
    "malformed_csv": Reason("The row is no CSV", "Write the file with a CSV library; look at its quotation marks."),
    "too_many_cells": Reason("The row has too many cells", "Put texts with commas in quotation marks."),
    "unstorable": Reason("The database cannot store the event", "Look for absurd values in the row."),
    "not_utf8": Reason("The row is not UTF-8", "Save the file as UTF-8."),
    "malformed_json": Reason("The line is no JSON", "Write one JSON object on each line."),
}


def row_reason(code: str) -> Reason:
    """Return what is wrong with rows of this code, and what to do."""
    other = QUARANTINED.get(code) or REJECTED.get(code)
    unknown = Reason(code.replace("_", " ").capitalize(), "Correct the row and import the file anew.")
    return _ROWS.get(code) or other or unknown
