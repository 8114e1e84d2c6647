"""Projects, as the SDK has them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from nabla.client.paging import items
from nabla.client.transport import Transport, piece
from nabla.errors import Conflict, NotFound
from nabla.schema import NewProject, Project, ProjectChange, ProjectDeletion

TRIES = 5
PAUSE = 0.1


class Projects:
    """What can be done with projects. Everywhere a project is its id or its name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        description: str = "",
        repository: str = "",
        tags: Sequence[str] = (),
        team: str | None = None,
    ) -> Project:
        """Make a project; raises `Conflict` when the name is taken."""
        new = NewProject.read(
            {
                "name": name,
                "description": description,
                "repository": repository,
                "tags": list(tags),
                "team": team,
            }
        )
        return self._transport.read(Project, self._transport.ask("POST", "projects", body=new))

    def list(
        self,
        *,
        q: str | None = None,
        tag: str | None = None,
        archived: bool | None = None,
        team: str | None = None,
    ) -> Iterator[Project]:
        """Yield the projects you can see, newest first; `q` searches name, tags and description.

        `team` (id or name) narrows them to one of your teams.
        """
        query = {"q": q, "tag": tag, "archived": archived, "team": team}
        return items(self._transport, "projects", query, Project)

    def get(self, project: str) -> Project:
        """Return a project; raises `NotFound`."""
        return self._transport.read(Project, self._transport.ask("GET", f"projects/{piece(project)}"))

    def update(
        self,
        project: str,
        *,
        name: str | None = None,
        description: str | None = None,
        repository: str | None = None,
        tags: Sequence[str] | None = None,
        archived: bool | None = None,
        version: int | None = None,
    ) -> Project:
        """Change what is given; with `version`, raises `Conflict` when the project changed since."""
        given = {
            "name": name,
            "description": description,
            "repository": repository,
            "tags": None if tags is None else [*tags],
            "archived": archived,
            "version": version,
        }
        change = ProjectChange.read({key: value for key, value in given.items() if value is not None})
        answer = self._transport.ask("PATCH", f"projects/{piece(project)}", body=change)
        return self._transport.read(Project, answer)

    def archive(self, project: str) -> Project:
        """Put a project away: it is hidden from lists and takes no new runs."""
        return self.update(project, archived=True)

    def unarchive(self, project: str) -> Project:
        """Bring an archived project back."""
        return self.update(project, archived=False)

    def add_tags(self, project: str, *tags: str) -> Project:
        """Add tags to a project."""
        return self._retag(project, add=tags, remove=())

    def remove_tags(self, project: str, *tags: str) -> Project:
        """Remove tags from a project."""
        return self._retag(project, add=(), remove=tags)

    def delete(self, project: str, *, confirm: bool = False) -> ProjectDeletion:
        """Delete a project and all that is in it; without `confirm` only tell what would go.

        It goes in the background, its runs first: `wait_gone` waits for the end.
        """
        answer = self._transport.ask(
            "DELETE", f"projects/{piece(project)}", query={"confirm": confirm or None}
        )
        return self._transport.read(ProjectDeletion, answer)

    def wait_gone(self, project: str, timeout: float = 60) -> bool:
        """Wait at most `timeout` seconds for a project that is being deleted; return whether it is gone."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                self.get(project)
            except NotFound:
                return True
            time.sleep(PAUSE)
        return False

    def _retag(self, project: str, *, add: Sequence[str], remove: Sequence[str]) -> Project:
        for left in reversed(range(TRIES)):
            found = self.get(project)
            tags = [tag for tag in dict.fromkeys([*found.tags, *add]) if tag not in remove]
            try:
                return self.update(found.id, tags=tags, version=found.version)
            except Conflict:
                if not left:
                    raise
        raise AssertionError("a last try returns or raises")
