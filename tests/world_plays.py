"""A play at work on an account of the world, with a task and a log."""

from datetime import datetime, timedelta

from accounts.models import Account, User
from reviews.models import Play, PlayEvent, PlayRun, PlayVersion, Task
from usage.models import Workflow


def make_run(account: Account, workflow: Workflow, owner: User, canary: str, now: datetime) -> PlayRun:
    """One running play of the organization's own, all of whose texts contain the canary."""
    organization = account.organization
    key = canary.lower()
    play = Play.objects.create(organization=organization, key=key, name=f"{canary} play")
    title = f"{canary} step"
    step = {"title": title, "detail": canary, "within_days": 3, "asks_customer": False}
    version = PlayVersion.objects.create(
        organization=organization,
        play=play,
        number=1,
        summary=canary,
        entry={"metric": "pacing", "op": ">", "value": 1.25},
        exit={"metric": "pacing", "op": "<", "value": 1.15},
        steps=[step],
    )
    run = PlayRun.objects.create(
        organization=organization,
        account=account,
        play=play,
        version=version,
        workflow=workflow,
        started_at=now,
        owner=owner,
        due_at=now + timedelta(days=3),
        evidence={"because": [f"{canary} is 1.31"], "numbers": {}},
        currency=account.currency,
    )
    own = {"organization": organization, "account": account, "run": run}
    Task.objects.create(**own, step=0, title=title, detail=canary, assigned_to=owner, due_on=now.date())
    PlayEvent.objects.create(**own, kind=PlayEvent.Kind.STARTED, at=now, text=canary)
    return run
