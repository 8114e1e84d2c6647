"""Storage provider: where the contents of datasets lie, a folder of this home or an S3-compatible bucket."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nabla.schema.base import TAG_COUNT, Document, Model, Tag

MANAGED = "spl0000000000000"
"""Id of the provider that every team has without making one: a folder of this home."""
Bucket = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
Endpoint = Annotated[str, Field(max_length=2000)]
SignatureVersion = Literal["s3v4", "s3"]


class StorageProvider(Document):
    """Where contents of datasets lie. Its keys are write-only: `access_key_hint` shows the last four."""

    kind: str = "storage provider"
    type: Literal["managed", "s3"] = "s3"
    bucket: str = Field(default="", description="The bucket, with a prefix after a slash if it has one.")
    endpoint: str = Field(default="", description="URL of the S3 service; empty: Amazon's.")
    region: str = ""
    signature_version: SignatureVersion = "s3v4"
    access_key_hint: str = Field(default="", description="The end of the access key.")
    keys_set: int = Field(default=0, description="How often its keys were set.")
    unique_name: ClassVar[bool] = True

    @property
    def noun(self) -> str:
        """Return the row of the policy's matrix that it falls under."""
        return "cluster storage provider" if self.team == "cluster" else "storage provider"


class NewStorageProvider(Model):
    """What makes a storage provider."""

    name: str
    team: str | None = Field(
        default=None, description="Id or name; none: the caller's private team; `cluster`: for everybody."
    )
    type: Literal["s3"] = "s3"
    bucket: Bucket
    access_key: str = Field(min_length=1, max_length=1000)
    secret_access_key: str = Field(min_length=1, max_length=1000)
    endpoint: Endpoint = ""
    region: str = Field(default="", max_length=100)
    signature_version: SignatureVersion = "s3v4"
    tags: list[Tag] = Field(default_factory=list, max_length=TAG_COUNT)


class StorageProviderChange(Model):
    """What may change in a storage provider; what is left out stays."""

    name: str | None = None
    bucket: Bucket | None = None
    access_key: str | None = Field(default=None, min_length=1, max_length=1000)
    secret_access_key: str | None = Field(default=None, min_length=1, max_length=1000)
    endpoint: Endpoint | None = None
    region: str | None = Field(default=None, max_length=100)
    signature_version: SignatureVersion | None = None
    tags: list[Tag] | None = Field(default=None, max_length=TAG_COUNT)
    version: int | None = Field(
        default=None, description="The version that was read; a newer one answers 409."
    )
