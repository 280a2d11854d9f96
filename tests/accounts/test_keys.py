"""API keys: shown once, kept as a hash, replaced with overlap, revoked at once."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.actions.audit import audit
from accounts.actions.keys import Refused, rotate_key
from accounts.credentials import find_key
from accounts.models import Account, ApiKey, AuditEvent, Membership, Role, Scope
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import make_account, make_key, make_member, make_meter, make_organization, signed_in, staff_of

pytestmark = pytest.mark.django_db
NEW = {"name": "Billing worker", "scopes": [Scope.EVENTS_WRITE.value], "term": "90"}


@pytest.fixture
def admin() -> Membership:
    member = make_member(make_organization())
    make_account(member.organization, key="northwind")
    make_meter(member.organization, "tokens.used")
    leave()
    return member


def _secret_in(page: str) -> str:
    found = re.search(r'<pre id="secret"[^>]*>(ccs_live_\w+)</pre>', page)
    assert found
    return found.group(1)


def _keys(admin: Membership) -> list[ApiKey]:
    enter(staff_of(admin.organization))
    found = list(ApiKey.objects.order_by("created_at", "pk"))
    leave()
    return found


def test_a_key_is_shown_once_with_a_command_that_counts(admin: Membership) -> None:
    client = signed_in(admin)
    response = client.post("/keys/new/", NEW)
    page = response.content.decode()
    secret = _secret_in(page)
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    assert page.count(secret) == 2
    assert "tokens.used" in page
    assert "northwind" in page
    assert secret not in client.get("/keys/").content.decode()
    assert secret not in client.get("/events/").content.decode()


def test_no_table_holds_a_plain_key(admin: Membership) -> None:
    secret = _secret_in(signed_in(admin).post("/keys/new/", NEW).content.decode())
    enter(staff_of(admin.organization))
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE strpos(t::text, %s) > 0", [secret])  # noqa: S608  our tables
            assert cursor.fetchone()[0] == 0, table
        cursor.execute("SELECT session_data FROM django_session")
        from django.contrib.sessions.models import Session

        assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())


def test_making_and_revoking_leave_their_marks(admin: Membership) -> None:
    client = signed_in(admin)
    client.post("/keys/new/", NEW)
    (key,) = _keys(admin)
    client.post(f"/keys/{key.pk}/revoke/")
    enter(staff_of(admin.organization))
    events = list(AuditEvent.objects.order_by("created_at", "pk"))
    assert [event.action for event in events] == ["key.created", "key.revoked"]
    assert {event.actor_id for event in events} == {admin.user_id}
    assert key.created_by_id == admin.user_id


def test_two_keys_that_work_never_share_a_name(admin: Membership) -> None:
    client = signed_in(admin)
    client.post("/keys/new/", NEW)
    response = client.post("/keys/new/", NEW)  # as reloading the page that showed the first would do
    assert response.status_code == 422
    assert len(_keys(admin)) == 1


def test_replaced_both_work_until_the_overlap_ends(admin: Membership) -> None:
    old, old_secret = make_key(admin.organization)
    leave()
    page = signed_in(admin).post(f"/keys/{old.pk}/rotate/", {"hours": "24"}).content.decode()
    secret, now = _secret_in(page), timezone.now()
    for presented in (old_secret, secret):
        assert find_key(presented, now)
    assert find_key(old_secret, now + timedelta(hours=25)) is None
    assert find_key(secret, now + timedelta(hours=25))
    new = _keys(admin)[1]
    assert (new.scopes, new.replaces, new.name) == (old.scopes, old.pk, old.name)


def test_replaced_at_once_the_old_one_stops(admin: Membership) -> None:
    old, old_secret = make_key(admin.organization)
    leave()
    signed_in(admin).post(f"/keys/{old.pk}/rotate/", {"hours": "0"})
    assert find_key(old_secret, timezone.now()) is None


def test_a_key_is_replaced_once(admin: Membership) -> None:
    old, _ = make_key(admin.organization)
    viewer, now = staff_of(admin.organization), timezone.now()
    rotate_key(viewer, old, timedelta(hours=1), now)
    with pytest.raises(Refused, match="replaced already"):
        rotate_key(viewer, old, timedelta(hours=1), now)


def test_a_revoked_key_is_neither_usable_nor_replaced(admin: Membership) -> None:
    key, secret = make_key(admin.organization)
    leave()
    client = signed_in(admin)
    client.post(f"/keys/{key.pk}/revoke/")
    assert find_key(secret, timezone.now()) is None
    response = client.post(f"/keys/{key.pk}/rotate/", {"hours": "24"}, follow=True)
    assert "does not work any more" in response.content.decode()
    assert len(_keys(admin)) == 1


def _customer(admin: Membership, role: str = Role.PORTAL_OWNER) -> tuple[Client, Account]:
    account = make_account(admin.organization, "Kestrel")
    member = make_member(account, role)
    leave()
    return signed_in(member), account


def test_a_customers_key_only_reads_whatever_is_posted(admin: Membership) -> None:
    client, account = _customer(admin)
    response = client.post(f"/accounts/{account.pk}/keys/new/", NEW | {"scopes": list(Scope.values)})
    assert response.status_code == 201
    (key,) = _keys(admin)
    assert (key.scopes, key.account_id) == ([Scope.READ], account.pk)


def test_customers_reach_no_key_of_their_vendor(admin: Membership) -> None:
    key, _ = make_key(admin.organization)
    client, account = _customer(admin)
    assert client.get("/keys/")["Location"] == f"/accounts/{account.pk}/keys/"
    assert client.post("/keys/new/", NEW).status_code == 403
    assert client.post(f"/keys/{key.pk}/revoke/").status_code == 403
    assert client.post(f"/accounts/{account.pk}/keys/{key.pk}/revoke/").status_code == 404
    assert _keys(admin)[0].revoked_at is None


@pytest.mark.parametrize("scopes", [[], ["everything"]])
def test_a_key_needs_scopes_that_exist(scopes: list[str], admin: Membership) -> None:
    assert signed_in(admin).post("/keys/new/", NEW | {"scopes": scopes}).status_code == 422
    assert _keys(admin) == []


def test_states_are_said_in_words(admin: Membership) -> None:
    now = timezone.now()
    make_key(admin.organization, name="Forever")
    make_key(admin.organization, name="Soon", expires_at=now + timedelta(days=2))
    make_key(admin.organization, name="Over", expires_at=now - timedelta(days=2))
    make_key(admin.organization, name="Ended", revoked_at=now)
    leave()
    page = signed_in(admin).get("/keys/").content.decode()
    for words in ("Works", "Ends soon", "Expired", "Revoked", "never"):
        assert words in page


def test_only_admins_make_or_replace_keys_that_manage_money(admin: Membership) -> None:
    cto = make_member(admin.organization, Role.FIELD_CTO)
    managing, _ = make_key(admin.organization, (Scope.MANAGE,), name="Billing")
    leave()
    wanted = NEW | {"name": "Other", "scopes": [Scope.MANAGE.value]}
    theirs, ours = signed_in(cto), signed_in(admin)
    assert 'value="manage"' not in theirs.get("/keys/").content.decode()
    assert 'value="manage"' in ours.get("/keys/").content.decode()
    assert ("Make the new key" in theirs.get("/keys/").content.decode()) is False
    assert "Make the new key" in ours.get("/keys/").content.decode()
    assert theirs.post("/keys/new/", wanted).status_code == 422
    assert theirs.post(f"/keys/{managing.pk}/rotate/", {"hours": "24"}).status_code == 403
    assert [key.name for key in _keys(admin)] == ["Billing"]
    assert ours.post("/keys/new/", wanted).status_code == 201
    assert ours.post(f"/keys/{managing.pk}/rotate/", {"hours": "24"}).status_code == 201


def test_the_audit_log_names_the_key_that_acted(admin: Membership) -> None:
    key, _ = make_key(admin.organization, (Scope.MANAGE,), name="Billing worker")
    viewer = Viewer(admin.organization_id, None, "manager_key", name="API key “Billing worker”")
    audit(viewer, "price.published", key, "v1")
    assert AuditEvent.objects.get().actor_name == "API key “Billing worker”"
