"""Bucket: what a settings file names in S3, copied for a run or for somebody's notebook server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nabla.schema.base import Model

SecretRef = Annotated[str, Field(pattern=r"^(secret:[A-Za-z_][A-Za-z0-9_.-]{0,99})?$")]


class Bucket(Model):
    """A place in S3. Both keys are left out for one that everybody may read."""

    url: str = Field(max_length=1300, description="`s3://BUCKET` or `s3://BUCKET/FOLDER`.")
    endpoint: str = Field(default="", max_length=2000, description="URL of the service; empty: Amazon's.")
    region: str = Field(default="", max_length=100)
    access_key: str = Field(default="", max_length=1000, description="The access key, or `secret:NAME`.")
    secret_access_key: SecretRef = Field(default="", description="`secret:NAME`: never the key itself.")


class NewBucketMount(Bucket):
    """What is copied for the caller's notebook server, as it is now."""

    project: str | None = Field(
        default=None, description="Whose secrets may be meant too (id or name), beside your own."
    )
    anew: bool = Field(default=False, description="Copy it again, though there is a copy.")
