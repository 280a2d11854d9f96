"""The product with one of its guarantees taken out: each must be caught, or the bench proves nothing.

Nothing of the product knows of them. A mutant is a Django app in a temporary folder that a settings module beside it
adds; it changes functions of the running processes when they start. Two change the database instead.
"""

from pathlib import Path
from textwrap import dedent

from benchmarks.harness import Stack

_SETTINGS = """
from consumption_cs.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "chaos_mutant"]
"""
_APP = """
from django.apps import AppConfig

class Mutant(AppConfig):
    name = "chaos_mutant"
    def ready(self):
        from chaos_mutant import change
        change.apply()
"""
_CHANGES = {
    # Rows that are worked on are not held: two workers count the same batch, or settle the same account.
    "no_row_lock": """
        import re
        import time

        def apply():
            from django.db.backends.utils import CursorWrapper
            from django.db.models import QuerySet
            plain = CursorWrapper.execute
            lock = re.compile(r"FOR (NO KEY )?UPDATE( OF \\\\w+)?( SKIP LOCKED)?")
            def execute(self, sql, params=None):
                if not isinstance(sql, str):
                    return plain(self, sql, params)
                if "advisory_xact_lock" in sql:
                    return plain(self, "SELECT true")
                found = plain(self, lock.sub("", sql), params)
                if "SKIP LOCKED" in sql:
                    time.sleep(0.2)
                return found
            CursorWrapper.execute = execute
            QuerySet.select_for_update = lambda self, *args, **kwargs: self._chain()
        """,
    # An alert is recorded with the money, but told in a transaction of its own, a moment later.
    "alert_outside_transaction": """
        import time

        def apply():
            from django.db import transaction
            from budgets.actions import outbox
            from consumption_cs.lib.tenancy import Viewer, act_as
            plain = outbox.tell
            def tell(organization_id, now, topic, alerts):
                def later():
                    time.sleep(0.5)
                    with act_as(Viewer(organization_id)):
                        plain(organization_id, now, topic, alerts)
                transaction.on_commit(later)
            outbox.tell = tell
        """,
    # The client is told “accepted” before the events are committed.
    "ack_before_commit": """
        import threading
        import time

        def apply():
            from django.db import connection
            from usage.actions import accept
            from usage.api import events
            plain = events.accept_events
            def accept_events(sender, items, now):
                def work():
                    time.sleep(0.5)
                    try:
                        plain(sender, items, now)
                    finally:
                        connection.close()
                threading.Thread(target=work, daemon=True).start()
                return accept.Accepted(len(items), len(items), 0, 0, 0, {})
            events.accept_events = accept_events
        """,
    # Nothing remembers which events came before.
    "no_unique_key": """
        import re

        def apply():
            from usage.actions import staging
            for name, value in list(vars(staging).items()):
                if isinstance(value, str) and "INSERT INTO usage_event_key" in value:
                    setattr(staging, name, value.replace("ON CONFLICT DO NOTHING RETURNING key", "RETURNING key"))
        """,
    "async_commit": "def apply():\n    pass\n",
}
MUTANTS = tuple(_CHANGES)
_KEYS = """
ALTER TABLE usage_event_key DROP CONSTRAINT IF EXISTS usage_event_key_pkey CASCADE;
ALTER TABLE usage_event DROP CONSTRAINT IF EXISTS usage_event_pkey CASCADE;
"""


def write(mutant: str, folder: Path) -> dict[str, str]:
    """Write the mutant's app into `folder`; return what the environment of the processes needs to load it."""
    app = folder / "chaos_mutant"
    app.mkdir(parents=True)
    (folder / "chaos_settings.py").write_text(_SETTINGS)
    (app / "__init__.py").write_text("")
    (app / "apps.py").write_text(_APP)
    (app / "change.py").write_text(dedent(_CHANGES[mutant]).replace("\\\\", "\\"))
    return {"DJANGO_SETTINGS_MODULE": "chaos_settings", "PYTHONPATH": str(folder)}


def change_database(mutant: str, stack: Stack) -> None:
    """What a mutant changes in the database itself, before the processes start."""
    import psycopg2

    statements = {
        "no_unique_key": _KEYS,
        # A commit is answered before it is on disk; the writer of the log is made lazy, as a busy disk would.
        "async_commit": "ALTER ROLE ccs_app SET synchronous_commit = off;",
    }
    if mutant not in statements:
        return
    connection = psycopg2.connect(stack.postgres.url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statements[mutant])
    connection.close()
    if mutant == "async_commit":
        stack.postgres.settings["wal_writer_delay"] = "10s"
        stack.postgres.stop()
        stack.postgres.start()
