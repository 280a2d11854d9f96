"""Forms of credits for spikes."""

from django import forms


class ReasonForm(forms.Form):
    """Why the spike should be credited."""

    reason = forms.CharField(
        label="What happened",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Whoever decides reads it, and so does everybody who may see the alert.",
    )


class DecideForm(forms.Form):
    """Whether a credit is given."""

    decision = forms.ChoiceField(choices=[("approve", "Approve and book"), ("decline", "Decline")])
    answer = forms.CharField(max_length=2000, required=False)
    excused = forms.BooleanField(required=False)
