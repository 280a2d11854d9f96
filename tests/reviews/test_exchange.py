"""Files in and out: a preview in words, all or nothing, twice is once, and no cell that a spreadsheet would run."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Account, AuditEvent, Role
from consumption_cs.lib.csv_files import CsvProblem, write_rows
from consumption_cs.lib.tenancy import enter, leave
from reviews.actions.exchange import KINDS, Checked, import_file, read_file
from reviews.actions.timeline import remove_entry
from reviews.exports.crm import EXPORTS, export_csv
from reviews.models import Contact, TimelineEntry
from tests.factories import NOW, make_account, make_member, make_user, signed_in, staff_of
from tests.reviews.people_factories import make_contact, make_entry, make_task

pytestmark = pytest.mark.django_db
NOTES = "account,at,text,external_id,kind,sentiment,minutes,by,with\n"


def _read(account: Account, kind: str, text: str) -> Checked:
    return read_file(staff_of(account), kind, text.encode(), NOW)


def _import(account: Account, kind: str, text: str) -> Checked:
    checked = _read(account, kind, text)
    import_file(staff_of(account), checked)
    return checked


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_note_is_imported_on_the_accounts_clock_with_who_took_part() -> None:
    account = make_account(key="northwind", timezone="America/New_York")
    csm = make_member(account.organization, Role.CSM).user
    make_contact(account, email="dana@northwind.example")
    line = f"northwind,2026-01-31 14:30,They want dates.,crm-1,Call,neutral,30,{csm.email},dana@northwind.example\n"
    _import(account, "notes", NOTES + line)
    entry = TimelineEntry.objects.get()
    assert entry.at.isoformat() == "2026-01-31T19:30:00+00:00"
    assert (entry.kind, entry.sentiment, entry.minutes, entry.by_id) == ("call", "neutral", 30, csm.pk)
    assert [one.name for one in entry.attendees.all()] == ["Dana"]


def test_importing_twice_changes_nothing_and_a_changed_row_changes_one() -> None:
    account = make_account(key="northwind")
    first = NOTES + "northwind,2026-01-31,They want dates.,crm-1,Call,,,,\nnorthwind,2026-02-01,Sent.,crm-2,,,,,\n"
    assert len(_import(account, "notes", first).new) == 2
    again = _read(account, "notes", first)
    assert (again.new, again.changed, again.wrong) == ([], [], [])
    better = _import(account, "notes", first.replace("They want dates.", "They want dates by May."))
    assert [(row.line, list(row.changes)) for row in better.changed] == [(2, ["text"])]
    assert TimelineEntry.objects.count() == 2


def test_what_was_removed_here_stays_out() -> None:
    account = make_account(key="northwind")
    text = NOTES + "northwind,2026-01-31,They want dates.,crm-1,,,,,\n"
    _import(account, "notes", text)
    remove_entry(staff_of(account), TimelineEntry.objects.get(), NOW)
    checked = _import(account, "notes", text.replace("dates", "prices"))
    assert (checked.new, checked.changed, checked.rows[0].is_removed) == ([], [], True)
    assert TimelineEntry.objects.get().text == "They want dates."


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("nobody,2026-01-31,Hello,1,,,,,", "account", "no account with the key"),
        ("northwind,,Hello,1,,,,,", "at", "Say when"),
        ("northwind,31.1.2026,Hello,1,,,,,", "at", "write it as 2026-01-31"),
        ("northwind,2999-01-31,Hello,1,,,,,", "at", "no moment"),
        ("northwind,2027-01-31,Hello,1,,,,,", "at", "future"),
        ("northwind,2026-01-31,,1,,,,,", "text", "Say in words"),
        ("northwind,2026-01-31,Hello,,,,,,", "external_id", "needs the id"),
        ("northwind,2026-01-31,Hello,1,Fax,,,,", "kind", "is not one of"),
        ("northwind,2026-01-31,Hello,1,,furious,,,", "sentiment", "is not one of"),
        ("northwind,2026-01-31,Hello,1,,,-5,,", "minutes", "1 to 1,440"),
        ("northwind,2026-01-31,Hello,1,,,,stranger@x.example,", "by", "Nobody on your staff"),
        ("northwind,2026-01-31,Hello,1,,,,,dana@x.example", "with", "Import contacts first"),
    ],
)
def test_a_wrong_cell_is_named_with_what_to_write_and_nothing_is_stored(line: str, column: str, words: str) -> None:
    account = make_account(key="northwind")
    checked = _read(account, "notes", f"{NOTES}northwind,2026-01-30,Fine.,ok,,,,,\n{line}\n")
    assert [(row.line, row.errors[0][0]) for row in checked.wrong] == [(3, column)]
    assert words in checked.wrong[0].errors[0][1]
    with pytest.raises(ValueError, match="not imported"):
        import_file(staff_of(account), checked)
    assert not TimelineEntry.objects.exists()


def test_the_same_id_twice_in_a_file_is_a_mistake() -> None:
    account = make_account(key="northwind")
    line = "northwind,2026-01-31,Hello,1,,,,,\n"
    assert "Line 2 has the same" in _read(account, "notes", NOTES + line + line).wrong[0].errors[0][1]


def test_sentiment_is_a_note_that_says_how_they_felt() -> None:
    account = make_account(key="northwind")
    header = "account,at,sentiment,external_id\n"
    _import(account, "sentiment", f"{header}northwind,2026-01-31,Positive,survey-1\n")
    entry = TimelineEntry.objects.get()
    assert (entry.kind, entry.sentiment, entry.text) == ("note", "positive", "Sentiment from a survey.")
    assert (
        "Say how they felt" in _read(account, "sentiment", f"{header}northwind,2026-01-31,,s\n").wrong[0].errors[0][1]
    )


CONTACTS = "account,name,external_id,email,title,role,left_on\n"


def test_contacts_are_known_by_id_then_e_mail_then_name_and_empty_cells_leave_what_is_there() -> None:
    account = make_account(key="northwind")
    member = make_member(account, Role.PORTAL_OWNER, make_user("dana@northwind.example"))
    make_contact(account, "Milo", role="buyer", title="Finance")
    _import(
        account,
        "contacts",
        CONTACTS + "northwind,Dana,,Dana@northwind.example,Lead,Champion,\nnorthwind,milo,,,,,2026-03-01\n",
    )
    dana, milo = Contact.objects.get(email="dana@northwind.example"), Contact.objects.get(role="buyer")
    assert (dana.user_id, dana.role) == (member.user_id, "champion")
    assert (milo.title, str(milo.left_on)) == ("Finance", "2026-03-01")
    _import(account, "contacts", CONTACTS + "northwind,Dana Weiss,crm-7,dana@northwind.example,,,\n")
    _import(account, "contacts", CONTACTS + "northwind,Dana W.,crm-7,d.weiss@northwind.example,,,\n")
    dana.refresh_from_db()
    assert (dana.name, dana.title, dana.email, dana.external_id) == (
        "Dana W.", "Lead", "d.weiss@northwind.example", "crm-7",
    )  # fmt: skip
    assert Contact.objects.count() == 2


def test_an_e_mail_that_is_anothers_is_refused() -> None:
    account = make_account(key="northwind")
    make_contact(account, "Dana", email="dana@x.example", external_id="crm-1")
    make_contact(account, "Milo", external_id="crm-2")
    checked = _read(account, "contacts", CONTACTS + "northwind,Milo,crm-2,dana@x.example,,,\n")
    assert checked.wrong[0].errors == [("email", "Dana has this e-mail already.")]


def test_accounts_of_another_organization_are_unknown() -> None:
    account, theirs = make_account(key="northwind"), make_account(key="theirs")
    enter(staff_of(account))
    checked = _read(account, "contacts", f"{CONTACTS}{theirs.key},Eve,,,,,\n")
    assert "no account with the key" in checked.wrong[0].errors[0][1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_file_can_be_imported_as_it_is(kind: str) -> None:
    account = make_account(key="northwind")
    sample = write_rows(KINDS[kind].columns, [KINDS[kind].example])
    assert read_file(staff_of(account), kind, sample, NOW).wrong == []


def test_an_import_is_one_row_of_the_audit_log_that_the_customer_never_reads() -> None:
    account = make_account(key="northwind")
    _import(account, "notes", NOTES + "northwind,2026-01-31,Hello,1,,,,,\nnorthwind,2026-01-31,Hello,2,,,,,\n")
    row = AuditEvent.objects.get(action="notes.imported")
    assert (row.account_id, row.details) == (None, {"new": 2, "changed": 0})


def _client(account: Account, role: str = Role.CSM) -> Client:
    return signed_in(make_member(account.organization, role))


def _post(client: Client, **data: Any) -> Any:
    leave()
    return client.post("/exchange/", data)


def test_the_page_previews_what_is_pasted_and_imports_it_when_confirmed() -> None:
    account = make_account(key="northwind")
    client, text = _client(account), NOTES + "northwind,2026-01-31,They want dates.,crm-1,,,,,\n"
    preview = _post(client, kind="notes", pasted=text)
    assert preview.status_code == 200
    assert "1 new, 0 changed" in preview.content.decode()
    enter(staff_of(account))
    assert not TimelineEntry.objects.exists()
    fingerprint = preview.context["checked"].fingerprint
    assert _post(client, kind="notes", content=text, fingerprint="other").status_code == 409
    assert _post(client, kind="notes", content=text, fingerprint=fingerprint).status_code == 302
    enter(staff_of(account))
    assert TimelineEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "Choose a file"),
        (b"nonsense", 422, "Missing column"),
        (b"\xff\xfe\x00", 422, "not UTF-8"),
        (b"x" * (2 * 1024 * 1024 + 1), 413, "larger than 2 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(content: bytes, status: int, words: str) -> None:
    client = _client(make_account())
    answer = _post(client, kind="notes", file=SimpleUploadedFile("notes.csv", content))
    assert answer.status_code == status
    assert words in answer.content.decode()


@pytest.mark.parametrize("role", [Role.FIELD_CTO, Role.ANALYST])
def test_who_may_not_exchange_is_refused(role: str) -> None:
    client = _client(make_account(), role)
    assert client.get("/exchange/").status_code == 403
    assert client.get("/exchange/salesforce-accounts.csv").status_code == 403


def test_a_formula_is_text_in_every_file_and_comes_back_as_it_was() -> None:
    account = make_account(key="northwind", name="=1+1")
    make_contact(account, "=cmd|'/c calc'!A0")
    make_task(account, "@SUM(1)")
    make_entry(account, "+1 from Dana")
    for name in EXPORTS:
        for row in _rows(export_csv(staff_of(account), name, NOW + timedelta(days=1))):
            assert not any(cell and cell[0] in "=+-@" for cell in row.values()), name
    text = f"account,name\nnorthwind,\"'=cmd|'/c calc'!A0\"\n"  # noqa: F541
    assert not _read(account, "contacts", text).new


def test_ids_of_exports_are_stable_and_tie_rows_to_their_account() -> None:
    account = make_account(key="northwind")
    dana = make_contact(account, "Dana van Weiss", external_id="crm-1")
    task = make_task(account, due_on=NOW.date())
    entry = make_entry(account, "Check-in. All fine.", sentiment="positive", minutes=30)
    viewer, later = staff_of(account), NOW + timedelta(hours=1)
    company = _rows(export_csv(viewer, "salesforce-accounts", later))[0]
    assert (company["External_Id__c"], company["AccountNumber"]) == (str(account.pk), "northwind")
    assert company["Health_Score__c"] == ""
    person = _rows(export_csv(viewer, "hubspot-contacts", later))[0]
    assert (person["ccs_id"], person["firstname"], person["lastname"]) == (str(dana.pk), "Dana van", "Weiss")
    assert (person["company_ccs_id"], person["ccs_source_id"]) == (str(account.pk), "crm-1")
    todo = _rows(export_csv(viewer, "salesforce-tasks", later))[0]
    assert (todo["External_Id__c"], todo["Status"], todo["ActivityDate"]) == (
        str(task.pk),
        "Not Started",
        "2026-06-15",
    )
    said = _rows(export_csv(viewer, "hubspot-activities", later))[0]
    assert (said["ccs_id"], said["activity_type"], said["title"]) == (str(entry.pk), "CALL", "Check-in")
    assert said["duration_ms"] == "1800000"
    assert export_csv(viewer, "salesforce-events", later) == export_csv(viewer, "salesforce-events", later)


def test_margin_is_only_in_the_file_of_who_may_see_it() -> None:
    account = make_account()
    for role, is_there in ((Role.FINANCE, True), (Role.CSM, False)):
        header = export_csv(staff_of(account, role), "metrics", NOW).decode().splitlines()[0].split(",")
        assert ("margin_percent" in header) is is_there


def test_a_file_that_nobody_offers_is_not_found() -> None:
    assert _client(make_account()).get("/exchange/passwords.csv").status_code == 404


def test_a_header_alone_is_said_to_have_no_row() -> None:
    account = make_account()
    assert _read(account, "notes", NOTES).rows == []
    with pytest.raises(CsvProblem, match="Unknown column"):
        _read(account, "notes", "account,at,text,external_id,salary\n")
