"""The repository files that agents write, and what agents make of them.

An agent writes one section for each repository of the version, whatever the others are called (D1 of the recorded
server). To list packages it reads **all** files of yum with Python's own parser, which refuses two sections of one
name; the agent then believes that there are no packages at all (yum_manager.py, script.py).
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from functools import lru_cache

from bigtop_builder.ambari_simulator.agents.program import HostFile, filled
from bigtop_builder.ambari_simulator.agents.tracebacks import unread_text
from bigtop_builder.ambari_simulator.engine.work import Context

FOLDER = "/etc/yum.repos.d"
TEMPLATE = (
    "[{{repo_id}}]\nname={{repo_id}}\n"
    "{% if mirror_list %}mirrorlist={{mirror_list}}{% else %}baseurl={{base_url}}{% endif %}\n"
    "\npath=/\nenabled=1\ngpgcheck=0"
)
"""Ambari's own default of ``cluster-env/repo_suse_rhel_template``: it verifies nothing."""


def section(name: str, context: Context) -> str:
    """Return the name of a repository's section: ``BIGTOP-3.2.0-repo-1``."""
    return f"{name}-repo-{context.repository_id}"


def repository_file(context: Context) -> HostFile | None:
    """Return the file with the version's repositories; None if the version has none for this host."""
    if not context.repositories:
        return None
    settings = context.configurations.get("cluster-env", {})
    sections = tuple((section(name, context), url) for name, url in context.repositories)
    content = _content(settings.get("repo_suse_rhel_template") or TEMPLATE, sections)
    return HostFile(f"{FOLDER}/ambari-{context.stack_name.lower()}-{context.repository_id}.repo", content)


@lru_cache(maxsize=64)
def _content(template: str, sections: tuple[tuple[str, str], ...]) -> str:
    parts = [filled(template, {"repo_id": name, "base_url": url, "mirror_list": None}) for name, url in sections]
    return "\n".join(parts).strip()


def unreadable(files: Mapping[str, str]) -> str | None:
    """Return what an agent's output says about the first file that it cannot read; None if it reads all of them."""
    for path, text in sorted(files.items()):
        try:
            configparser.ConfigParser().read_string(text, source=path)
        except configparser.Error as error:
            return unread_text(type(error).__name__, str(error))
    return None
