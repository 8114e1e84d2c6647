"""`.gradient/settings.yaml`: which datasets and buckets a notebook wants to see at `/datasets/NAME`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from nabla import lined_yaml
from nabla.errors import BadInput, NablaError, did_you_mean
from nabla.lined_yaml import Lined
from nabla.references import PREFIX, referred

FILES = (
    ".gradient/settings.yaml",
    ".gradient/settings.yml",
    ".nabla/settings.yaml",
    ".nabla/settings.yml",
)
"""Where settings lie in a folder; what a later one says of a name holds."""
MOST = 100
"""Mounts of one folder."""
KEYS = {
    "dataset": ("type", "ref", "id", "version"),
    "s3": ("type", "url", "accessKeyId", "secretAccessKey", "region", "endpoint"),
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_WORD = re.compile(r"[A-Za-z0-9-]{0,100}")


@dataclass(frozen=True)
class DatasetMount:
    """A version of a dataset, by whatever it is called: `ref` goes to whoever knows datasets."""

    name: str
    ref: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class BucketMount:
    """What is in a bucket below a prefix. Both keys may be `secret:NAME`; none: the bucket is public."""

    name: str
    bucket: str
    prefix: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    region: str = ""
    endpoint: str = ""
    file: str = ""
    line: int = 0

    @property
    def url(self) -> str:
        """Return `s3://BUCKET/PREFIX`."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Trouble:
    """A line that cannot be mounted (or, a `warning`, one that says something that nobody knows)."""

    name: str
    file: str
    line: int
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.message}"


Mount = DatasetMount | BucketMount


@dataclass
class MountSettings:
    """What settings ask for, and what is wrong in them: one wrong line keeps no other from being mounted."""

    mounts: dict[str, Mount] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)


def read(files: Mapping[str, str]) -> MountSettings:
    """Return the settings in `files` (texts by path), a name in a later file replacing that of an earlier.

    Nothing is raised: a file that is no YAML is one trouble.
    """
    found = MountSettings()
    for path, text in files.items():
        try:
            said = lined_yaml.read(text.removeprefix("\ufeff"))
        except NablaError as error:
            line = error.line if isinstance(error, lined_yaml.BadYaml) else 1
            found.troubles.append(Trouble("", path, line, error.message))
            continue
        _File(path, said, found).read()
    for name in list(found.mounts)[MOST:]:
        del found.mounts[name]
        found.troubles.append(Trouble(name, "", 0, f"{name!r} is one too many: {MOST} mounts are the most."))
    return found


class _File:
    def __init__(self, path: str, said: Lined, found: MountSettings) -> None:
        self._path = path
        self._said = said
        self._found = found

    def read(self) -> None:
        """Add what the file says."""
        value = self._said.value
        if value is None:
            return
        if not isinstance(value, dict):
            self._trouble("", (), 'it is no mapping: it begins with "integrations:".')
            return
        for key in value:
            if key not in {"integrations", "$schema"}:
                near = did_you_mean(key, ["integrations"])
                self._trouble("", (key,), f"{key!r} says nothing here.{near}", warning=True)
        wanted = value.get("integrations")
        if wanted is not None and not isinstance(wanted, dict):
            self._trouble("", ("integrations",), 'integrations holds a mapping: "NAME: {type: dataset, …}".')
        elif wanted:
            for name, about in wanted.items():
                self._mount(name, about)

    def _mount(self, name: str, about: Any) -> None:
        path = ("integrations", name)
        try:
            if not _NAME.fullmatch(name):
                raise BadInput(
                    f"{name[:100]!r} is no name of a folder: use letters, digits, '-', '_' and '.'."
                )
            if not isinstance(about, dict):
                raise BadInput(f'{name!r} holds no mapping: write "{name}: {{type: dataset, ref: NAME}}".')
            kind = self._kind(name, about)
            for key in about:
                if key not in KEYS[kind]:
                    near = did_you_mean(key, KEYS[kind])
                    said = f"{key!r} says nothing of a mount of type {kind}.{near}"
                    self._trouble(name, (*path, key), said, warning=True)
            texts = {key: _text(key, about) for key in KEYS[kind]}
            make = _dataset if kind == "dataset" else _bucket
            line = self._said.line(*path)
            self._found.mounts.pop(name, None)
            self._found.mounts[name] = make(name, texts, self._path, line)
        except BadInput as error:
            at = (*path, error.field) if error.field else path
            self._trouble(name, at, error.message)

    @staticmethod
    def _kind(name: str, about: Mapping[str, Any]) -> str:
        kind = about.get("type")
        if kind is None and ("ref" in about or "id" in about):
            return "dataset"
        if kind is None and "url" in about:
            return "s3"
        if kind is None:
            raise BadInput(f"{name!r} has no type: write {' or '.join(KEYS)}.")
        if str(kind).lower() in KEYS:
            return str(kind).lower()
        near = did_you_mean(str(kind), KEYS)
        raise BadInput(f"the type {str(kind)[:80]!r} is not known: {' or '.join(KEYS)}.{near}", field="type")

    def _trouble(self, name: str, path: Iterable[str], said: str, *, warning: bool = False) -> None:
        self._found.troubles.append(Trouble(name, self._path, self._said.line(*path), said, warning))


