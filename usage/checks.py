"""Refusing to start where tenants would not be kept apart, or where Django would use another driver than we test."""

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

logger = logging.getLogger(__name__)

_ROLE = """
SELECT current_user, rolsuper, rolbypassrls, ARRAY(
    SELECT relname::text FROM pg_class
    WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND relnamespace = 'public'::regnamespace
        AND pg_has_role(current_user, relowner, 'MEMBER')
    ORDER BY relname LIMIT 3)
FROM pg_roles WHERE rolname = current_user
"""


@register(Tags.compatibility)
def check_driver(app_configs: Any = None, **options: Any) -> list[CheckMessage]:
    """psycopg 3 must not be installed: Django prefers it silently, and COPY and arrays work differently there."""
    if find_spec("psycopg") is None:
        return []
    return [Error("psycopg 3 is installed beside psycopg2.", hint="pip uninstall psycopg", id="usage.E001")]


@register(Tags.database)
def check_role(app_configs: Any = None, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """The application's role must be one that row-level security binds: no superuser, no owner of tables."""
    if "default" not in (databases or ()):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ROLE)
        role, is_superuser, bypasses, owned = cursor.fetchone()
    wrong = {
        "usage.E002": is_superuser and "is a superuser",
        "usage.E003": bypasses and "has BYPASSRLS",
        "usage.E004": owned and f"owns tables or may become their owner ({', '.join(owned)}, …)",
    }
    return [
        Error(
            f"The role {role} of DATABASE_URL {what}: row-level security would not keep tenants apart.",
            hint="Use a role that only has rights on the tables, and migrate as their owner (DATABASE_OWNER_URL).",
            id=code,
        )
        for code, what in wrong.items()
        if what
    ]


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured unless this process may serve tenants. To be called by each when it starts.

    Without a database there is nothing to protect yet: then the process starts, and answers 503 until there is one.
    """
    try:
        errors = [*check_driver(), *check_role(databases=["default"])]
    except OperationalError as error:
        logger.warning("The database cannot be reached yet, its role is not checked: %s", error)
        return
    finally:
        connection.close()  # or a web server would hand this connection on to the processes it forks
    if errors:
        raise ImproperlyConfigured(" ".join(str(error.msg) for error in errors))
