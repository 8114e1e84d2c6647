"""The keys of a storage provider, between the vault and what asks S3 with them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nabla.content.s3 import S3Settings
from nabla.errors import BadInput
from nabla.integrations.s3 import bucket_and_prefix

if TYPE_CHECKING:
    from nabla.schema import StorageProvider
    from nabla.services.vault import Vault

HINT = 4
SHORT = 8
"""Characters of an access key up to which nothing of it is shown."""


@dataclass(frozen=True)
class Keys:
    """An access key and its secret; what begins or ends with a space was copied badly."""

    access_key: str = field(repr=False)
    secret_access_key: str = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("access_key", "secret_access_key"):
            text: str = getattr(self, name)
            if not text.isprintable() or text != text.strip() or not text.isascii():
                what = name.replace("_", " ")
                raise BadInput(
                    f"The {what} has a space around it, or a letter that no key has: copy it again.",
                    field=name,
                )

    @property
    def hint(self) -> str:
        """Return the end of the access key, so that a person knows it again."""
        return self.access_key[-HINT:] if len(self.access_key) > SHORT else ""

    @property
    def text(self) -> str:
        """Return both as they are sealed."""
        return json.dumps([self.access_key, self.secret_access_key])


async def read(vault: Vault, provider: StorageProvider) -> Keys:
    """Return the keys of a storage provider; raises as `Vault.open` does."""
    access, secret = json.loads(await vault.open(provider.id, f"storage provider {provider.name!r}"))
    return Keys(access, secret)


def settings(provider: StorageProvider, keys: Keys, team: str = "") -> S3Settings:
    """Return where contents of a team lie with a storage provider; without a team: all that lies there."""
    bucket, prefix = bucket_and_prefix(provider.bucket)
    return S3Settings(
        bucket=bucket,
        prefix="/".join(part for part in (prefix, team) if part),
        endpoint=provider.endpoint,
        region=provider.region,
        access_key=keys.access_key,
        secret_access_key=keys.secret_access_key,
        signature_version=provider.signature_version,
        name=provider.name,
    )
