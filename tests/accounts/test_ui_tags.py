"""Template tags and filters: what authors of pages rely on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from consumption_cs.lib.money import Money


def render(source: str, **context: Any) -> str:
    return Template(source).render(Context(context)).strip()


class KeyForm(forms.Form):
    name = forms.CharField(help_text="So that you know it again.")
    scope = forms.ChoiceField(choices=[("read", "Read")], widget=forms.RadioSelect)
    note = forms.CharField(required=False)
    old = forms.BooleanField(required=False)
    secret = forms.CharField(widget=forms.HiddenInput, required=False)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ x|money:'EUR' }}", "€1,234.50"),
        ("{{ x|money_whole:'USD' }}", "$1,235"),
        ("{{ x|money_signed:'USD' }}", "+$1,235"),
        ("{{ x|money_short:'USD' }}", "$1.23k"),
        ("{{ x|quantity }}", "1,234.5"),
        ("{{ price|unit_price:'USD' }}", "$0.071"),
        ("{{ ratio|percent }}", "98.1%"),
        ("{{ ratio|percent:0 }}", "98%"),
        ("{{ ratio|percent_signed }}", "+98%"),
        ("{{ money|money }}", "¥12"),
    ],
)
def test_filters_write_numbers(source: str, expected: str) -> None:
    values = {"x": Decimal("1234.5"), "ratio": 0.981, "price": Decimal("0.071"), "money": Money(Decimal(12), "JPY")}
    assert render(source, **values) == expected


@pytest.mark.parametrize(
    "name", ["money", "money_whole", "money_signed", "money_short", "unit_price", "quantity", "percent"]
)
def test_nothing_known_is_said_in_words_and_never_as_zero(name: str) -> None:
    assert render(f"{{{{ nothing|{name} }}}}", nothing=None) == "not known yet"


def test_a_change_has_an_arrow_a_word_for_screen_readers_and_the_colour_of_what_is_good() -> None:
    better = render("{% delta -0.12 'on October' good='down' %}")
    assert "▼" in better
    assert "good-t" in better
    assert '<span class="sr">down </span>' in better
    assert "12%" in better
    assert "bad-t" in render("{% delta 0.09 good='down' %}")
    assert "0.2 pt" in render("{% delta 0.2 points=True %}")
    assert "unchanged" in render("{% delta 0 %}")
    assert "nothing to compare with" in render("{% delta None %}")


def test_what_people_typed_is_escaped_in_every_tag() -> None:
    text = "<img src=x onerror=alert(1)>"
    for source in (
        "{% pill text 'good' %}",
        "{% copy_block text text %}",
        "{% delta 0.1 text %}",
        "{% share 0.5 text %}",
        "{% icon 'bell' text %}",
        "{% ago None text %}",
        "{% hero_bar 5 text used_text=text total=9 total_text=text %}",
        "{% include 'components/empty.html' with title=text text=text only %}",
        "{% include 'components/banner.html' with title=text text=text only %}",
    ):
        assert "<img" not in render(source, text=text), source


def test_an_icon_is_decoration_unless_it_has_a_name() -> None:
    assert 'aria-hidden="true"' in render("{% icon 'bell' %}")
    assert 'aria-label="Alerts"' in render("{% icon 'bell' 'Alerts' %}")
    with pytest.raises(KeyError):
        render("{% icon 'no-such-icon' %}")


def test_moments_are_in_the_zone_of_the_account() -> None:
    at = datetime(2020, 1, 31, 23, 30, tzinfo=UTC)
    account = SimpleNamespace(timezone="Asia/Tokyo")
    assert "Feb 1, 2020, 08:30 JST" in render("{% moment at %}", at=at, account=account)
    assert 'datetime="2020-01-31T23:30:00+00:00"' in render("{% moment at %}", at=at)
    recent = timezone.now() - timedelta(minutes=4, seconds=5)
    assert "4 minutes ago" in render("{% ago at %}", at=recent)
    assert render("{% ago None 'never used' %}") == "never used"


def test_the_stamp_says_how_fresh_numbers_are() -> None:
    recent = timezone.now() - timedelta(hours=4, minutes=1)
    assert "Data through" in render("{% data_through at %}", at=recent)
    assert "4 hours ago: numbers may still rise" in render("{% data_through at late=True %}", at=recent)
    assert "No data yet" in render("{% data_through None %}")


def test_a_field_ties_label_help_and_errors_to_its_control() -> None:
    html = render("{% field form.name %}", form=KeyForm({"name": ""}))
    assert '<label for="id_name">' in html
    assert 'aria-describedby="id_name_hint id_name_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'role="alert"' in html


def test_each_kind_of_control_has_its_shape() -> None:
    form = KeyForm()
    assert "<fieldset" in render("{% field form.scope %}", form=form)
    assert '<div class="check' in render("{% field form.old %}", form=form)
    assert "(optional)" in render("{% field form.note %}", form=form)
    assert "<label" not in render("{% field form.secret %}", form=form)
    assert "E-mail" in render("{% field form.note label='E-mail' %}", form=form)


def test_a_form_says_how_many_fields_are_wrong_and_links_to_them() -> None:
    html = render("{% form_errors form %}", form=KeyForm({}))
    assert "2 fields need a correction" in html
    assert 'href="#id_name"' in html
    assert render("{% form_errors form %}", form=KeyForm()) == ""


def test_pages_and_sorting_keep_the_rest_of_the_address() -> None:
    request = RequestFactory().get("/", {"q": "north & co", "page": "2", "sort": "-spend"})
    page = Paginator(range(120), 50).page(2)
    pages = render("{% pagination page 'accounts' %}", page=page, request=request)
    assert "51–100 of 120 accounts" in pages
    assert "q=north+%26+co" in pages
    assert "page=3" in pages
    header = render("{% sort_header 'Spend' 'spend' css='num' %}", request=request)
    assert 'aria-sort="descending"' in header
    assert "sort=spend" in header
    assert "page=" not in header


def test_sorting_starts_at_what_the_page_says() -> None:
    request = RequestFactory().get("/")
    source = "{% sort_header 'Name' 'name' %}{% sort_header 'Spend' 'spend' first='descending' %}"
    html = render(source, request=request, sort="name")
    assert 'aria-sort="ascending"' in html
    assert "sort=-name" in html
    assert "sort=-spend" in html
