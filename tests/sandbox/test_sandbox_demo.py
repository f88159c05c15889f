"""The demonstration changes one number of an account, stage by stage."""

from wa_phone_async.sandbox import EMPTY_WABA, SMALL_WABA, Sandbox
from wa_phone_async.sandbox.demo import STAGES, number_stages


def test_the_second_number_goes_through_all_stages_and_begins_again() -> None:
    sandbox = Sandbox()
    first, second, third = sandbox.numbers(SMALL_WABA)
    advance = number_stages(sandbox, SMALL_WABA)
    for stage in (*STAGES, STAGES[0]):
        advance()
        second |= stage
        assert sandbox.numbers(SMALL_WABA) == [first, second, third]


def test_an_account_without_a_second_number_stays_as_it_is() -> None:
    sandbox = Sandbox()
    number_stages(sandbox, EMPTY_WABA)()
    assert sandbox.numbers(EMPTY_WABA) == []
