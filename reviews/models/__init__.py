"""What the customer-success team knows and does about an account, on top of usage, money and alerts."""

from reviews.models.expansion import Candidate, CandidateStep, ExpansionCapacity
from reviews.models.incentives import IncentiveDispute
from reviews.models.ladder import GateTick, LadderCard, LadderRules, RungMove
from reviews.models.measures import AccountMetrics, HealthDay, HealthOverride, HealthRecipe, RecipeTrial, Signal
from reviews.models.outcomes import OutcomeAnswer, OutcomeTerms
from reviews.models.people import Attendance, Contact, Cover, QueueSnooze, SavedView, TimelineEntry
from reviews.models.plans import AdoptionPlan, Milestone, MilestoneNeed, Objective, PlanComment, PlanLink, PlanTemplate
from reviews.models.plays import Play, PlayEvent, PlayRun, PlayVersion, Task
from reviews.models.retention import BookTerms, CostProposal, LossEvidence, RenewalCall, StaffHours
from reviews.models.value_reviews import ReviewComment, ReviewCorrection, ReviewDraft, ReviewSignature, ValueReview

__all__ = [
    "AccountMetrics",
    "AdoptionPlan",
    "Attendance",
    "BookTerms",
    "Candidate",
    "CandidateStep",
    "Contact",
    "CostProposal",
    "Cover",
    "ExpansionCapacity",
    "GateTick",
    "HealthDay",
    "HealthOverride",
    "HealthRecipe",
    "IncentiveDispute",
    "LadderCard",
    "LadderRules",
    "LossEvidence",
    "Milestone",
    "MilestoneNeed",
    "Objective",
    "OutcomeAnswer",
    "OutcomeTerms",
    "PlanComment",
    "PlanLink",
    "PlanTemplate",
    "Play",
    "PlayEvent",
    "PlayRun",
    "PlayVersion",
    "QueueSnooze",
    "RecipeTrial",
    "RenewalCall",
    "ReviewComment",
    "ReviewCorrection",
    "ReviewDraft",
    "ReviewSignature",
    "RungMove",
    "SavedView",
    "Signal",
    "StaffHours",
    "Task",
    "TimelineEntry",
    "ValueReview",
]
