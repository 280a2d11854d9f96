"""The share of outcomes that ranges held, by month."""

from budgets.reports.forecast_accuracy import AccuracyReport
from consumption_cs.lib.display import percent_text
from consumption_cs.lib.figures import Figure, Numbers, Rule, Series


def coverage_chart(found: AccuracyReport) -> Figure | None:
    """Coverage of the 30-day range by the month the forecast was made; None without scores."""
    if not found.by_month:
        return None
    held = sum(share * count for _, share, count in found.by_month) / sum(count for _, _, count in found.by_month)
    headline = f"Ranges held {percent_text(held, places=0)} of outcomes; 8 in 10 is right"
    return Figure(
        id="coverage",
        headline=headline,
        sub="30-day forecasts, by the month they were made in.",
        summary=f"{headline}. A table below has the numbers.",
        series=[
            Series("Held", [f"{month:%b %Y}" for month, _, _ in found.by_month], [s for _, s, _ in found.by_month])
        ],
        rules=[Rule("8 in 10", y=0.8)],
        value="percent",
        numbers=Numbers(
            ["Month", "Held", "Scores"],
            [[f"{month:%b %Y}", percent_text(share, places=0), str(count)] for month, share, count in found.by_month],
        ),
    )
