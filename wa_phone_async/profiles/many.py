"""The profiles of many numbers, and the numbers that callers mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Final, Literal, NoReturn, TypeAlias

import attrs

from wa_phone_async.checks import check_at_least_one, plain_id
from wa_phone_async.concurrency import stream_bounded
from wa_phone_async.edits.targets import EditLevel, EditTargets, read_accounts, read_targets
from wa_phone_async.errors import WaPhoneError, concerns_all
from wa_phone_async.models import BusinessProfile
from wa_phone_async.workflows.bulk import Listings, as_async
from wa_phone_async.workflows.stepwise import Stepwise

ProfileLevel: TypeAlias = Literal["numbers", "members"]
"""What the ids are: `"numbers"` are numbers. `"members"` are accounts, and each of their numbers is meant."""

LEVELS: Final[Sequence[EditLevel]] = ("numbers", "members")


@attrs.frozen(kw_only=True)
class NumberProfile:
    """The profile of one number, or the error for which it could not be read."""

    phone_number_id: str | None
    """Meta's id of the number, or what you passed for it. `None`: the numbers of the account could not be listed."""
    waba_id: str | None = None
    """The account of the number, if it is known."""
    display_phone_number: str | None = None
    """The phone number as Meta shows it, if it is known."""
    profile: BusinessProfile | None = None
    """The profile. `None`: there is an error."""
    error: WaPhoneError | None = None
    """Why the profile could not be read. `None`: it was read."""


NumberLister: TypeAlias = Callable[[AsyncIterable[str]], Listings]
"""Lists the numbers of many accounts."""


async def each_number(
    targets: EditTargets, level: ProfileLevel, list_many: NumberLister
) -> AsyncGenerator[NumberProfile]:
    """Yield the numbers that are meant, without their profiles. An account that cannot be listed is an error.

    Raises:
        InvalidArgumentError: An id is invalid, or the file is no such file.
    """
    if level == "numbers":
        async with aclosing(read_targets(targets, level)) as named:
            async for target in named:
                yield NumberProfile(phone_number_id=target.id, waba_id=target.waba_id)
        return
    async with aclosing(read_accounts(targets)) as accounts, list_many(accounts) as listings:
        async for listing in listings:
            if listing.error is not None:
                yield NumberProfile(phone_number_id=None, waba_id=listing.waba_id, error=listing.error)
            for number in listing.phone_numbers:
                yield NumberProfile(
                    phone_number_id=number.id,
                    waba_id=listing.waba_id,
                    display_phone_number=number.display_phone_number,
                )


async def each_to_read(
    targets: EditTargets, level: ProfileLevel, list_many: NumberLister
) -> AsyncGenerator[NumberProfile]:
    """Yield the numbers whose profiles are wanted. Among many ids of numbers, one that is invalid is yielded too."""
    if level == "numbers" and isinstance(targets, Iterable | AsyncIterable) and not isinstance(targets, str):
        async for each in as_async(targets):
            yield NumberProfile(phone_number_id=str(plain_id(each)))
        return
    async with aclosing(each_number(targets, level, list_many)) as numbers:
        async for number in numbers:
            yield number


class BusinessProfiles(Stepwise[NumberProfile, list[NumberProfile]]):
    """The profiles of many numbers. Iterate inside `async with`, or await it for a `list` of all.

        async with client.get_business_profiles(numbers) as found:
            async for each in found:
                print(each.phone_number_id, each.profile, each.error)

    They come in the order in which they are read. You can use it once.

    Raises:
        AuthenticationError: The API rejected the token that all numbers share. This ends the run.
        InvalidArgumentError: The file is no such file, or has an id that is invalid.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    _call = "client.get_business_profiles"
    _profiles: AsyncGenerator[NumberProfile]

    def __init__(
        self,
        numbers: AsyncGenerator[NumberProfile],
        read: Callable[[NumberProfile], Awaitable[BusinessProfile]],
        *,
        concurrency: int,
    ) -> None:
        check_at_least_one("concurrency", concurrency)
        super().__init__()
        self._numbers = numbers
        self._read = read
        self._concurrency = concurrency

    def __repr__(self) -> str:  # seen in a notebook after a forgotten `await`
        return f"<{type(self).__name__}: await it for a list of all, or iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("profiles hold a client with its token and cannot be pickled or copied: pickle the list of all")

    async def _collect(self) -> list[NumberProfile]:
        async with self:
            return [each async for each in self]

    async def _begin(self) -> None:
        numbers = await self._stack.enter_async_context(aclosing(self._numbers))
        profiles = stream_bounded(self._read_number, numbers, self._concurrency)
        self._profiles = await self._stack.enter_async_context(aclosing(profiles))

    async def _take_step(self) -> bool:
        """Wait for the next profile."""
        found = await anext(self._profiles, None)
        if found is not None:
            self._ready.append(found)
        return found is not None

    async def _read_number(self, number: NumberProfile) -> NumberProfile:
        if number.error is not None:
            return number
        try:
            return attrs.evolve(number, profile=await self._read(number))
        except WaPhoneError as error:
            if concerns_all(error):
                raise
            return attrs.evolve(number, error=error.with_traceback(None))  # its frames would live as long as the error
