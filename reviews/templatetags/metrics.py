"""What a metric means, beside its name: `{% metric_label "pacing" %}`. A built-in of all templates."""

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.templatetags.ui import icon
from reviews.calc.metrics import DEFINITIONS
from reviews.calc.recipes import DEFAULT

register = template.Library()
_OF_MEASURES = {row["name"]: row["metric"] for row in DEFAULT["measures"]}


@register.simple_tag(takes_context=True)
def metric_label(context: Context, name: str, label: str = "") -> SafeString:
    """The label of a metric, or of a measure of health, with a button that shows its formula and edges.

    `label` replaces the definition's own. Without a script: the browser's popover, by mouse, touch and keyboard.
    Customers get the label alone.
    """
    metric = name if name in DEFINITIONS else _OF_MEASURES.get(name, "")
    viewer = context.get("viewer")
    if not metric or viewer is None or viewer.is_portal:
        return format_html("{}", label or (DEFINITIONS[metric].label if metric else name))
    definition = DEFINITIONS[metric]
    said = label or definition.label
    place = f"means-{metric}-{_next(context)}"
    return format_html(
        '<span class="means"><span>{label}</span>&#8288;<button class="means-b" type="button" popovertarget="{place}"'
        ' aria-label="What {label} means">{icon}</button><span class="means-p" id="{place}" popover role="note">'
        '<b>{title}</b><span>{formula}</span>{edges}<a href="{url}#{metric}">All metrics</a></span></span>',
        label=said,
        place=place,
        icon=icon("info", size="sm"),
        title=definition.label,
        formula=definition.formula,
        edges=format_html("<small>{}</small>", definition.edges) if definition.edges else "",
        url=reverse("reviews:metrics"),
        metric=metric,
    )


def _next(context: Context) -> int:
    """A number that no other label of the page has, in whichever of its templates it stands."""
    request = context.get("request")
    number = getattr(request, "labels_shown", 0) + 1
    if request is not None:
        request.labels_shown = number
    return number
