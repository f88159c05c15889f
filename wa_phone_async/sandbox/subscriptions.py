"""Where webhooks go: the apps that are subscribed to an account, and the callback URLs that override the app's.

Sources: Meta's page "Webhook overrides" (copies of June and September 2026) and its reference of `subscribed_apps`. The
texts of the errors are from public code and issues: chatwoot's pull request 13279 and issue 14738. All were read
2026-11-28. That an override of a number needs the subscription as well is a guess.
"""

import json
from collections.abc import Mapping
from typing import Any

from .data import APP_ID, OTHER_NODES, Row
from .messages import is_object, rejected
from .store import Store, StoredAccount

LONGEST_CALLBACK = 200
"""Characters of a callback URL."""

_APP_NAME = OTHER_NODES[APP_ID][1]["name"]


class Subscriptions:
    """The subscriptions of apps to accounts. The app of all tokens is subscribed to each account at first.

    Args:
        store: The accounts and their numbers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._apps: dict[str, dict[str, str | None]] = {}  # by account: each app with its override
        self._verify_tokens: dict[str, str | None] = {}

    def set_callback(self, url: str, verify_token: str | None) -> None:
        """Decide how a callback URL responds to a verification. At first each one accepts any token.

        Args:
            url: The URL.
            verify_token: The only token that it accepts; `None`: it does not exist.
        """
        self._verify_tokens[url] = verify_token

    def subscribe(self, waba_id: str, app_id: str, override: str | None = None) -> None:
        """Subscribe an app to an account, with its override or without."""
        self._of(waba_id)[app_id] = override
        if app_id == APP_ID:
            self._show(waba_id, override)

    def unsubscribe(self, waba_id: str, app_id: str) -> None:
        """End the subscription of an app to an account, and its override."""
        self._of(waba_id).pop(app_id, None)
        if app_id == APP_ID:
            self._show(waba_id, None)

    def read(self, waba_id: str) -> Row:
        """Return the subscriptions of an account, as its edge `subscribed_apps` has them."""
        rows = list[Row]()
        for app_id, override in self._of(waba_id).items():
            name = _APP_NAME if app_id == APP_ID else f"Invented App {app_id}"
            link = f"https://www.facebook.com/games/?app_id={app_id}"
            row: Row = {"whatsapp_business_api_data": {"id": app_id, "link": link, "name": name}}
            rows.append(row if override is None else {**row, "override_callback_uri": override})
        return {"data": rows}

    def write(self, waba_id: str, members: Mapping[str, Any]) -> Row:
        """Carry out a POST on the edge: subscribe the app, with an override or without.

        Raises:
            RejectedError: The URL is invalid or could not be verified, or the app is not subscribed yet.
        """
        url = members.get("override_callback_uri")
        if url is not None:
            self._check_subscribed(waba_id)
            self._verify(url, members.get("verify_token"))
        self.subscribe(waba_id, APP_ID, url)
        return {"success": True}

    def delete(self, waba_id: str) -> Row:
        """Carry out a DELETE on the edge: end the subscription of the app."""
        self.unsubscribe(waba_id, APP_ID)
        return {"success": True}

    def override_number(self, account: StoredAccount, number: str, value: Any) -> Row:
        """Carry out a POST of `webhook_configuration` on the node of a number. An empty URL ends its override.

        Raises:
            RejectedError: As for `write`.
        """
        members = json.loads(value) if isinstance(value, str) and value.startswith("{") else value
        if not is_object(members) or not isinstance(members.get("override_callback_uri"), str):
            raise rejected("The parameter webhook_configuration[override_callback_uri] is required.")
        url = members["override_callback_uri"]
        if url:
            self._check_subscribed(account.id)
            self._verify(url, members.get("verify_token"))
        self._store.update(account.id, number, {"webhook_configuration": _urls(account.row(number), phone_number=url)})
        return {"success": True}

    def _of(self, waba_id: str) -> dict[str, str | None]:
        return self._apps.setdefault(waba_id, {APP_ID: None})

    def _show(self, waba_id: str, override: str | None) -> None:
        """Show the override of an account in its numbers."""
        for row in list(self._store.existing(waba_id).rows()):
            urls = _urls(row, whatsapp_business_account=override or "")
            if urls != row.get("webhook_configuration"):
                self._store.update(waba_id, row["id"], {"webhook_configuration": urls})

    def _check_subscribed(self, waba_id: str) -> None:
        if APP_ID not in self._of(waba_id):
            raise rejected(
                "Before override the current callback uri, your app must be subscribed to receive messages for "
                "WhatsApp Business Account"
            )

    def _verify(self, url: object, token: object) -> None:
        """Reject a URL that is invalid, or that its own response would not verify."""
        if not (isinstance(url, str) and url.startswith("https://") and len(url) <= LONGEST_CALLBACK):
            raise rejected("Param override_callback_uri must be a valid https URL of at most 200 characters")
        if not (isinstance(token, str) and token):
            raise rejected("The parameter verify_token is required.")
        accepted = self._verify_tokens.get(url, token)
        if accepted != token:
            response = "404; HTTP Message = Not Found" if accepted is None else "403; HTTP Message = Forbidden"
            text = f"Callback verification failed with the following errors: HTTP Status Code = {response}"
            raise rejected(text, code=2200)


def _urls(row: Row | None, **changes: str) -> Row:
    """Return the URLs of a number after a change. An empty one is left out."""
    urls = (row or {}).get("webhook_configuration")
    return {name: url for name, url in {**(urls if is_object(urls) else {}), **changes}.items() if url}
