"""Folders of this machine into versions: only what changed is read, only what the store lacks is sent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nabla.client.dataset_send import Content, Sender, line_of, line_without, of_file
from nabla.client.tally import Tally
from nabla.client.transport import Transport
from nabla.content.collisions import WARNINGS
from nabla.content.commit import store_changes
from nabla.content.entry import Entry, Progress, Report, Total
from nabla.content.local import LocalStore
from nabla.content.stamps import Plan, Stamps
from nabla.errors import BadInput, NablaError, Unavailable
from nabla.schema import DatasetVersion, Lineage
from nabla.states import VersionState

if TYPE_CHECKING:
    from nabla.client.dataset_versions import DatasetVersions

Source = tuple[Path, str]
"""A folder or file of this machine, and the folder of the version that it comes into (empty: none)."""
LOOKED_AT = 200
"""Versions among which the one that a folder was last is looked for."""
ENTERED = 2500
"""Paths that are entered at once."""


def sources_of(paths: Sequence[str], target: str = "") -> list[Source]:
    """Return what `--source-path` names: `dir/` is what is in a folder, `dir` the folder, a file itself.

    `target` is the folder of the version that they come into. Raises `BadInput` for what is not there.
    """
    found: list[Source] = []
    lead = target.strip("/")
    for path in paths:
        source = Path(path).expanduser()
        if not source.exists():
            raise BadInput(f"There is no file or folder {path!r}.", field="source-path")
        inside = path.endswith("/") or source.name in {"", "..", "."}
        if not source.is_dir() and path.endswith("/"):
            raise BadInput(f"{path!r} is a file: leave the slash out.", field="source-path")
        prefix = [lead] if lead else []
        if source.is_dir() and not inside:
            prefix.append(source.name)
        found.append((source, "/".join(prefix)))
    return found


class FolderCommit:
    """The work of one commit: a version begun, filled and committed, or gone again."""

    def __init__(
        self,
        transport: Transport,
        versions: DatasetVersions,
        dataset: str,
        report: Report | None = None,
        stamps: Stamps | None = None,
    ) -> None:
        self._transport, self._versions, self._dataset = transport, versions, dataset
        self._report = report
        self._stamps = stamps or Stamps()

    def commit(self, sources: Sequence[Source], message: str) -> DatasetVersion:
        """Make a version that holds exactly these sources; return it once it is committed.

        When it does not work, or is interrupted, the version goes again, unless others put files into it.
        What was sent stays in the store for a while: the next try goes on from there.
        """
        with ExitStack() as held:
            self._say("looking for what changed")
            plans = [
                (held.enter_context(self._stamps.plan(path.expanduser().absolute())), to)
                for path, to in sources
            ]
            base = self._base(plans)
            where = ", ".join(f"{socket.gethostname()}:{path.absolute()}" for path, _ in sources)
            version = self._begin(message, where, base)
            sender = Sender(self._transport, version.id, Tally(self._report, doing="sending"))
            try:
                self._fill(sender, plans, sources, based=base is not None)
                self._say("committing")
                done = self._versions.commit(version.id)
            except BaseException as error:
                self._take_back(version, sender.entered, error)
                raise
            if len(plans) == 1 and not plans[0][1]:
                plans[0][0].remember(done.hash)
            done.warnings = [*_left_out(plans), *done.warnings][:WARNINGS]
            return done

    def commit_contents(
        self, contents: Iterable[Content], message: str, source: str, total: Total | None = None
    ) -> DatasetVersion:
        """Make a version of contents from anywhere; `total` is how many they are, as far as is known."""
        version = self._begin(message, source)
        sender = Sender(self._transport, version.id, Tally(self._report, *(total or Total()), "sending"))
        try:
            sender.send(contents)
            sender.tally.tell(last=True)
            self._say("committing")
            return self._versions.commit(version.id)
        except BaseException as error:
            self._take_back(version, sender.entered, error)
            raise

    def fill(self, version: DatasetVersion, sources: Sequence[Source]) -> list[str]:
        """Put sources into an uncommitted version, beside what is there; return warnings."""
        with ExitStack() as held:
            self._say("looking for what changed")
            plans = [
                (held.enter_context(self._stamps.plan(path.expanduser().absolute())), to)
                for path, to in sources
            ]
            sender = Sender(self._transport, version.id, Tally(self._report, doing="sending"))
            self._fill(sender, plans, sources, based=False)
            return _left_out(plans)

    def _begin(self, message: str, source: str, base: str | None = None) -> DatasetVersion:
        """Begin the version; one whose answer an interruption kept from us is taken back, too."""
        made_by = Lineage(source=source[:1000])
        with ThreadPoolExecutor(1) as thread:
            begun = thread.submit(
                self._versions.begin, self._dataset, message=message, base=base, made_by=made_by
            )
            try:
                return begun.result()
            except KeyboardInterrupt as error:
                self._take_back(begun.result(), 0, error)
                raise

    def _base(self, plans: Sequence[tuple[Plan, str]]) -> str | None:
        """Return the version that the one folder was when it was last committed, if it is there still."""
        if len(plans) != 1 or plans[0][1] or not plans[0][0].hash:
            return None
        hash = plans[0][0].hash
        versions = self._versions.list(self._dataset, committed=True)
        return next((one.name for one in islice(versions, LOOKED_AT) if one.hash == hash), None)

    def _fill(
        self, sender: Sender, plans: Sequence[tuple[Plan, str]], sources: Sequence[Source], *, based: bool
    ) -> None:
        tally = sender.tally
        for plan, _ in plans:
            tally.expect(plan.changed if based else plan.files, plan.changed_bytes if based else plan.size)
        how = sender.plan({})
        store = LocalStore(Path(how.folder)) if how.how == "direct" else None
        for (plan, to), (source, _) in zip(plans, sources, strict=True):
            root = source.parent if plan.tree.single else source
            if based:
                _each(sender.enter_all, (line_without(path) for path in plan.gone))
            changed = store_changes(plan, store, report=self._reading(tally, direct=store is not None))
            if store is None:
                sender.send(_contents(changed, root, to))
            else:
                moved = (line_of(entry._replace(path=_below(to, entry.path))) for entry in changed)
                _each(sender.enter_all, moved)
                tally.add(plan.changed, plan.changed_bytes)
            if not based:
                sender.send(_contents(plan.unchanged_entries(), root, to))
        tally.tell(last=True)

    def _reading(self, tally: Tally, *, direct: bool) -> Report | None:
        """Return what tells how far reading is: where reading is storing, that is all there is to tell."""
        report = self._report
        if report is None or direct:
            return report

        def told(progress: Progress) -> None:
            share = f"{100 * progress.done_bytes // progress.size}%" if progress.size else ""
            report(
                Progress(
                    tally.done, tally.files, tally.done_bytes, tally.size, f"reading files {share}".strip()
                )
            )

        return told

    def _say(self, doing: str) -> None:
        if self._report:
            self._report(Progress(0, 0, 0, 0, doing))

    def _take_back(self, version: DatasetVersion, entered: int, error: BaseException) -> None:
        """Delete a version that came to nothing; what others put there, and what cannot be reached, stays."""
        try:
            found = self._versions.get(version.id)
            if found.state == VersionState.UNCOMMITTED and found.files <= version.files + entered:
                self._versions.delete(version.id)
        except NablaError:
            if isinstance(error, Unavailable):
                error.message += f" The version {version.id} stays uncommitted; run it again for a new one."


def _contents(entries: Iterable[Entry], root: Path, to: str) -> Iterator[Content]:
    for entry in entries:
        yield of_file(entry._replace(path=_below(to, entry.path)), root / entry.path)


def _left_out(plans: Sequence[tuple[Plan, str]]) -> list[str]:
    return [sentence for plan, _ in plans for sentence in plan.tree.left_out()]


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _each(work: Callable[[list[bytes]], None], lines: Iterator[bytes]) -> None:
    """Let `work` have the lines in batches: while it has one, the files of the next are read."""
    with ThreadPoolExecutor(1) as thread:
        going: Future[None] | None = None
        while batch := list(islice(lines, ENTERED)):
            if going is not None:
                going.result()
            going = thread.submit(work, batch)
        if going is not None:
            going.result()
