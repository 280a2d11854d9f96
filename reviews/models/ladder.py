"""The workflow ladder: what each rung asks for, what a person confirmed, and every move up or down with its evidence.

The rung a workflow stands on is `Workflow.stage`; only a confirmed `RungMove` changes it.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User
from usage.models import Workflow


class LadderRules(OrganizationOwned):
    """A version of the entry criteria of all rungs. Rows are only added; the greatest number is in force.

    `gates` is {rung: [{key, need}]}: `key` names a gate of reviews.calc.ladder.GATES, `need` is its threshold or null.
    """

    number = models.IntegerField()
    gates = models.JSONField()
    note = models.CharField(max_length=300, blank=True)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="ladder_rules_once"),
            models.CheckConstraint(condition=Q(number__gt=0), name="ladder_rules_number"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class LadderCard(AccountOwned):
    """Who moves a workflow on both sides, by when, and the result of the last check. One for each workflow.

    `gates` are those of the next rung as last checked: [{key, label, by, is_met, value, need}], in words of the
    account's currency and days. `holds_since`: the first day on which all of them were met and stayed so;
    `fails_since`: the first day on which the present rung's own were not. A check that fails keeps what was known and
    sets `could_not_check`.
    """

    workflow = models.OneToOneField(Workflow, on_delete=models.PROTECT, related_name="card")
    our_owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    their_owner = models.CharField(max_length=150, blank=True)
    next_gate_on = models.DateField(null=True, blank=True)
    remark = models.CharField(max_length=200, blank=True)  # what it waits for, in words; the customer reads it
    gates = models.JSONField(default=list)
    standing = models.JSONField(default=list)  # the present rung's own gates, as last checked
    holds_since = models.DateField(null=True)
    fails_since = models.DateField(null=True)
    checked_at = models.DateTimeField(null=True)
    data_through = models.DateTimeField(null=True)
    could_not_check = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "workflow"], name="ladder_card_once")]

    def __str__(self) -> str:
        return f"{self.workflow_id}"


class GateTick(AccountOwned):
    """That a person confirmed a gate which no data can tick. Taken back by `revoked_at`, never removed."""

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT)
    key = models.CharField(max_length=30)
    value = models.CharField(max_length=100, blank=True)  # a name, an amount: what the gate shows beside its tick
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    revoked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "workflow", "key"], condition=Q(revoked_at=None), name="gate_ticked_once"
            )
        ]

    def __str__(self) -> str:
        return self.key


class RungMove(AccountOwned):
    """A step up or down that the data proposes, or a person asks for, and what was decided. Never removed.

    `happened_on` is the day from which the data say so: a step back is recorded whether or not anybody confirms it.
    """

    class Kind(models.TextChoices):
        PROMOTION = "promotion", "Step up"
        DEMOTION = "demotion", "Step back"
        OVERRIDE = "override", "Set by a person"

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "No longer holds"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT)
    kind = models.CharField(max_length=9, choices=Kind)
    from_stage = models.CharField(max_length=12, choices=Workflow.Stage)
    to_stage = models.CharField(max_length=12, choices=Workflow.Stage)
    evidence = models.JSONField(default=list)  # the gates as they were: [{key, label, by, is_met, value, need}]
    happened_on = models.DateField()
    proposed_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.PROPOSED)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    expires_on = models.DateField(null=True)  # of an override: from then on the data propose again

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "workflow"], condition=Q(state="proposed"), name="rung_move_open_once"
            ),
            models.CheckConstraint(condition=~Q(from_stage=F("to_stage")), name="rung_move_moves"),
            models.CheckConstraint(
                condition=~Q(kind="override") | ~Q(reason="") & Q(expires_on__isnull=False),
                name="rung_override_has_reason",
                violation_error_message="Setting a rung by hand needs a reason and an end.",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at=None) | ~Q(state="proposed") & Q(decided_at__isnull=False),
                name="rung_move_decided_at",
            ),
        ]
        indexes = [models.Index(fields=["organization", "account", "-proposed_at"], name="rung_move_recent")]

    def __str__(self) -> str:
        return f"{self.from_stage} to {self.to_stage}"
