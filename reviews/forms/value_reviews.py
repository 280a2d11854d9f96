"""The forms beside a published value review: signing it, saying something about it, correcting it."""

from django import forms

from reviews.models import ReviewComment


class SignForm(forms.Form):
    """What the signer's function is, as it stands under the review."""

    title = forms.CharField(
        max_length=150, required=False, label="Your function", help_text="For example: chief operating officer."
    )


class CommentForm(forms.Form):
    """A comment, or what should be corrected."""

    kind = forms.ChoiceField(choices=ReviewComment.Kind.choices, initial=ReviewComment.Kind.COMMENT, label="This is")
    text = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 3}), label="What you want to say")


class CorrectionForm(forms.Form):
    """What was wrong and what is right."""

    text = forms.CharField(
        max_length=4000, widget=forms.Textarea(attrs={"rows": 3}), label="What was wrong, and what is right",
        help_text="It appears as a numbered note above the review, for the customer too. The review itself stays.",
    )  # fmt: skip
