"""Sign-ins that a provider brought, and signing somebody out everywhere at once."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm


class Arrived(dict[str, Any]):
    """Says to the authenticator whom a provider brought: of a type that no form can send."""


def sign_off(db: Any, user: Any) -> None:
    """End every session and every token of a user who is removed, before their servers take time to stop."""
    user.orm_user.cookie_id = orm.new_token()
    for token in db.query(orm.APIToken).filter_by(user_id=user.id):
        db.delete(token)
    db.commit()


def end_sessions(db: Any, user: Any, kept: str | None = None) -> None:
    """Sign a user out everywhere but in the session `kept`: pages of their servers lose their tokens."""
    user.orm_user.cookie_id = orm.new_token()
    for token in db.query(orm.APIToken).filter_by(user_id=user.id):
        if token.session_id and token.session_id != kept:
            db.delete(token)
    db.commit()
