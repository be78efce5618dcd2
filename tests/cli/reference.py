"""`python -m tests.cli.reference`: the reference of docs/cli.md from the commands themselves."""

from collections.abc import Iterator
from pathlib import Path

import click

from perminute_cli.main import root

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
START = "<!-- from here on: python -m tests.cli.reference -->"
COMMON = frozenset(
    {
        *("account_option", "month", "since", "until", "limit", "all_rows", "is_json", "is_csv"),
        *("output", "yes", "url", "key"),
    }
)


def commands(group: click.Group, before: str = "perminute") -> Iterator[tuple[str, click.Command]]:
    """(name in full, command) of all that can be run, in the order of the help."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, f"{before} {name}")
        else:
            yield f"{before} {name}", found


def reference() -> str:
    """The reference as Markdown."""
    return "\n".join([START, "", *(_section(*each) for each in commands(root))])


def _section(name: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    own = [each for each in options if each.name not in COMMON]
    common = [each.opts[0] for each in options if each.name in COMMON]
    usage = " ".join([name, *(_argument(each) for each in arguments)])
    about = "\n".join(line.strip() for line in (command.help or "").splitlines())
    lines = [f"### {name}", "", f"`{usage}`", "", about, ""]
    if own:
        lines += ["| option | |", "| --- | --- |"]
        lines += [f"| `{_option(each)}` | {_about(each)} |" for each in own]
        lines.append("")
    lines += [f"Common options: {', '.join(f'`{each}`' for each in common)}.", ""] if common else []
    examples = (command.epilog or "").partition("Examples:\n")[2].splitlines()
    return "\n".join([*lines, "```sh", *(line.strip() for line in examples), "```", ""])


def _argument(argument: click.Argument) -> str:
    name = (argument.name or "").upper()
    more = "..." if argument.nargs == -1 else ""
    return f"{name}{more}" if argument.required else f"[{name}{more}]"


def _option(option: click.Option) -> str:
    if option.is_flag:
        return option.opts[0]
    kind = option.type
    if isinstance(kind, click.Choice):
        return f"{option.opts[0]} {'\\|'.join(map(str, kind.choices))}"
    return f"{option.opts[0]} {option.metavar or _metavar(option)}"


def _metavar(option: click.Option) -> str:
    kind = option.type
    if isinstance(kind, click.Path):
        return "FILE"
    return "N" if isinstance(kind, click.IntRange) else (option.name or "").upper()


def _about(option: click.Option) -> str:
    required = " Required." if option.required else ""
    several = " Repeatable." if option.multiple else ""
    return f"{option.help or ''}{required}{several}".strip()


def page() -> str:
    """The page with its reference as the commands have it."""
    return PAGE.read_text("utf-8").partition(START)[0] + reference()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print("docs/cli.md written")
