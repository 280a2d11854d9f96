"""What hangs on an account: counted once, under its largest kind."""

from decimal import Decimal as D
from typing import Any

from reviews.calc.at_risk import AtRisk, Stakes, at_risk


def test_a_renewal_within_180_days_is_at_risk_until_somebody_is_sure_of_it() -> None:
    soon: dict[str, Any] = {"granted": D(186000), "left": D(44000), "term_days_left": D(84)}
    assert at_risk(Stakes(**soon)) == AtRisk(D(186000), "renewal")
    assert at_risk(Stakes(**soon, opinion="at_risk")) == AtRisk(D(186000), "renewal")
    assert at_risk(Stakes(**soon, opinion="flat")) == AtRisk()
    assert at_risk(Stakes(**soon | {"term_days_left": D(181)})) == AtRisk()


def test_a_commit_without_any_use_is_at_risk_as_a_whole() -> None:
    assert at_risk(Stakes(granted=D(148000), left=D(148000), has_begun=False)) == AtRisk(D(148000), "not_started")


def test_unused_commit_and_overage_count_when_they_are_likely() -> None:
    assert at_risk(Stakes(unused=D(64000), unused_percent=D(92))) == AtRisk(D(64000), "unused")
    assert at_risk(Stakes(unused=D(64000), unused_percent=D(20))) == AtRisk()
    over: dict[str, Any] = {"overage": D(17000), "overage_percent": D(80)}
    assert at_risk(Stakes(**over)) == AtRisk(D(17000), "overage")
    assert at_risk(Stakes(**over, overage_agreed=True)) == AtRisk()


def test_what_rests_on_one_workflow_is_what_is_left_times_its_share() -> None:
    assert at_risk(Stakes(left=D(30000), top_share=D(82))) == AtRisk(D(24600), "one_workflow")
    assert at_risk(Stakes(left=D(30000), top_share=D(70))) == AtRisk()


def test_an_account_counts_once_under_its_largest_kind() -> None:
    both = Stakes(left=D(30000), top_share=D(82), overage=D(40000), overage_percent=D(90))
    assert at_risk(both) == AtRisk(D(40000), "overage")
