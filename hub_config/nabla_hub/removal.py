"""Removing somebody from the hub: what they own is shown, then their sessions, teams and servers end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from nabla.errors import NotFound, Unavailable
from nabla_hub.sessions import sign_off

if TYPE_CHECKING:
    from nabla_hub.pages import Page

TELL_SECONDS = 5.0
"""Seconds that a removal waits for the service; after them it is told later."""


async def show_removal(page: Page, name: str) -> None:
    """Show what a person owns over all teams, who gets it, and the button that removes them."""
    _check(page, name)
    if page.accounts.get(name) is None:
        raise NotFound(f'There is no account "{name}".')
    told: dict[str, Any] = {"by": page.current_user.name, "transfer_to": _heir(page)}
    removal, problem = None, ""
    try:
        removal = await page.sign_in.reception.departures.look(name, **told)
    except Unavailable:
        problem = (
            f"The Nabla service does not answer: what {name} owns cannot be shown. You can remove them all "
            "the same; the service hands it over when it is back."
        )
    await page.show("remove.html", person=name, removal=removal, problem=problem, **told)


async def remove(page: Page, name: str) -> str:
    """Remove somebody, and return what there is to say about it.

    All of their tokens end before their servers take time to stop.
    """
    _check(page, name)
    known = page.accounts.get(name)
    departures = page.sign_in.reception.departures
    if known is not None and known.state != "waiting":
        # Noted first: who is half removed when the hub dies is out of their teams all the same.
        departures.put(name, page.current_user.name, _heir(page))
    page.accounts.remove(name)
    page.sign_in.tell(page, name, "remove")
    user = page.find_user(name)
    if user is not None:
        sign_off(page.db, user)
    try:
        told = await asyncio.wait_for(departures.deliver(), TELL_SECONDS)
    except TimeoutError:
        told = False
    if user is not None:
        await _end(page, user)
    if told:
        return ""
    return (
        f"{name} is removed from this machine. The Nabla service does not answer: it takes them out of their "
        "teams, and hands over what they own, when it is back."
    )


def _check(page: Page, name: str) -> None:
    if name in {page.current_user.name, page.sign_in.admin_name}:
        raise HTTPError(400, "You cannot remove yourself, nor the admin of this machine.")


def _heir(page: Page) -> str:
    return str(page.get_body_argument("transfer_to", "")).strip()


async def _end(page: Page, user: Any) -> None:
    """Stop a user's servers and forget the user."""
    for server, spawner in list(user.spawners.items()):
        if spawner.active:
            await user.stop(server)
        # A start that was under way has failed now; it must not write to a user who is gone.
        if spawner._spawn_future is not None:
            await asyncio.wait([spawner._spawn_future])
    page.sign_in.delete_user(user)
    page.users.delete(user)
