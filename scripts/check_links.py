#!/usr/bin/env python3
"""Checks that links inside this repository lead somewhere. No network, no packages.

    scripts/check_links.py BOOK    BOOK is the folder that `mdbook build` wrote

1. Rendered book: every relative link has a file behind it, and every fragment an element with that id.
2. Markdown in the repository: the same for files; and a path in backticks below one of our folders must exist.
3. Every decision in docs/decisions stands in the book's table of contents.

Prints one line per fault and exits 1 if there is any.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SKIPPED_FOLDERS = {".git", ".venv", "devnet", "node_modules", "target"}
# mdBook's page for unknown addresses: its links start at the root of a web server.
SKIPPED_PAGES = {"404.html"}
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
PATH = re.compile(r"`((?:\.config|\.ci|appliance|benches|docs|node-core|scripts|tests)/[\w./-]+)`")
# Made by setup, so not in a fresh checkout; or a name to be filled in.
NOT_THERE = re.compile(r"(^|/)node_modules(/|$)|NNNN")


class Page(HTMLParser):
    """The links and the anchors of one HTML page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(values["id"])
        if tag == "a" and values.get("name"):
            self.anchors.add(values["name"])
        for name in ("href", "src"):
            if values.get(name):
                self.links.append(values[name])


def internal(link):
    """(path, fragment) of a relative link; None for an address elsewhere."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    return unquote(parts.path), unquote(parts.fragment)


def check_book(book):
    pages = {path: Page(path) for path in sorted(book.rglob("*.html")) if path.name not in SKIPPED_PAGES}
    if not pages:
        yield f"{book}: no HTML page; run `make doc`, which builds the book first"
    for path, page in pages.items():
        for link in page.links:
            found = internal(link)
            if found is None:
                continue
            target = (path.parent / found[0]).resolve() if found[0] else path
            if target.is_dir():
                target /= "index.html"
            where = f"book page {path.relative_to(book)}"
            if not target.exists():
                yield f"{where}: link to `{link}`: no such page"
            elif found[1] and target in pages and found[1] not in pages[target].anchors:
                yield f"{where}: link to `{link}`: the page has no such section"


def slug(heading):
    """A heading's fragment as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def markdown_anchors(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {slug(match) for match in re.findall(r"^#{1,6} +(.+)$", text, re.MULTILINE)}


def markdown_files():
    for path in sorted(ROOT.rglob("*.md")):
        if not SKIPPED_FOLDERS.intersection(path.relative_to(ROOT).parts):
            yield path


def check_markdown(path):
    name = path.relative_to(ROOT)
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    # Links of book pages were checked where they are rendered: an included text has its own place in the repository.
    for link in [] if Path("docs/src") in name.parents else LINK.findall(text):
        found = internal(link)
        if found is None:
            continue
        target = (path.parent / found[0]).resolve() if found[0] else path
        if not target.exists():
            yield f"{name}: link to `{link}`: no such file"
        elif found[1] and target.suffix == ".md" and found[1] not in markdown_anchors(target):
            yield f"{name}: link to `{link}`: the file has no such heading"
    for mentioned in PATH.findall(text):
        if not (ROOT / mentioned).exists() and not NOT_THERE.search(mentioned):
            yield f"{name}: `{mentioned}` is not in the repository"


def check_decisions():
    summary = (ROOT / "docs/src/SUMMARY.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        if f"(decisions/{path.name})" not in summary:
            yield (
                f"docs/decisions/{path.name} is not in docs/src/SUMMARY.md: add it there, "
                f"and docs/src/decisions/{path.name} that includes it"
            )


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/check_links.py BOOK")
    faults = list(check_book(Path(sys.argv[1]).resolve()))
    files = list(markdown_files())
    for path in files:
        faults.extend(check_markdown(path))
    faults.extend(check_decisions())
    for fault in faults:
        print(fault)
    print(f"{len(files)} Markdown files, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
