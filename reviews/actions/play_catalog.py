"""Which plays an organization has, and what they say. Versions are only added; a run keeps the one it began with."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from accounts.actions.audit import audit
from accounts.permissions import require
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.conditions import ConditionError
from reviews.calc.conditions import check as check_condition
from reviews.calc.default_plays import DEFAULT_PLAYS
from reviews.calc.metrics import DEFINITIONS
from reviews.models import Play, PlayVersion

# What a play may go by. Margin is for those who may see it: the evidence of a run is read by everybody.
PLAYED_BY = tuple(name for name in DEFINITIONS if name != "margin_percent")
MOST_STEPS = 10
MOST_PLAYS = 60


@dataclass(frozen=True, slots=True)
class PlayText:
    """What a version of a play says; conditions and steps as PlayVersion keeps them."""

    summary: str = ""
    entry: dict[str, Any] | None = None
    exit: dict[str, Any] | None = None
    owner: str = PlayVersion.Owner.CSM
    answer_hours: int = 72
    per_workflow: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)


def ensure_plays(organization_id: UUID) -> None:
    """Make the ten plays where the organization has none of them yet; one query when it has. Again changes nothing."""
    there = set(Play.objects.filter(organization_id=organization_id).values_list("key", flat=True))
    missing = [one for one in DEFAULT_PLAYS if one.key not in there]
    if not missing:
        return
    Play.objects.bulk_create(
        [Play(organization_id=organization_id, key=one.key, name=one.name) for one in missing], ignore_conflicts=True
    )
    made = dict(
        Play.objects.filter(organization_id=organization_id, key__in=[one.key for one in missing]).values_list(
            "key", "pk"
        )
    )
    PlayVersion.objects.bulk_create(
        [
            PlayVersion(
                organization_id=organization_id,
                play_id=made[one.key],
                number=1,
                summary=one.summary,
                entry=one.entry,
                exit=one.exit,
                owner=one.owner,
                answer_hours=one.answer_hours,
                per_workflow=one.per_workflow,
                steps=[step.as_data() for step in one.steps],
            )
            for one in missing
        ],
        ignore_conflicts=True,
    )


def add_play(viewer: Viewer, name: str, text: PlayText) -> Play:
    """Add a play of the organization's own; its key is made of its name. Raises ValidationError in words."""
    require(viewer, "play.manage")
    _checked(text)
    name = name.strip()
    with transaction.atomic():
        own = Play.objects.filter(organization_id=viewer.organization_id)
        if own.count() >= MOST_PLAYS:
            raise ValidationError(f"An organization has {MOST_PLAYS} plays at most.")
        if not name or own.filter(name__iexact=name).exists():
            raise ValidationError("Give it a name that no other play has.")
        key = slugify(name).replace("-", "_")[:50] or "play"
        taken = {"new", "preview", *own.filter(key__startswith=key).values_list("key", flat=True)}
        free = next(one for one in (key, *(f"{key}_{number}" for number in range(2, 99))) if one not in taken)
        play: Play = Play.objects.create(organization_id=viewer.organization_id, key=free, name=name)
        _add_version(viewer, play, 1, text)
    audit(viewer, "play.add", play, play.name)
    return play


def change_play(viewer: Viewer, play: Play, text: PlayText) -> PlayVersion:
    """Let a play say something else from now on: runs go on with the version they began with.

    The same text again adds nothing. Raises ValidationError in words.
    """
    require(viewer, "play.manage")
    _checked(text)
    with transaction.atomic():
        Play.objects.select_for_update().get(organization_id=viewer.organization_id, pk=play.pk)
        last = (
            PlayVersion.objects.filter(organization_id=viewer.organization_id, play=play).order_by("-number").first()
        )
        if last is not None and _text_of(last) == text:
            found: PlayVersion = last
            return found
        version = _add_version(viewer, play, last.number + 1 if last else 1, text)
    audit(viewer, "play.change", play, play.name, {"version": version.number})
    return version


def set_active(viewer: Viewer, play: Play, is_active: bool) -> None:
    """Switch a play on or off. What runs goes on; off, nothing begins by its condition."""
    require(viewer, "play.manage")
    held = Play.objects.select_for_update().get(organization_id=viewer.organization_id, pk=play.pk)
    if held.is_active != is_active:
        held.is_active = is_active
        held.save(update_fields=["is_active"])
        audit(viewer, "play.on" if is_active else "play.off", held, held.name)
    play.is_active = is_active


def _add_version(viewer: Viewer, play: Play, number: int, text: PlayText) -> PlayVersion:
    version = PlayVersion(
        organization_id=viewer.organization_id,
        play=play,
        number=number,
        summary=text.summary,
        entry=text.entry,
        exit=text.exit,
        owner=text.owner,
        answer_hours=text.answer_hours,
        per_workflow=text.per_workflow,
        steps=text.steps,
        created_by_id=viewer.user_id,
    )
    version.full_clean(exclude=["play", "organization", "created_by", "entry", "exit"])
    version.save()
    return version


def _text_of(version: PlayVersion) -> PlayText:
    names = ("summary", "entry", "exit", "owner", "answer_hours", "per_workflow", "steps")
    return PlayText(**{name: getattr(version, name) for name in names})


def _checked(text: PlayText) -> None:
    for name, condition in (("entry", text.entry), ("exit", text.exit)):
        if condition is not None:
            try:
                check_condition(condition, PLAYED_BY)
            except ConditionError as error:
                raise ValidationError({name: str(error)}) from error
    if text.entry is not None and text.exit is None:
        raise ValidationError({"exit": "Say when it ends: a play that begins by its condition ends by one."})
    if not text.steps:
        raise ValidationError({"steps": "A play needs at least one step."})
    if len(text.steps) > MOST_STEPS:
        raise ValidationError({"steps": f"A play has {MOST_STEPS} steps at most."})
