"""An asyncio client for Meta's WhatsApp Business Phone Number Management API.

    import asyncio
    from wa_phone_async import PhoneNumberClient

    async def main() -> None:
        async with PhoneNumberClient.from_env() as client:
            async for number in client.list_phone_numbers("102290129340398"):
                print(number.display_phone_number, number.verified_name)

    asyncio.run(main())

A list requests all its pages by itself. The client retries a call if that is safe and may succeed. Fields and values
that Meta adds tomorrow are kept. To test against the same API in your own process, see `wa_phone_async.sandbox`.
"""

# First, since it handles Ctrl-C during the other imports. That is all that it is for.
import wa_phone_async.cli.starting as _starting  # noqa: F401 # pyright: ignore[reportUnusedImport] - see above

# isort: split
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import export as export
    from . import sandbox as sandbox
    from ._public import workflows as _workflows
    from ._public.calls import *  # noqa: F403 - its `__all__` is the list of public names
    from ._public.calls import __all__ as __all__
    from ._public.workflows import *  # noqa: F403 - as above

    __all__ += _workflows.__all__
else:
    # `wa-phone --help` needs no client, and starts in half of the time without aiohttp.
    def __getattr__(name: str) -> Any:
        """Import the public names when the first of them is used, and the packages for exports and tests likewise."""
        if name == "export":
            import wa_phone_async.export as package  # noqa: PLC0415 - see above

            return package
        if name == "sandbox":
            import wa_phone_async.sandbox as package  # noqa: PLC0415 - see above

            return package
        from wa_phone_async._public import calls  # noqa: PLC0415 - see above

        globals().update({each: getattr(calls, each) for each in calls.__all__})
        if name not in calls.__all__:
            from wa_phone_async._public import workflows  # noqa: PLC0415 - see above

            globals().update({each: getattr(workflows, each) for each in workflows.__all__})
            globals()["__all__"] = [*calls.__all__, *workflows.__all__]
        if name not in globals():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        return globals()[name]

    def __dir__() -> list[str]:
        """Return the names of the module, with those that are imported later."""
        return sorted({*globals(), *__getattr__("__all__"), "export", "sandbox"})
