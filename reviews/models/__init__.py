"""What the customer-success team knows and does about an account, on top of usage, money and alerts."""

from reviews.models.measures import AccountMetrics, HealthDay, HealthOverride, HealthRecipe, RecipeTrial, Signal
from reviews.models.people import Attendance, Contact, Cover, QueueSnooze, SavedView, TimelineEntry
from reviews.models.plays import Play, PlayEvent, PlayRun, PlayVersion, Task
from reviews.models.retention import BookTerms, CostProposal, LossEvidence, RenewalCall, StaffHours

__all__ = [
    "AccountMetrics",
    "Attendance",
    "BookTerms",
    "Contact",
    "CostProposal",
    "Cover",
    "HealthDay",
    "HealthOverride",
    "HealthRecipe",
    "LossEvidence",
    "Play",
    "PlayEvent",
    "PlayRun",
    "PlayVersion",
    "QueueSnooze",
    "RecipeTrial",
    "RenewalCall",
    "SavedView",
    "Signal",
    "StaffHours",
    "Task",
    "TimelineEntry",
]
