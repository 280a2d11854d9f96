"""Who is looking, what they may see, and the Postgres settings that row-level security reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.db import connection, models, transaction
from django.db.migrations import RunSQL

ALL_ACCOUNTS = "all"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Vendor staff or a job, who see a whole organization; or, with `account_id`, a portal user of one account.

    `name` is for the audit log, where no person acts: that of the API key.
    """

    organization_id: UUID
    account_id: UUID | None = None
    role: str = "system"
    user_id: UUID | None = None
    name: str = ""

    @property
    def is_portal(self) -> bool:
        return self.account_id is not None

    @property
    def is_staff(self) -> bool:
        return self.account_id is None


@contextmanager
def act_as(viewer: Viewer) -> Iterator[Viewer]:
    """Open a transaction in which only the rows `viewer` may see exist. Never nests."""
    with transaction.atomic(durable=True):
        enter(viewer)
        yield viewer
        if len(connection.atomic_blocks) > 1:
            leave()  # COMMIT does this, but in tests the transaction goes on


def enter(viewer: Viewer) -> None:
    """Show `viewer`'s rows for the rest of the open transaction."""
    _set_local(settings_of(viewer) | {"app.person": "", "app.key_prefix": "", "app.token": ""})


def settings_of(viewer: Viewer) -> dict[str, str]:
    """Return the settings under which only `viewer`'s rows exist."""
    return {
        "app.organization": str(UUID(str(viewer.organization_id))),
        "app.account": str(UUID(str(viewer.account_id))) if viewer.account_id else ALL_ACCOUNTS,
    }


def leave() -> None:
    """Hide all tenant rows again for the rest of the open transaction."""
    _set_local({"app.organization": "", "app.account": "", "app.person": "", "app.key_prefix": "", "app.token": ""})


def present(*, user_id: UUID | None = None, key_prefix: str = "", token_hash: str = "") -> None:
    """Open just the rows that name the presented credential: a user's memberships, one key, one invitation.

    A sign-in must find its organization before it can act as one of its viewers; the policies of those three
    tables let a row be read by whoever already holds what it names.
    """
    _set_local({"app.person": str(user_id or ""), "app.key_prefix": key_prefix, "app.token": token_hash})


def _set_local(values: dict[str, str]) -> None:
    """A literal SET LOCAL for each value: a distributed PostgreSQL does not pass set_config() on."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} = %s" for name in values), list(values.values()))


class TenantQuerySet(models.QuerySet[Any]):
    """Rows that carry an organization and, mostly, an account."""

    account_field: str | None = "account_id"

    def visible_to(self, viewer: Viewer) -> Self:
        """Return the rows that `viewer` may see; row-level security enforces the same a second time."""
        rows = self.filter(organization_id=viewer.organization_id)
        if viewer.account_id is None or self.account_field is None:
            return rows
        return rows.filter(**{self.account_field: viewer.account_id})


class OrganizationQuerySet(TenantQuerySet):
    """Rows that belong to an organization as a whole, such as meters. Portal viewers may read them."""

    account_field = None


_ORGANIZATION = "organization_id = NULLIF(current_setting('app.organization', true), '')::uuid"
_ACCOUNT = "current_setting('app.account', true)"
ROWS_OF_STAFF = f"{_ACCOUNT} = '{ALL_ACCOUNTS}'"


def policy(
    table: str, *, account: str | None = "account_id", staff_only: bool = False, shared: bool = False, also: str = ""
) -> str:
    """Return the SQL that hides other tenants' rows of `table`; the arguments are those of `protect`."""
    scope = _ORGANIZATION
    if staff_only:
        scope += f" AND {ROWS_OF_STAFF}"
    elif account:
        own = f"{_ACCOUNT} IN ('{ALL_ACCOUNTS}', {account}::text)"
        scope += f" AND ({account} IS NULL OR {own})" if shared else f" AND {own}"
    readable = f"({scope}) OR ({also})" if also else scope
    return f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON {table} USING ({readable}) WITH CHECK ({scope});
        """


def protect(
    table: str,
    *,
    account: str | None = "account_id",
    staff_only: bool = False,
    shared: bool = False,
    also: str = "",
    tie: bool = True,
) -> RunSQL:
    """Migration operation: hide other tenants' rows, and tie each row's account to its organization.

    `account` names the account column; None: rows of the whole organization, which its portal viewers may read
    unless `staff_only`. A null account means "the organization's own" and is hidden from portal viewers unless
    `shared`. `also` is a further condition under which a row may be read, for credentials. `tie` adds the composite
    foreign key, because foreign-key checks bypass row-level security.
    """
    ties = tie_to("accounts_account", table, account) if account and tie else ""
    return RunSQL(
        ties + policy(table, account=account, staff_only=staff_only, shared=shared, also=also),
        f"""
        DROP POLICY tenant ON {table};
        ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
        {f"ALTER TABLE {table} DROP CONSTRAINT {table}_{account}_tenant;" if ties else ""}
        """,
    )


def tie_to(parent: str, table: str, *columns: str | None) -> str:
    """Return the SQL of composite foreign keys (organization_id, column) from `table` to `parent`."""
    return "".join(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_tenant FOREIGN KEY (organization_id, {column})"
        f" REFERENCES {parent} (organization_id, id);"
        for column in columns
    )


def append_only(table: str, role: str) -> RunSQL:
    """Migration operation: `role` may insert and read, never change or remove a row."""
    return RunSQL(
        f'REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM "{role}"',
        f'GRANT UPDATE, DELETE ON {table} TO "{role}"',
    )
