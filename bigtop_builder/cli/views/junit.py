"""A run as JUnit XML: a suite for what it built, a suite for what it did to a cluster."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from bigtop_builder.cli.text_format import clean
from bigtop_builder.cli.views.closing import component_digest, phase_digest
from bigtop_builder.flow.run.build_state import ComponentState
from bigtop_builder.flow.run.deploy_state import PhaseState
from bigtop_builder.flow.run.state import RunState


def junit(state: RunState) -> bytes:
    """Return an XML document in UTF-8.

    Reused counts as passed and says so in a property; refused is an error, since something requested is missing;
    blocked and cancelled are skipped, since the failure that caused them has its own case.
    """
    root = Xml.Element("testsuites", name="bigtop-builder")
    if state.has_tasks:
        suite = Xml.SubElement(root, "testsuite", name=f"build {clean(state.run)}".strip())
        for component in state.build.components():
            _component(suite, component)
    if state.has_phases:
        suite = Xml.SubElement(root, "testsuite", name=f"deploy {clean(state.deploy.cluster)}")
        for phase in state.deploy.phases.values():
            _phase(suite, phase)
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        element.set("tests", str(len(cases)))
        for figure, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(figure, str(sum(case.find(child) is not None for case in cases)))
        element.set("time", f"{state.elapsed:.3f}")
    document: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _component(suite: Xml.Element, component: ComponentState) -> None:
    """Add the case of a component; its class is the platform."""
    case = _case(suite, component.platform, component.component, component.seconds)
    facts = {"state": component.state} | {f"package {package.file}": package.sha256 for package in component.artifacts}
    properties = Xml.SubElement(case, "properties")
    for name, value in facts.items():
        Xml.SubElement(properties, "property", name=clean(name), value=clean(value))
    if component.state == "failed":
        failure = component.culprit.failure
        message = f"{failure.step}: {failure.message}" if failure else "failed"
        _failure(case, message, "\n".join(text for text, _ in component_digest(component)))
    elif component.identical is False:
        _failure(case, "the bytes of a second build differ", "\n".join(component.differences), "not reproducible")
    elif component.state == "refused":
        Xml.SubElement(case, "error", message=clean("; ".join(component.reasons)), type="refused")
    elif component.state not in ("done", "reused"):
        because = f" by {component.culprit.blocked_by}" if component.culprit.blocked_by else ""
        Xml.SubElement(case, "skipped", message=clean(component.state + because))


def _phase(suite: Xml.Element, phase: PhaseState) -> None:
    """Add one case for each check, failed host and failed task of a phase, and the case of the phase itself.

    What is tried again counts once, as it ended. The phase fails by itself only where nothing in it says why.
    """
    hosts = {host.host: host for host in phase.hosts}
    checks = {f"{check.host}: {check.check}" if check.host else check.check: check for check in phase.checks}
    tasks = {f"{task.host}: {task.role} {task.command}": task for task in phase.failed_tasks}
    explained = bool(hosts or tasks) or any(check.level == "error" for check in checks.values())
    case = _case(suite, "deploy", phase.name, phase.seconds)
    if phase.failure is not None:
        text = "\n".join(text for text, _ in phase_digest(phase.failure))
        if explained:
            Xml.SubElement(case, "skipped", message="failed: see the cases of this phase")
            Xml.SubElement(case, "system-out").text = clean(text)
        else:
            _failure(case, phase.failure.message, text)
    elif phase.state in ("waiting", "running", "skipped"):
        Xml.SubElement(case, "skipped", message=phase.state)
    for name, host in hosts.items():
        _failure(_case(suite, phase.name, name), f"{host.kind}: {host.message}", "\n".join(host.last_lines))
    for name, check in checks.items():
        case = _case(suite, phase.name, name)
        if check.level == "error":
            _failure(case, check.message, check.hint or "")
    for name, task in tasks.items():
        case = _case(suite, phase.name, name, task.seconds)
        _failure(case, task.cause or task.status, "\n".join(task.last_lines))


def _case(suite: Xml.Element, group: str, name: str, seconds: float = 0.0) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname=clean(group), name=clean(name), time=f"{seconds:.3f}")


def _failure(case: Xml.Element, message: str, text: str, kind: str = "failed") -> None:
    Xml.SubElement(case, "failure", message=clean(message), type=kind).text = clean(text)
