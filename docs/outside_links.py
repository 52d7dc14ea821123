"""Links of the pages to files outside of docs/, which the built pages don't have.

They lead to the repository where its address is given (``repo_url`` in mkdocs.yml), and are the path in words where it
is not. A picture outside of docs/ becomes one of the built pages' files. A file that does not exist is a warning, which
ends ``mkdocs build --strict``.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(((?:\.\./)+[^)\s#]+)(#[^)]*)?\)")
_LOG = logging.getLogger("mkdocs.plugins.outside_links")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pictures that pages show from outside of docs/."""
    root = Path(config.docs_dir).parent
    pictures = {
        path
        for file in files.documentation_pages()
        for match in _LINK.finditer(Path(file.abs_src_path or "").read_text("utf-8"))
        if match[1] and not (path := _from_root(file.src_uri, match[3])).startswith("docs/")
    }
    for path in sorted(pictures):
        files.append(File.generated(config, f"outside/{path}", abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return a page's text with every link that leaves docs/ rewritten."""
    root = Path(config.docs_dir).parent

    def rewritten(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        path = _from_root(page.file.src_uri, target)
        if path.startswith("docs/"):
            return match[0]
        if not (root / path).exists():
            _LOG.warning("%s links to %s, which does not exist", page.file.src_uri, path)
        if picture:
            return f"![{text}]({posixpath.relpath('outside/' + path, posixpath.dirname(page.file.src_uri) or '.')})"
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path}{anchor or ''})"
        return text if path in text else f"{text} (`{path}`)"

    return _LINK.sub(rewritten, markdown)


def _from_root(page: str, target: str) -> str:
    """Return where a link of a page leads, as seen from the repository."""
    return posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
