"""The command that sends a first event, for pages of the apps below this one."""

from django import template
from django.conf import settings
from django.template import Context

from usage.reports.first_event import FirstEvent, first_event

register = template.Library()


@register.simple_tag(takes_context=True)
def first_event_with(context: Context, secret: str) -> FirstEvent:
    """`{% first_event_with secret as first %}`: the command with this key, a meter and an account that exist."""
    return first_event(context["viewer"], None, settings.SITE_URL, secret)
