"""A published value review on paper, set by typst from what its page shows."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import typst

from budgets.exports.pdf_packing import packed
from reviews.models import ValueReview
from reviews.reports.review_page import margin_text, shown

PAPERS = {"a4": "a4", "letter": "us-letter"}
_TEMPLATE = Path(__file__).with_name("review.typ").read_bytes()


def review_pdf(review: ValueReview, paper: str = "a4") -> bytes:
    """Return the PDF on A4 or Letter. Its date is the as-of, its fonts are typst's own: a review gives the same bytes
    for ever. Raises KeyError for another paper."""
    page = shown(review.content, review.hash)
    as_of = datetime.fromisoformat(review.content["figures"]["as_of"])
    told: dict[str, Any] = {
        "title": f"{page['name']}, {page['account']}",
        "page": page,
        "margin": margin_text(review.content, review.hash),
        "date": [as_of.year, as_of.month, as_of.day],
        "paper": PAPERS[paper],
    }
    made: bytes = typst.compile(
        _TEMPLATE,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(told, ensure_ascii=False, default=str)},
        timestamp=int(as_of.timestamp()),
    )
    return packed(made)
