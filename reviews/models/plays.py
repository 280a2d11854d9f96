"""Plays: what is done when a condition holds, by whom and until when; their runs, tasks and log."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import AccountOwned, OrganizationOwned, User, plain_key
from usage.models import Workflow, money_field


class Play(OrganizationOwned):
    """One way of answering a condition. What it says is in its versions; `key` is stable for integrations."""

    key = models.CharField(max_length=60, validators=[plain_key])
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="play_key_once")]

    def __str__(self) -> str:
        return self.name


class PlayVersion(OrganizationOwned):
    """What a play says. Rows are only added; the highest number holds, and a run keeps the one it began with.

    `entry` and `exit` are conditions that `reviews.calc.conditions` reads, null: by hand only. `steps` is
    [{"title", "detail", "within_days", "asks_customer"}].
    """

    class Owner(models.TextChoices):
        CSM = "csm", "CSM"
        FIELD_CTO = "field_cto", "Field CTO"
        FINANCE = "finance", "Finance"

    play = models.ForeignKey(Play, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    summary = models.TextField(blank=True)
    entry = models.JSONField(null=True)
    exit = models.JSONField(null=True)
    owner = models.CharField(max_length=10, choices=Owner, default=Owner.CSM)
    answer_hours = models.IntegerField(default=72)  # until the first step must be done
    per_workflow = models.BooleanField(default=False)
    steps = models.JSONField(default=list)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "play", "number"], name="play_version_once"),
            models.CheckConstraint(
                condition=Q(number__gt=0, answer_hours__gte=1, answer_hours__lte=2160),
                name="play_answer_within_90_days",
                violation_error_message="The first step is due within 1 hour to 90 days.",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class PlayRun(AccountOwned):
    """A play at work on an account, or on one workflow of it. The same play never runs twice on the same at once."""

    class Outcome(models.TextChoices):
        EXIT_MET = "exit_met", "Its exit was met"
        STOPPED = "stopped", "Stopped by a person"
        LOST = "lost", "The account was lost"

    play = models.ForeignKey(Play, on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey(PlayVersion, on_delete=models.PROTECT)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True)
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+"
    )  # null: by its condition
    evidence = models.JSONField(default=dict)  # what held when it began, in numbers and words
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    due_at = models.DateTimeField()  # of its first step
    at_risk = money_field(null=True)  # the account's money at risk when it began
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True)
    reason = models.TextField(blank=True)
    moved = money_field(null=True)  # how much less is at risk at its end than at its start
    currency = models.CharField(max_length=3)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "account", "play", "workflow"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="play_runs_once",
                violation_error_message="This play is running already.",
            ),
            models.UniqueConstraint(fields=["organization", "account", "id"], name="play_run_in_account"),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="play_run_ends_with_outcome",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "account", "-started_at"], name="play_run_recent"),
            models.Index(fields=["organization"], condition=Q(ended_at=None), name="play_run_open"),
        ]

    def __str__(self) -> str:
        return f"{self.play_id} from {self.started_at}"


class PlayEvent(AccountOwned):
    """A line in a run's log. Rows are only added."""

    class Kind(models.TextChoices):
        STARTED = "started", "Started"
        STEP_DONE = "step_done", "Step done"
        STEP_REOPENED = "step_reopened", "Step opened again"
        HANDED_OVER = "handed_over", "Handed over"
        LATE = "late", "Late"
        NOTED = "noted", "Note"
        ENDED = "ended", "Ended"

    run = models.ForeignKey(PlayRun, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=14, choices=Kind)
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    text = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "run", "at"], name="play_event_in_order")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class Task(AccountOwned):
    """Something to do for an account: a step of a run, or by itself. Shared ones the customer sees and may do."""

    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    run = models.ForeignKey(PlayRun, on_delete=models.PROTECT, null=True, related_name="tasks")
    step = models.IntegerField(null=True)  # of the run, from 0
    assigned_to = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    due_on = models.DateField(null=True)
    is_shared = models.BooleanField(default=False)
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    dropped_at = models.DateTimeField(null=True)  # no longer needed
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "run", "step"], name="task_of_step_once"),
            models.CheckConstraint(condition=Q(run=None, step=None) | Q(run__isnull=False), name="task_step_of_a_run"),
        ]
        indexes = [
            models.Index(
                fields=["organization", "assigned_to", "due_on"],
                condition=Q(done_at=None, dropped_at=None),
                name="task_open",
            ),
            models.Index(fields=["organization", "account"], name="task_of_account"),
        ]

    def __str__(self) -> str:
        return self.title
