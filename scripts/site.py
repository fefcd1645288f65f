"""What the documentation links to outside of docs/, as pages of the site (a hook of MkDocs).

In the repository, `../benchmarks/RESULTS.md` leads to a file; the site has only what is in docs/. So every page of
Markdown that is linked from there becomes a page under `project/`; what is no Markdown stays a name without a link.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[1]
_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside of docs/."""
    waiting = [file for file in files.documentation_pages() if file.abs_src_path]
    known: set[str] = set()
    texts = [(file.src_uri, Path(str(file.abs_src_path)).read_text(encoding="utf-8")) for file in waiting]
    while texts:
        uri, text = texts.pop()
        for target in (_outside(uri, found[2]) for found in _LINK.finditer(text)):
            if not target or target in known or target.startswith("docs/") or not target.endswith(".md"):
                continue
            if (ROOT / target).is_file():
                known.add(target)
                page = (ROOT / target).read_text(encoding="utf-8")
                files.append(File.generated(config, _page(target), content=page))
                texts.append((_page(target), page))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - MkDocs passes it
    """Lead links that leave docs/ to the pages made of what they name."""
    uri = page.file.src_uri

    def led(found: re.Match[str]) -> str:
        target = _outside(uri, found[2])
        if target is None:
            return found[0]
        inside = target.removeprefix("docs/") if target.startswith("docs/") else _page(target)
        if files.get_file_from_path(inside) is None:
            return f"`{found[1]}`" if "`" not in found[1] else found[1]
        return f"[{found[1]}]({posixpath.relpath(inside, posixpath.dirname(uri))}{found[3] or ''})"

    return _LINK.sub(led, markdown)


def _outside(uri: str, link: str) -> str | None:
    """The path in the repository that a page's link leads to; None if it is a page of docs/ itself."""
    home = _home(uri)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(home), link))
    return None if home.startswith("docs/") and target.startswith("docs/") else target


def _home(uri: str) -> str:
    """Where a page of the site lies in the repository."""
    return uri.removeprefix("project/").replace("--", "/") if uri.startswith("project/") else f"docs/{uri}"


def _page(path: str) -> str:
    """The page that is made of a file outside of docs/."""
    return f"project/{path.replace('/', '--')}"
