"""Check that the pages name every command, and that their links to files lead somewhere."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperGroup

from limbeck.cli.app import app

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(
    r"\]\(\s*<?([^\s)>]+)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE
)
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:|//|#", re.IGNORECASE)


def commands(group: TyperGroup, name: str) -> Iterator[str]:
    """Yield every command as it is typed: ``limbeck search``."""
    for key, command in group.commands.items():
        full_name = f"{name} {key}"
        if isinstance(command, TyperGroup):
            yield from commands(command, full_name)
        elif not command.hidden:
            yield full_name


def unnamed_commands(text: str) -> list[str]:
    """Return the commands that a text does not name."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    names = commands(group, "limbeck")
    return [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]


def broken_links(page: Path) -> list[str]:
    """Return the links of a page to files that are not there."""
    targets = [
        next(filter(None, match.groups()))
        for match in LINK.finditer(CODE.sub("", page.read_text(encoding="utf-8")))
    ]
    files = [target.partition("#")[0] for target in targets if not ELSEWHERE.match(target)]
    return [file for file in files if not (page.parent / file).exists()]


def main() -> None:
    """Exit with a line for each fault."""
    pages = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    guides = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in guides)
    faults = [
        f"README.md and docs/*.md must name every command, but `{name}` is missing; describe it"
        for name in unnamed_commands(text)
    ]
    faults += [
        f"{page.relative_to(ROOT)}: links must point at files, but {link} is not there; mend it"
        for page in pages
        for link in broken_links(page)
    ]
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()
