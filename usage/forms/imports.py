"""Forms of imports: a new one, its file, and why a closed one is undone."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import Account, Organization
from consumption_cs.lib.periods import day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.imports.create import REASON_CHARS, NewImport, Window
from usage.calc.import_rows import NAMES
from usage.models import Meter, UsageImport

MOST_WINDOW_DAYS = 366
_AUTO = "auto"
_ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson",
    ".parquet": "parquet",
}  # fmt: skip
_ACCEPT = ".csv,.csv.gz,.tsv,.ndjson,.ndjson.gz,.jsonl,.jsonl.gz,.parquet"


class ImportForm(forms.Form):
    """An import to make; `new_import` gives it, when valid. The file may come later, in pieces."""

    file = forms.FileField(required=False, label="File", widget=forms.FileInput(attrs={"accept": _ACCEPT}))
    file_name = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)
    format = forms.ChoiceField(
        choices=[(_AUTO, "By the file’s name"), *UsageImport.Format.choices], initial=_AUTO, label="Kind of file"
    )
    default_source = forms.CharField(
        max_length=200,
        initial="import",
        label="Source",
        help_text="For rows that name none. An event is its source and id together, and counts once for ever.",
    )
    window_meter = forms.ModelChoiceField(
        queryset=Meter.objects.none(), required=False, label="Meter", empty_label="Replace nothing, only add"
    )
    window_from = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    window_until = forms.DateField(
        required=False,
        label="Until",
        help_text="The first day that stays as it is.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    window_accounts = forms.CharField(
        required=False,
        max_length=2000,
        label="Account keys",
        help_text="With commas between; empty for every account.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, viewer: Viewer, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer, self.organization = viewer, organization
        meter = self.fields["window_meter"]
        assert isinstance(meter, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        meter.queryset = Meter.objects.visible_to(viewer).order_by("name")
        for role in NAMES:
            self.fields[f"column_{role}"] = forms.CharField(
                required=False, max_length=256, label=role.capitalize(), strip=False
            )

    @property
    def column_fields(self) -> list[Any]:
        """The fields that say how the file calls its columns."""
        return [self[f"column_{role}"] for role in NAMES]

    @property
    def changes_columns(self) -> bool:
        """Whether any column is mapped, so that the part is shown open."""
        return any(self[f"column_{role}"].value() for role in NAMES)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self._format(cleaned) is None and "format" not in self.errors:
            self.add_error("format", "The file’s name does not say what it is: choose its kind.")
        self._clean_window(cleaned)
        return cleaned

    def _format(self, cleaned: dict[str, Any]) -> str | None:
        if cleaned.get("format") != _AUTO:
            return cleaned.get("format")
        name = self._name(cleaned).lower().removesuffix(".gz")
        return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), None)

    def _name(self, cleaned: dict[str, Any]) -> str:
        file = cleaned.get("file")
        return (file.name if file else cleaned.get("file_name", "")).replace("\x00", "")[:200]

    def _clean_window(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("window_meter") is None:
            if any(cleaned.get(name) for name in ("window_from", "window_until", "window_accounts")):
                self.add_error("window_meter", "Choose the meter whose usage the file replaces.")
            return
        for name in ("window_from", "window_until"):
            self._clean_day(name, cleaned.get(name))
        start, end = cleaned.get("window_from"), cleaned.get("window_until")
        if self.errors or start is None or end is None:
            return
        if start >= end:
            self.add_error("window_until", "The window must end after it starts.")
        elif (end - start).days > MOST_WINDOW_DAYS:
            self.add_error("window_until", "A window may be a year long: replace more in parts.")

    def _clean_day(self, name: str, day: date | None) -> None:
        if day is None:
            if name not in self.errors:
                self.add_error(name, "Say which days the file replaces.")
        elif not 2000 <= day.year <= 2099:
            self.add_error(name, "Choose a day between 2000 and 2099.")

    def clean_window_accounts(self) -> list[Account]:
        keys = {key.strip() for key in self.cleaned_data["window_accounts"].split(",") if key.strip()}
        found = list(Account.objects.visible_to(self.viewer).filter(key__in=keys)) if keys else []
        missing = sorted(keys - {account.key for account in found})
        if missing:
            raise ValidationError(f"No account has the key “{missing[0][:60]}”.")
        return found

    @property
    def new_import(self) -> NewImport:
        """What was asked for, once the form is valid."""
        cleaned = self.cleaned_data
        columns = {role: cleaned[f"column_{role}"] for role in NAMES if cleaned[f"column_{role}"].strip()}
        return NewImport(
            format=self._format(cleaned) or "csv",
            file_name=self._name(cleaned),
            columns=columns,
            default_source=cleaned["default_source"],
            window=self._window(cleaned),
        )

    def _window(self, cleaned: dict[str, Any]) -> Window | None:
        if cleaned["window_meter"] is None:
            return None
        zone = zone_of(self.organization.timezone)

        def at(day: date) -> Any:
            return day_start(day, zone)

        start, end = at(cleaned["window_from"]), at(cleaned["window_until"])
        return Window(cleaned["window_meter"], start, end, cleaned["window_accounts"])


class UndoForm(forms.Form):
    """Why a closed import is taken back."""

    reason = forms.CharField(max_length=REASON_CHARS, label="Why is it undone?")
