"""Statements for routes that must answer within milliseconds: planned once a connection, one round trip each."""

import re
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection
from psycopg2.errors import DuplicatePreparedStatement, InvalidSqlStatementName

from consumption_cs.lib.tenancy import Viewer, settings_of

_NAMED = re.compile(r"%\((\w+)\)s")


class Prepared:
    """One SELECT with named arguments, `%(name)s`, whose types must follow from the statement.

    Planning costs several times as much as finding a few rows by their keys, so the server keeps one plan for all
    arguments: only for statements that find rows by keys whatever these are.
    """

    def __init__(self, name: str, statement: str) -> None:
        self.statement, self.name = statement, name
        self.arguments = list(dict.fromkeys(_NAMED.findall(statement)))
        numbered = _NAMED.sub(lambda found: f"${self.arguments.index(found[1]) + 1}", statement)
        self._prepare = f"PREPARE {name} AS {numbered}"
        arguments = ", ".join(f"%({one})s" for one in self.arguments)
        self._execute = f"SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE {name} ({arguments})"
        self._known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # connections that have it

    def rows(self, viewer: Viewer, named: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Return what it finds among `viewer`'s rows. Outside of a transaction; within one it enters the viewer.

        Statements that are sent together share a transaction, so what `viewer` may see ends with the answer.
        """
        if connection.in_atomic_block:  # where a plan that is gone would end the transaction
            return _run(viewer, self.statement, named)
        connection.ensure_connection()
        if connection.connection not in self._known:
            self._teach()
        try:
            return _run(viewer, self._execute, named)
        except DatabaseError as error:
            if not isinstance(error.__cause__, InvalidSqlStatementName):
                raise
        self._teach()  # a pooler gave us another of the server's connections
        return _run(viewer, self._execute, named)

    def _teach(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(self._prepare)
        except DatabaseError as error:
            if not isinstance(error.__cause__, DuplicatePreparedStatement):
                raise
        self._known[connection.connection] = True


def _run(viewer: Viewer, statement: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    settings = settings_of(viewer)
    locals_ = "".join(f"SET LOCAL {name} = %(_{number})s; " for number, name in enumerate(settings))
    values = {f"_{number}": value for number, value in enumerate(settings.values())}
    with connection.cursor() as cursor:
        cursor.execute(locals_ + statement, named | values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