def _text(key: str, about: Mapping[str, Any]) -> str:
    value = about.get(key)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{key} holds one word, not a list or a mapping.", field=key)
    return (value or "").strip()


def _dataset(name: str, said: Mapping[str, str], file: str, line: int) -> DatasetMount:
    ref, id, version = said["ref"], said["id"], said["version"]
    if ref and id and ref != id:
        raise BadInput(
            f"{name!r} has both a ref ({ref[:80]!r}) and an id ({id[:80]!r}): keep one.", field="id"
        )
    ref = ref or id
    if not ref:
        raise BadInput(f"{name!r} names no dataset: write ref: NAME, or ref: NAMESPACE/ID:VERSION.")
    _, colon, named = ref.rpartition("/")[2].partition(":")
    if version and colon and named != version:
        raise BadInput(
            f"{name!r} has a version ({version[:80]!r}) and another in {ref[:200]!r}: keep one.",
            field="version",
        )
    if version and not colon:
        ref = f"{ref}:{version}"
    if len(ref) > 400 or not ref.isprintable() or ref.startswith("/") or ref.rstrip(":") != ref:
        raise BadInput(
            f"{ref[:200]!r} is no reference of a dataset: write NAME, NAME:TAG or NAMESPACE/ID:VERSION.",
            field="ref",
        )
    return DatasetMount(name, ref, file, line)


def _bucket(name: str, said: Mapping[str, str], file: str, line: int) -> BucketMount:
    bucket, prefix = place(said["url"])
    key, secret = said["accessKeyId"], said["secretAccessKey"]
    if secret and referred(secret) is None:
        # What it is stays unsaid: it may be the key itself.
        raise BadInput(
            f"the secretAccessKey of {name!r} is no reference to a secret: keep the key with "
            f"`nabla secrets set user --name NAME` and write {PREFIX}NAME here.",
            field="secretAccessKey",
        )
    if key.startswith(PREFIX) and referred(key) is None:
        raise BadInput(f"the accessKeyId of {name!r} is no {PREFIX}NAME.", field="accessKeyId")
    if bool(key) != bool(secret):
        missing = "secretAccessKey" if key else "accessKeyId"
        raise BadInput(f"{name!r} has no {missing}: a bucket that is not public needs both keys.")
    if not _WORD.fullmatch(said["region"]):
        raise BadInput(f"{said['region'][:80]!r} is no region: write one like us-east-1.", field="region")
    endpoint = said["endpoint"]
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if endpoint and (urlsplit(endpoint).scheme not in {"http", "https"} or len(endpoint) > 2000):
        raise BadInput("the endpoint is no address that begins with https:// .", field="endpoint")
    return BucketMount(name, bucket, prefix, key, secret, said["region"], endpoint, file, line)


def bucket(name: str, said: Mapping[str, Any]) -> BucketMount | str:
    """Return the bucket that a mapping of type s3 names, or a sentence on what is wrong in it."""
    try:
        return _bucket(name, {key: _text(key, said) for key in KEYS["s3"]}, "", 0)
    except BadInput as error:
        return error.message


def place(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix that `s3://BUCKET/PREFIX` names; a prefix is a folder: it ends in `/`.

    Raises `BadInput` for anything else.
    """
    if not url:
        raise BadInput("a mount of type s3 has no url: write url: s3://BUCKET or s3://BUCKET/FOLDER.")
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket) or not prefix.isprintable() or len(prefix) > 1000:
        raise BadInput(
            f"{url[:200]!r} is no place in S3: write s3://BUCKET or s3://BUCKET/FOLDER, and another service "
            "than Amazon's as endpoint.",
            field="url",
        )
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
