"""A click group that knows its verbs by name, and imports one when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from nabla.errors import did_you_mean


class LazyGroup(click.Group):
    """A group over `lazy`: verb -> (`module:command`, its line in the help); `aliases`: other words."""

    def __init__(
        self,
        *arguments: Any,
        lazy: dict[str, tuple[str, str]],
        aliases: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.lazy = lazy
        self.aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return [*self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb, imported now."""
        cmd_name = self.aliases.get(cmd_name, cmd_name)
        if cmd_name not in self.lazy:
            return None
        module, _, name = self.lazy[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb of a command line, or say which one was probably meant."""
        args = [self.aliases.get(word, word) for word in args[:1]] + args[1:]
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}.{did_you_mean(args[0], self.lazy)}")
        return super().resolve_command(ctx, args)
