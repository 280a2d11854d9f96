"""Tell workers that there is work. A mere hint: ticks find it anyway, so this may fail but must never wait."""

import logging
import threading
import time
from uuid import UUID

from django.conf import settings
from kombu import Connection

from consumption_cs.celery import app

ROLL_UP, DELIVERY = "budgets.tasks.catch_up", "budgets.tasks.deliver_all"  # the tasks; `ROUTES` has their queues
LEAST_GAP = 0.5  # seconds between two hints of one process for the same
PAUSE_AFTER_FAILURE = 5.0

_TRANSPORT = {"max_retries": 0, "socket_connect_timeout": 0.2, "socket_timeout": 0.5, "retry_on_timeout": False}

logger = logging.getLogger(__name__)


class _Waker:
    """Coalesces: at most two of the same hints a second, none for five seconds after the broker failed."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._last: dict[tuple[str, ...], float] = {}  # the task with its arguments
        self._paused_until = 0.0
        self._busy = threading.Lock()  # the connection is for one thread at a time

    def wake(self, *hint: str) -> bool:
        """Send a task, the first of `hint`, with the others as its arguments."""
        now = time.monotonic()
        if now < self._paused_until or now - self._last.get(hint, -LEAST_GAP) < LEAST_GAP:
            return False
        if not self._busy.acquire(blocking=False):
            return False
        try:
            self._last[hint] = now
            self._publish(*hint)
        except Exception as error:  # whatever a broker can do, the events are safe and the tick will find them
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE
            self._connection = None
            logger.warning("wakeup.failed error=%s", error)
            return False
        finally:
            self._busy.release()
        return True

    def _publish(self, task: str, *arguments: str) -> None:
        if self._connection is None:
            self._connection = Connection(settings.CELERY_BROKER_URL, transport_options=_TRANSPORT)
        app.send_task(task, args=arguments, connection=self._connection, retry=False, ignore_result=True, expires=5)


_waker = _Waker()


def wake_roll_up(organization_id: UUID) -> bool:
    """Publish a hint after a commit. Returns whether one was sent. Costs 0.7 s at the very worst, once in 5 s."""
    return _waker.wake(ROLL_UP, str(organization_id))


def wake_delivery() -> bool:
    """The same for messages that have just been written."""
    return _waker.wake(DELIVERY)


def load() -> None:
    """Import and build what the first hint needs, so that no request waits for it. Says nothing to the broker."""
    app.finalize()
    app.amqp.router  # noqa: B018 - built when first asked for
    Connection(settings.CELERY_BROKER_URL, transport_options=_TRANSPORT).transport  # noqa: B018 - as above
