"""The two database roles and the database, made by an administrator's connection. Repeatable."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

OWNER = "ccs_owner"
APP = "ccs_app"
# What the app may do with everything that the owner makes from now on; not TRUNCATE, REFERENCES or TRIGGER.
APP_MAY = {
    "TABLES": "SELECT, INSERT, UPDATE, DELETE",
    "SEQUENCES": "USAGE, SELECT",
    "FUNCTIONS": "EXECUTE",
}


@dataclass(frozen=True)
class Addresses:
    """Of one database, for the role that serves and the role that migrates."""

    app: str
    owner: str

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.app, "DATABASE_OWNER_URL": self.owner}


def provision(admin_url: str, database: str, passwords: dict[str, str]) -> Addresses:
    """Make both roles, the database and its default privileges, or bring them to that state.

    `admin_url` is of a role that may create roles and databases; `passwords` has one for each of OWNER and APP.
    Neither role gets SUPERUSER or BYPASSRLS, and APP owns nothing. Raises psycopg2.Error.
    """
    with administering(admin_url) as cursor:
        for role in (OWNER, APP):
            _make_role(cursor, role, passwords[role])
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
        if not exists(cursor, database):
            cursor.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(OWNER))
            )
    with administering(address(admin_url, database)) as cursor:
        _grant(cursor, database)
    addresses = Addresses(
        app=address(admin_url, database, APP, passwords[APP]),
        owner=address(admin_url, database, OWNER, passwords[OWNER]),
    )
    let_app_use(addresses)
    return addresses


def exists(cursor: "psycopg2.extensions.cursor", database: str) -> bool:
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
    return cursor.fetchone() is not None


def may_provision(url: str) -> bool:
    """Whether the role of `url` is allowed to create roles."""
    with administering(url) as cursor:
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        row = cursor.fetchone()
        return bool(row and row[0])


def let_app_use(addresses: Addresses) -> None:
    """As the owner: let the app's role use what the owner makes from now on. For databases made by others, too."""
    parts = urlsplit(addresses.app)
    with administering(addresses.owner) as cursor:
        for kind, rights in APP_MAY.items():
            cursor.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON {} TO {}").format(
                    sql.SQL(rights), sql.SQL(kind), sql.Identifier(unquote(parts.username or ""))
                )
            )


def drop_everything(owner_url: str) -> None:
    """As the owner: drop the tables and functions that this role owns in the schema `public`."""
    with administering(owner_url) as cursor:
        for listing in (
            """SELECT format('DROP TABLE IF EXISTS %s CASCADE', c.oid::regclass) FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relowner = current_user::regrole""",
            """SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_proc p
            WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')""",
        ):
            cursor.execute(listing)
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)


@contextmanager
def administering(url: str) -> Iterator["psycopg2.extensions.cursor"]:
    """A cursor whose statements take effect one by one, for CREATE DATABASE wants no transaction."""
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def address(url: str, database: str, user: str | None = None, password: str | None = None) -> str:
    """`url` for another database and, when named, another role."""
    parts = urlsplit(url)
    netloc = parts.netloc
    if user is not None:
        netloc = f"{quote(user)}:{quote(password or '', safe='')}@{netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


def _make_role(cursor: "psycopg2.extensions.cursor", role: str, password: str) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    cursor.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD %s").format(sql.SQL(verb), sql.Identifier(role)),
        [password],
    )


def _grant(cursor: "psycopg2.extensions.cursor", database: str) -> None:
    names = {"app": sql.Identifier(APP), "owner": sql.Identifier(OWNER), "database": sql.Identifier(database)}
    statements = [
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        # TEMPORARY: events are copied into a staging table first.
        "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}, {owner}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE, CREATE ON SCHEMA public TO {owner}",
        "GRANT USAGE ON SCHEMA public TO {app}",
    ]
    for statement in statements:
        cursor.execute(sql.SQL(statement).format(**names))
