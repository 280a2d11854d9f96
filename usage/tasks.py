"""What Celery runs: thin, short, repeatable. Rows are the truth, a task is only a push."""

import logging
from datetime import datetime
from uuid import UUID

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from consumption_cs.lib.tenancy import Viewer
from usage.actions import retention, shadow
from usage.actions.imports import work
from usage.models import RateCardVersion

logger = logging.getLogger(__name__)


@shared_task
def make_partitions() -> None:
    """Keep the event table's partitions some months ahead."""
    retention.make_partitions(timezone.now())


@shared_task
def forget_old_rows() -> None:
    """Remove what is past its time."""
    retention.forget_old_rows(timezone.now())


@shared_task
def shadow_version(organization_id: str, version_id: str, run: str) -> None:
    """Rate every account's last month again with a draft's prices. A run that is not the newest does nothing."""
    try:
        shadow.compute_shadow(UUID(organization_id), UUID(version_id), run, timezone.now())
    except Exception:
        words = "The effect could not be computed. Try again; if it happens again, look at the worker’s log."
        shadow.fail_shadow(UUID(organization_id), UUID(version_id), run, words)
        raise


def request_shadow(viewer: Viewer, version: RateCardVersion, now: datetime) -> None:
    """Have the effect of a draft computed once the request's transaction is over."""
    run = shadow.start_shadow(viewer, version, now)
    arguments = (str(viewer.organization_id), str(version.pk), run)
    transaction.on_commit(lambda: _send(*arguments), robust=True)


def _send(organization_id: str, version_id: str, run: str) -> None:
    """A broker that is away leaves the run without progress, which the page says after a while."""
    try:
        shadow_version.apply_async((organization_id, version_id, run), retry=False)
    except shadow_version.OperationalError:
        logger.warning("shadow.not_sent version=%s", version_id)


@shared_task
def work_import(organization_id: str, import_id: str) -> None:
    """Take an import some seconds further, and queue the next task if there is more to do."""
    if work.work(UUID(organization_id), UUID(import_id), timezone.now):
        _push_import(organization_id, import_id)


@shared_task
def resume_imports() -> None:
    """Wake the imports whose worker is gone."""
    for organization_id, import_id in work.waiting(timezone.now()):
        _push_import(str(organization_id), str(import_id))


def request_import_work(organization_id: UUID, import_id: UUID) -> None:
    """Have a worker take up an import once the request's transaction is over."""
    arguments = (str(organization_id), str(import_id))
    transaction.on_commit(lambda: _push_import(*arguments), robust=True)


def _push_import(organization_id: str, import_id: str) -> None:
    """A broker that is away does not matter: `resume_imports` finds the import within a minute."""
    try:
        work_import.apply_async((organization_id, import_id), retry=False, expires=60)
    except work_import.OperationalError:
        logger.warning("import.not_sent import=%s", import_id)
