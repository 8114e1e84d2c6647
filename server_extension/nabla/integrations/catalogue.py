"""The catalogue of public datasets: YAML files of Nabla and of the hub's admin, read when they change."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from nabla import lined_yaml, mount_settings
from nabla.errors import BadInput, NablaError, did_you_mean
from nabla.integrations.outgoing import check_url

SHIPPED = Path(__file__).parents[1] / "catalogue"
"""The files that Nabla brings along."""
Unpack = Literal["none", "zip", "tar", "tar.gz", "gz"]
ENDINGS: tuple[tuple[str, Unpack], ...] = (
    (".tar.gz", "tar.gz"),
    (".tgz", "tar.gz"),
    (".tar", "tar"),
    (".zip", "zip"),
)
"""How an archive is unpacked when nothing says it."""
FACTOR = 20
"""How many times its size an archive may unpack to, when nothing says to how much."""
ROOM = 1 << 20
"""Bytes that anything may unpack to."""
KEYS = ("name", "title", "description", "licence", "homepage", "size", "sources")
SOURCE_KEYS = (
    "url", "sha256", "md5", "size", "path", "unpack", "unpacked",
    "region", "endpoint", "accessKeyId", "secretAccessKey",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SUMS = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}
_PACKAGE = re.compile(r"package:[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z0-9_.-]+)+")


@dataclass(frozen=True)
class Source:
    """Where some of a dataset comes from, and where in it that goes."""

    url: str
    """`https://…`, `http://…`, `s3://BUCKET/FOLDER` or `package:PACKAGE/FILE`."""
    sha256: str = ""
    md5: str = ""
    size: int = 0
    """Bytes as they are fetched; 0: unknown."""
    path: str = ""
    """Of a file: its path in the dataset. Of an archive or a bucket: the folder that it goes to."""
    unpack: Unpack = "none"
    unpacked: int = 0
    """Bytes that an archive unpacks to at most; 0: unknown."""
    bucket: mount_settings.BucketMount | None = None
    """Of `s3://…`: the bucket, the prefix and, as secrets of the cluster, its keys."""

    @property
    def most(self) -> int:
        """Return how many bytes it may unpack to."""
        return self.unpacked or max(ROOM, FACTOR * self.size)

    @property
    def file(self) -> str:
        """Return the last part of its address."""
        return urlsplit(self.url).path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Entry:
    """A dataset that anybody who is signed in may have fetched."""

    name: str
    title: str
    description: str
    licence: str
    homepage: str
    size: int
    sources: tuple[Source, ...]


class Catalogue:
    """Entries by name from files and folders of files; of two with one name that of the later file holds."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._paths = [SHIPPED, *(Path(path).expanduser() for path in paths)]
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[int, int, int]] | None = None
        self._entries: dict[str, Entry] = {}
        self._problems: list[str] = []

    def look(self) -> list[str] | None:
        """Read the files if one of them changed; return what is wrong in them, or None when none did."""
        with self._lock:
            files = dict(self._files())
            if files == self._seen:
                return None
            entries: dict[str, Entry] = {}
            problems = [f"{path}: there is no such file or folder." for path in self._missing()]
            for path in files:
                entries |= _read(path, problems)
            self._seen, self._entries, self._problems = files, entries, problems
            return problems

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Return the entries by name, as they were when `look` was called last."""
        return self._entries

    @property
    def problems(self) -> list[str]:
        """Return what is wrong in the files, a sentence each, with file, line and field."""
        return self._problems

    def _missing(self) -> list[Path]:
        # The folder in the home is looked into, whether somebody made it or not.
        return [path for path in self._paths if path.suffix in {".yaml", ".yml"} and not path.is_file()]

    def _files(self) -> Iterator[tuple[Path, tuple[int, int, int]]]:
        for path in self._paths:
            found = sorted(path.iterdir()) if path.is_dir() else [path]
            for file in found:
                if file.suffix not in {".yaml", ".yml"} or not file.is_file():
                    continue
                about = file.stat()
                yield file, (about.st_mtime_ns, about.st_size, about.st_ino)


def _read(path: Path, problems: list[str]) -> dict[str, Entry]:
    """Return the entries of a file; what is wrong in it goes to `problems`, and the rest of it counts."""
    try:
        said = lined_yaml.read(path.read_text("utf-8"))
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path}: it cannot be read ({why}).")
        return {}
    except NablaError as error:
        line = error.line if isinstance(error, lined_yaml.BadYaml) else 1
        problems.append(f"{path}, line {line}: {error.message}")
        return {}
    listed = said.value
    if listed is None:
        return {}
    if not isinstance(listed, list):
        problems.append(f'{path}, line 1: it is no list of datasets: each begins with "- name: ".')
        return {}
    found: dict[str, Entry] = {}
    for number, about in enumerate(listed):
        try:
            entry = _entry(about)
            if entry.name in found:
                raise _Wrong(f"{entry.name!r} is there twice.", "name")
            found[entry.name] = entry
        except _Wrong as wrong:
            line = said.line(number, *wrong.where)
            field = ".".join(str(step) for step in wrong.where if not isinstance(step, int))
            problems.append(f"{path}, line {line}{f', {field}' if field else ''}: {wrong.message}")
    return found


class _Wrong(BadInput):
    def __init__(self, message: str, *where: str | int) -> None:
        super().__init__(message)
        self.where = where


def _entry(about: Any) -> Entry:
    if not isinstance(about, dict):
        raise _Wrong('it is no mapping: it begins with "name: ".')
    _check_keys(about, KEYS)
    name = _text(about, "name")
    if not _NAME.fullmatch(name):
        raise _Wrong(f"{name[:100]!r} is no name: use small letters, digits, '-', '_' and '.'.", "name")
    listed = about.get("sources")
    if not isinstance(listed, list) or not listed:
        raise _Wrong('it has no list of sources: each begins with "- url: ".', "sources")
    sources = tuple(_source(one, number) for number, one in enumerate(listed))
    places = [source.path for source in sources if source.unpack in {"none", "gz"} and source.bucket is None]
    if len(set(places)) < len(places):
        raise _Wrong("two of its sources have one path: give each its own.", "sources")
    size = _number(about, "size") or sum(source.size for source in sources)
    texts = {key: _text(about, key) for key in ("title", "description", "licence", "homepage")}
    if not texts["licence"]:
        raise _Wrong("it does not say its licence.", "licence")
    return Entry(name, texts.pop("title") or name, **texts, size=size, sources=sources)


def _source(about: Any, number: int) -> Source:
    where = ("sources", number)
    if not isinstance(about, dict):
        raise _Wrong('it is no mapping: it begins with "url: ".', *where)
    _check_keys(about, SOURCE_KEYS, *where)
    url = _text(about, "url", *where)
    sums = {kind: _text(about, kind, *where).lower() for kind in _SUMS}
    for kind, form in _SUMS.items():
        if sums[kind] and not form.fullmatch(sums[kind]):
            raise _Wrong(f"{sums[kind][:80]!r} is no {kind.upper()}.", *where, kind)
    bucket = _check_address(url, about, sums, where)
    unpack = _text(about, "unpack", *where) or ("none" if bucket else _ending(url))
    if unpack not in get_args(Unpack):
        near = did_you_mean(unpack, get_args(Unpack))
        raise _Wrong(f"{unpack[:40]!r} is not known: {', '.join(get_args(Unpack))}.{near}", *where, "unpack")
    source = Source(
        url,
        size=_number(about, "size", *where),
        unpack=unpack,  # type: ignore[arg-type]
        unpacked=_number(about, "unpacked", *where),
        bucket=bucket,
        **sums,
    )
    return _placed(source, _text(about, "path", *where), where)


def _placed(source: Source, path: str, where: tuple[str | int, ...]) -> Source:
    """Return the source with its place in the dataset: for a file its own name, when none is given."""
    from dataclasses import replace

    from nabla.content.entry import check_path

    whole = source.bucket is not None or source.unpack in {"zip", "tar", "tar.gz"}
    if not path and not whole:
        path = source.file.removesuffix(".gz") if source.unpack == "gz" else source.file
    path = path.strip("/")
    try:
        return replace(source, path=check_path(path) if path or not whole else "")
    except BadInput as error:
        raise _Wrong(error.message, *where, "path") from None


def _check_address(
    url: str, about: Mapping[str, Any], sums: Mapping[str, str], where: tuple[str | int, ...]
) -> mount_settings.BucketMount | None:
    """Check a source's address, and return the bucket that it names, if it names one."""
    scheme = url.partition(":")[0].lower()
    if scheme == "s3":
        given = {
            "type": "s3",
            **{key: value for key, value in about.items() if key in mount_settings.KEYS["s3"]},
        }
        found = mount_settings.bucket("source", given)
        if isinstance(found, str):
            raise _Wrong(found, *where, "url")
        return found
    for key in ("region", "endpoint", "accessKeyId", "secretAccessKey"):
        if about.get(key):
            raise _Wrong(f"{key} says nothing of a {scheme or 'source'} address, only of s3://.", *where, key)
    if scheme == "package":
        if not _PACKAGE.fullmatch(url) or ".." in url.split("/"):
            raise _Wrong(f"{url[:200]!r} is no file of a package: write package:PACKAGE/FILE.", *where, "url")
        return None
    if scheme not in {"http", "https"}:
        raise _Wrong(
            f"{url[:200]!r} begins with neither https://, http://, s3:// nor package:.", *where, "url"
        )
    try:
        check_url(url)
    except BadInput as error:
        raise _Wrong(error.message, *where, "url") from None
    if scheme == "http" and not any(sums.values()):
        raise _Wrong(
            "what comes by http:// needs a sha256 or an md5: anybody could change it.", *where, "url"
        )
    return None


def _ending(url: str) -> Unpack:
    path = urlsplit(url).path.lower()
    return next((unpack for ending, unpack in ENDINGS if path.endswith(ending)), "none")


def _check_keys(about: Mapping[str, Any], known: tuple[str, ...], *where: str | int) -> None:
    for key in about:
        if key not in known:
            raise _Wrong(f"there is no such key.{did_you_mean(key, known)}", *where, key)


def _text(about: Mapping[str, Any], key: str, *where: str | int) -> str:
    value = about.get(key)
    if value is not None and not isinstance(value, str):
        raise _Wrong("it holds one text, not a list or a mapping.", *where, key)
    return " ".join((value or "").split())


def _number(about: Mapping[str, Any], key: str, *where: str | int) -> int:
    value = _text(about, key, *where).replace("_", "")
    if value and not re.fullmatch(r"[0-9]{1,18}", value):
        raise _Wrong(f"{value[:40]!r} is no number of bytes.", *where, key)
    return int(value or 0)
