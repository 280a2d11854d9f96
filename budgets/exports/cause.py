"""Who carries a difference of spend, as a file."""

from collections.abc import Iterator, Mapping
from typing import Any

from consumption_cs.lib.csv_files import write_rows

_HEADER = ("what", "name", "group", "before", "after", "difference", "succeeded", "finished", "currency")


def cause_csv(card: Mapping[str, Any]) -> bytes:
    """Return the parts of a cause card and who carries them; both sets of rows add up to the difference."""
    return write_rows(_HEADER, _rows(card))


def _rows(card: Mapping[str, Any]) -> Iterator[list[str]]:
    currency = card["currency"]
    for part in card["parts"]:
        yield ["part", part["label"], "", "", "", part["amount"], "", "", currency]
    for row in card["rows"]:
        counts = [str(row["successes"]), str(row["finished"])]
        yield ["row", row["workflow"], row["group"], row["usual"], row["spent"], row["difference"], *counts, currency]
    if card.get("more_rows") and card.get("more"):
        more = card["more"]
        name = f"{card['more_rows']} more"
        yield ["row", name, "", more["usual"], more["spent"], more["difference"], "", "", currency]
    yield ["total", "", "", card["opening"], card["closing"], card["difference"], "", "", currency]
