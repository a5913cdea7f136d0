"""The pages on troubleshooting, generated from the tables of causes; in English and in Chinese.

What they say besides the tables is in ``docs/causes.yaml``: an example of each cause, and its translation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bigtop_builder.flow.build.causes import CAUSES
from bigtop_builder.flow.deploy.failure_causes import TABLE

ENGLISH = """\
# Troubleshooting

A failed run ends with a digest: what failed in which step, the probable cause, what to do about it, the first error,
the log, and the command that runs it again. The [exit code](reference/exit-codes.md) tells scripts the same. More is
shown by:

```console
$ bigtop-builder doctor                            # engine, disk, memory, network, certificates
$ bigtop-builder logs zookeeper                    # the log of what failed in its newest run
$ bigtop-builder shell zookeeper@el8               # a shell in what the failed build left
$ bigtop-builder build --failed                    # once more, only what is not finished
$ bigtop-builder hosts check cluster.yaml          # what would make Ambari or Hadoop fail
$ bigtop-builder status cluster.yaml               # services, alerts, what differs from the inventory
$ bigtop-builder deploy cluster.yaml               # once more, only what is missing
```

The tables below list the causes that bigtop-builder recognises, each with a line of a log that shows it. Search this
page for what your log says; words in capitals stand for what is in your log.
"""
CHINESE = """\
# 故障排查

运行失败时，最后会输出一份摘要：哪一步失败、可能的原因、处理方法、第一条错误、日志路径，以及重新运行的命令。\
脚本可根据[退出码](../reference/exit-codes.md)判断原因。以下命令可查看更多信息：

```console
$ bigtop-builder doctor                            # 容器引擎、磁盘、内存、网络、证书
$ bigtop-builder logs zookeeper                    # 最近一次运行中失败步骤的日志
$ bigtop-builder shell zookeeper@el8               # 进入失败构建的现场
$ bigtop-builder build --failed                    # 重新运行，只做未完成的部分
$ bigtop-builder hosts check cluster.yaml          # 检查会导致 Ambari 或 Hadoop 失败的问题
$ bigtop-builder status cluster.yaml               # 服务、告警、与清单不一致之处
$ bigtop-builder deploy cluster.yaml               # 重新运行，只做缺少的部分
```

下面列出 bigtop-builder 能识别的原因，并各附一行示例日志。可用日志中的文字在本页搜索；大写的词代表日志中的具体内容。\
程序输出的是英文原文，括号中即是。
"""
HEADINGS = {
    "build": ("A build fails", "构建失败"),
    "deployment": ("A deployment fails", "部署失败"),
}
COLUMNS = (("cause", "in the log", "what to do"), ("原因", "日志示例", "处理方法"))


@dataclass(frozen=True)
class Entry:
    """A cause as the pages show it, in both languages."""

    cause: str
    hint: str
    example: str
    zh: str
    zh_hint: str
    section: tuple[str, str] | None = None


def known_causes() -> dict[str, list[tuple[str, str, re.Pattern[str]]]]:
    """Return cause, hint and pattern of every entry in the tables."""
    return {
        "build": [(one.text, one.hint, one.regex) for one in CAUSES],
        "deployment": [(one.cause, one.hint, one.pattern) for one in TABLE],
    }


def described_causes(file: Path) -> dict[str, list[Entry]]:
    """Read the descriptions."""
    read: dict[str, list[dict[str, Any]]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {kind: [Entry(**{**one, "section": _pair(one)}) for one in entries] for kind, entries in read.items()}


def _pair(one: dict[str, Any]) -> tuple[str, str] | None:
    return tuple(one["section"]) if "section" in one else None


def troubleshooting_pages(file: Path) -> tuple[str, str]:
    """Return the page in English and the one in Chinese."""
    entries = described_causes(file)
    return _page(ENGLISH, entries, 0), _page(CHINESE, entries, 1)


def _page(head: str, entries: dict[str, list[Entry]], language: int) -> str:
    lines = [head]
    for kind, heading in HEADINGS.items():
        lines += [f"## {heading[language]}", ""]
        for entry in entries[kind]:
            if entry.section is not None:
                lines += [f"### {entry.section[language]}", "", *_row(COLUMNS[language]), "|---|---|---|"]
            cause, hint = _shown(entry.cause), _shown(entry.hint)
            if language:
                cause, hint = f"{_shown(entry.zh)}<br>({cause})", _shown(entry.zh_hint)
            lines += _row((cause, _code(entry.example), hint))
            following = entries[kind][entries[kind].index(entry) + 1 :]
            if not following or following[0].section is not None:
                lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{mark}{space}{_escaped(text)}{space}{mark}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(text: str) -> str:
    """Return a text of the tables as Markdown: names that a match fills in become capitals."""
    named = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), text)
    parts = re.split(r"(`[^`]+`)", named)
    return "".join(part if part.startswith("`") else re.sub(r"([*<>])", r"\\\1", _escaped(part)) for part in parts)
