"""Find a file in the simple index of a Python package registry (PEP 503, PEP 691)."""

from __future__ import annotations

import json
import re
import threading
from html import unescape
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bigtop_builder.adapter.sources.errors import TransferError
from bigtop_builder.adapter.sources.web import Auth, Web
from bigtop_builder.model.source import PypiSource

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2"
LARGEST_INDEX = 64 << 20
LINK = re.compile(r"""<a\s[^<>]*?\bhref\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')""", re.IGNORECASE)
"""A link of an index page, which is all that is needed of it: a parser of HTML can be made to take minutes."""
SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz")


def locate(web: Web, index: str, source: PypiSource, cancelled: threading.Event, *, auth: Auth | None = None) -> str:
    """Return the address of the source's file, or of the sdist. Raises TransferError."""
    name, _, version = source.pypi.partition("==")
    page = f"{index.rstrip('/')}/{_normal(name)}/"
    with web.get(page, cancelled=cancelled, headers={"Accept": ACCEPT}, auth=auth) as answer:
        if answer.status != 200:
            raise TransferError(f"the index answered {answer.status_text} for {_normal(name)}")
        data = bytearray()
        for chunk in answer.body:
            data += chunk
            if len(data) > LARGEST_INDEX:
                raise TransferError(f"the index page is larger than {LARGEST_INDEX >> 20} MiB")
        is_json = "json" in answer.headers.get("content-type", "")
        base = answer.address
    links = _from_json(bytes(data)) if is_json else _from_html(bytes(data))
    for file, link in links:
        if file == source.file or (source.file is None and _is_sdist(file, name, version)):
            return urldefrag(urljoin(base, link)).url
    raise TransferError(f"the index has no {source.file or 'sdist'} of {source.pypi}")


def _from_json(data: bytes) -> list[tuple[str, str]]:
    try:
        files = json.loads(data)["files"]
        return [(str(file["filename"]), str(file["url"])) for file in files]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError("the index page is not valid JSON of PEP 691") from error


def _from_html(data: bytes) -> list[tuple[str, str]]:
    links = [unescape(double or single) for double, single in LINK.findall(data.decode(errors="replace"))]
    return [(unquote(urlsplit(link).path.rpartition("/")[2]), link) for link in links]


def _is_sdist(file: str, name: str, version: str) -> bool:
    for suffix in SDIST:
        if file.endswith(suffix):
            found, _, found_version = file.removesuffix(suffix).rpartition("-")
            return _normal(found) == _normal(name) and found_version.lower() == version.lower()
    return False


def _normal(name: str) -> str:
    """Return the normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
