"""Checks a built site: no formula failed, nothing is fetched from elsewhere, every link and target exists."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
         "embed": "src", "object": "data", "input": "src", "image": "href", "use": "href"}
LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload",
                   "manifest"}
URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")

FAILED = re.compile(r'<span class="katex-error" title="([^"]*)"')
# what formulas are made of: most of a page, and nothing in it leads anywhere
PLAIN = re.compile(r'</?(?:span|semantics|annotation|m[a-z]+)(?: (?:class|style|aria-hidden)="[^"(]*")*>')


class Page(HTMLParser):
    """What a page loads, where it leads, the targets it has, and the formulas that failed."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.targets: set[str] = set()
        self.failed = FAILED.findall(text)
        self.formulas = text.count('class="katex"')
        self.feed(PLAIN.sub("", text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self.targets |= {at[name] for name in ("id", "name") if name in at}
        if tag in LOADS and LOADS[tag] in at:
            self.loads.append(at[LOADS[tag]])
        if tag == "link" and LINKS_THAT_LOAD & set(at.get("rel", "").split()):
            self.loads.append(at.get("href", ""))
        self.loads += [part.split()[0] for part in at.get("srcset", "").split(",") if part.strip()]
        self.loads += [first or second for first, second in URL.findall(at.get("style", ""))]
        if tag == "a" and "href" in at:
            self.leads.append(at["href"])


def problems(site: Path) -> list[str]:
    """One line for each mistake in the pages and styles below `site`; none where all is well."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if any(page.formulas for page in pages.values()) else [f"{site}: no formula at all"]
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: KaTeX: {failure}" for failure in page.failed]
        for url in page.loads:
            if outside(url):
                found.append(f"{name}: loads {url}")
            elif not urlsplit(url).scheme and not target_file(path, url).is_file():
                found.append(f"{name}: loads {url}, which does not exist")
        for url in page.leads:
            if urlsplit(url).scheme or url.startswith("//"):
                continue  # for a reader to follow
            file, anchor = target_file(path, url), unquote(urlsplit(url).fragment)
            if not file.is_file():
                found.append(f"{name}: leads to {url}, which does not exist")
            elif anchor and file in pages and anchor not in pages[file].targets:
                found.append(f"{name}: leads to {url}, a target that does not exist")
    for path in sorted(site.rglob("*.css")):
        for first, second in URL.findall(path.read_text(encoding="utf-8")):
            url = first or second
            if outside(url):
                found.append(f"{path.relative_to(site)}: loads {url}")
            elif not urlsplit(url).scheme and not url.startswith("#") and not target_file(path, url).is_file():
                found.append(f"{path.relative_to(site)}: loads {url}, which does not exist")
    return found


def outside(url: str) -> bool:
    """Whether loading `url` would ask another machine."""
    return url.startswith("//") or urlsplit(url).scheme in ("http", "https", "ftp", "ws", "wss")


def target_file(page: Path, url: str) -> Path:
    """The file that a relative `url` on a page means."""
    path = unquote(urlsplit(url).path)
    return (page.parent / path).resolve() if path else page
