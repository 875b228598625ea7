import pytest

from controller.consent import Approval, Glass, refusal, same

GIVEN = (Approval(who="Ana  Li", reason="good", at_s=1.0),)


@pytest.mark.parametrize("who", ["Ana  Li", "ana li", " ANA LI "])
def test_one_person_is_one_person_however_the_name_is_written(who):
    assert "another person" in refusal(who, GIVEN, ())
    assert "registered it or asked for it" in refusal(who, (), ("ana LI",))


def test_another_person_counts():
    assert refusal("ben", GIVEN, ("cleo",)) == ""
    assert same("ben") != same("ana")


def test_glass_is_over_when_its_time_has_passed_and_not_before():
    glass = Glass(who="ana", reason="outage", at_s=0.0, until_s=100.0)
    assert (glass.left_s(40.0), glass.is_over(99.9)) == (60.0, False)
    assert (glass.left_s(140.0), glass.is_over(100.0)) == (0.0, True)
