"""A deployment as JUnit XML: one suite, a test case for each phase, check, host and task that tells something."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from bigtop_builder.cli.views.deploy_fold import DeployView, PhaseView
from bigtop_builder.cli.views.deploy_lines import digest
from bigtop_builder.cli.wording import clean


def junit(view: DeployView) -> bytes:
    """An XML document in UTF-8. Phases that were never reached are skipped."""
    root = Xml.Element("testsuites", name="bigtop-builder")
    suite = Xml.SubElement(root, "testsuite", name=f"deploy {clean(view.cluster)}", time=f"{view.seconds:.3f}")
    for phase in view.phases.values():
        _phase(suite, phase)
    cases = list(suite)
    for element in (root, suite):
        element.set("tests", str(len(cases)))
        element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        element.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    document: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _phase(suite: Xml.Element, phase: PhaseView) -> None:
    case = _case(suite, "deploy", phase.name, phase.seconds)
    if phase.failure is not None:
        _failure(case, phase.failure.message, "\n".join(text for text, _ in digest(phase.failure)))
    elif phase.state in ("waiting", "running", "skipped"):
        Xml.SubElement(case, "skipped", message=phase.state)
    for host in phase.hosts:
        _failure(_case(suite, phase.name, host.host), f"{host.kind}: {host.message}", "\n".join(host.last_lines))
    for check in phase.checks:
        case = _case(suite, phase.name, f"{check.host}: {check.check}" if check.host else check.check)
        if check.level == "error":
            _failure(case, check.message, check.hint or "")
    for task in phase.failed_tasks:
        case = _case(suite, phase.name, f"{task.host}: {task.role} {task.command}", task.seconds)
        _failure(case, task.cause or task.status, "\n".join(task.last_lines))


def _case(suite: Xml.Element, group: str, name: str, seconds: float = 0.0) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname=clean(group), name=clean(name), time=f"{seconds:.3f}")


def _failure(case: Xml.Element, message: str, text: str) -> None:
    Xml.SubElement(case, "failure", message=clean(message), type="failed").text = clean(text)
