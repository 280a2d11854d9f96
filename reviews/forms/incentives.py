"""Forms of the incentive ledger: why a line is wrong, and what is answered."""

from django import forms


class DisputeForm(forms.Form):
    """Why a line of one's own is wrong."""

    reason = forms.CharField(
        max_length=2000, label="What is wrong, and what shows it", widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "Say why the line is wrong."},
    )  # fmt: skip


class AnswerForm(forms.Form):
    """Whether a dispute is accepted, with a note."""

    do = forms.ChoiceField(choices=[("accept", "Accept"), ("decline", "Decline")])
    note = forms.CharField(
        max_length=2000, label="Your note: it stands on the line", widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "An answer needs a note: what holds from now on, or why it stays as it is."},
    )  # fmt: skip
