"""`nabla projects`: made, listed, changed, deleted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from nabla.cli.options import all_tags, connect, json_option, one, tag_options
from nabla.cli.output import age, as_json, fields, listing, plain
from nabla.cli.shares import share, shares, unshare
from nabla.cli.tags import tag_group
from nabla.errors import BadInput

if TYPE_CHECKING:
    from nabla.schema import Project, ProjectContents

LIMIT = 50


@click.group()
def projects() -> None:
    """Make, list and change projects. PROJECT is an id or a name."""


def _show(project: Project, json: bool) -> None:
    if json:
        as_json(project)
        return
    fields(
        [
            ("name", project.name),
            ("id", project.id),
            ("description", project.description),
            ("repository", project.repository),
            ("tags", ", ".join(project.tags)),
            ("archived", "yes" if project.archived else ""),
            ("owner", project.owner),
            ("team", project.team),
            ("created", f"{project.created:%Y-%m-%d %H:%M} UTC"),
        ]
    )


@projects.command()
@click.argument("name", required=False)
@click.option("--name", "named", metavar="NAME", help="The same as NAME.")
@click.option("--description", default="", help="What it is about.")
@click.option("--repository", "--repositoryUrl", "repository", default="", help="URL of its git repository.")
@click.option("--repositoryName", "repository_name", default="", help="Used when no URL is given.")
@click.option("--team", help="Team that it belongs to (id or name); default: your private one.")
@tag_options
@json_option
def create(
    *,
    name: str | None,
    named: str | None,
    description: str,
    repository: str,
    repository_name: str,
    team: str | None,
    tag: tuple[str, ...],
    tags: str | None,
    json: bool,
) -> None:
    """Make a project."""
    if not (name or named):
        raise click.UsageError("Missing argument 'NAME'.")
    with connect() as client:
        project = client.projects.create(
            name or named or "",
            description=description,
            repository=repository or repository_name,
            tags=all_tags(tag, tags),
            team=team,
        )
    _show(project, json)


@projects.command("list")
@click.option("--tag", help="Only those with this tag.")
@click.option("--search", "-q", help="Only those whose name, tags or description have these words.")
@click.option("--team", help="Only those of this team (id or name).")
@click.option("--archived", is_flag=True, help="Only archived ones.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="How many.")
@json_option
def list_(  # noqa: PLR0917 - each is an option of the command
    tag: str | None, search: str | None, team: str | None, archived: bool, limit: int, json: bool
) -> None:
    """List projects, newest first."""
    with connect() as client:
        found = client.projects.list(q=search, tag=tag, archived=archived, team=team)

        def rows(shown: list[Project]) -> Iterator[tuple[object, ...]]:
            me = client.me()
            teams = me.lenders | me.teams
            for one in shown:
                tags = ", ".join(one.tags)
                yield one.id, one.name, teams.get(one.team, one.team), tags, age(one.created)

        none = "No projects. Make one with `nabla projects create NAME`."
        listing(found, limit, ["ID", "NAME", "TEAM", "TAGS", "CREATED"], rows, json=json, none=none)


@projects.command()
@one("project")
@json_option
def get(*, project: str, json: bool) -> None:
    """Show a project; `details` is the same."""
    with connect() as client:
        found = client.projects.get(project)
    _show(found, json)


projects.add_command(get, "details")


@projects.command()
@one("project")
@click.option("--name", help="A new name.")
@click.option("--description", help="A new description.")
@click.option("--repository", "--repositoryUrl", "repository", help="A new URL of its git repository.")
@json_option
def update(
    *, project: str, name: str | None, description: str | None, repository: str | None, json: bool
) -> None:
    """Change what is given."""
    if name is None and description is None and repository is None:
        raise click.UsageError("Nothing to change: give --name, --description or --repository.")
    with connect() as client:
        found = client.projects.update(project, name=name, description=description, repository=repository)
    _show(found, json)


@projects.command()
@click.argument("project")
@click.argument("name")
@json_option
def rename(*, project: str, name: str, json: bool) -> None:
    """Give a project another name; its id stays."""
    with connect() as client:
        found = client.projects.update(project, name=name)
    _show(found, json)


@projects.command()
@click.argument("project")
@click.argument("description")
@json_option
def describe(*, project: str, description: str, json: bool) -> None:
    """Say what a project is about."""
    with connect() as client:
        found = client.projects.update(project, description=description)
    _show(found, json)


@projects.command()
@one("project")
@json_option
def archive(*, project: str, json: bool) -> None:
    """Put a project away: hidden from lists, no new runs."""
    with connect() as client:
        found = client.projects.archive(project)
    _show(found, json)


@projects.command()
@one("project")
@json_option
def unarchive(*, project: str, json: bool) -> None:
    """Bring an archived project back."""
    with connect() as client:
        found = client.projects.unarchive(project)
    _show(found, json)


@projects.command()
@one("project")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def delete(*, project: str, yes: bool, json: bool) -> None:
    """Delete a project and all that is in it; says what goes, and asks."""
    with connect() as client:
        found = client.projects.get(project)
        if not yes:
            what = _contents(client.projects.delete(found.id).contents)
            click.echo(f"With {plain(found.name)} ({found.id}) go {what}.", err=True)
            if not sys.stdin.isatty():
                raise BadInput("Nothing was deleted: add --yes to delete it without being asked.")
            click.confirm("Delete it?", abort=True, err=True)
        deletion = client.projects.delete(found.id, confirm=True)
        gone = client.projects.wait_gone(found.id)
    if json:
        as_json(deletion)
    else:
        how = "Deleted" if gone else "It goes on in the background: deleting"
        click.echo(f"{how} {plain(found.name)} with {_contents(deletion.contents)}.")


def _contents(contents: ProjectContents) -> str:
    active = f" ({contents.active_runs} of them active, they are cancelled)" if contents.active_runs else ""
    return f"{contents.runs} runs{active} and {contents.links} links"


projects.add_command(tag_group("project", lambda client, ref: client.projects.get(ref)))
projects.add_command(shares)
projects.add_command(share)
projects.add_command(unshare)
