"""The run as JUnit XML: one test case for each component, the platform as its class."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from bigtop_builder.cli.views.build_fold import ComponentView, RunView
from bigtop_builder.cli.views.summary import digest
from bigtop_builder.cli.wording import clean


def junit(view: RunView) -> bytes:
    """An XML document in UTF-8.

    Reused counts as passed and says so in a property; refused is an error, for what was asked for is not there;
    blocked and cancelled are skipped, for the failure that caused them has its own case.
    """
    components = view.components()
    states = [component.state for component in components]
    irreproducible = sum(component.identical is False for component in components)
    figures = {
        "tests": str(len(states)),
        "failures": str(states.count("failed") + irreproducible),
        "errors": str(states.count("refused")),
        "skipped": str(sum(state in ("blocked", "cancelled", "waiting", "running") for state in states)),
        "time": f"{view.elapsed:.3f}",
    }
    root = Xml.Element("testsuites", {"name": "bigtop-builder", **figures})
    suite = Xml.SubElement(root, "testsuite", {"name": f"build {clean(view.run)}".strip(), **figures})
    for component in components:
        _case(suite, component)
    document: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _case(suite: Xml.Element, component: ComponentView) -> None:
    case = Xml.SubElement(
        suite,
        "testcase",
        classname=clean(component.platform),
        name=clean(component.component),
        time=f"{component.seconds:.3f}",
    )
    facts = {"state": component.state} | {f"package {package.file}": package.sha256 for package in component.artifacts}
    properties = Xml.SubElement(case, "properties")
    for name, value in facts.items():
        Xml.SubElement(properties, "property", name=clean(name), value=clean(value))
    if component.state == "failed":
        failure = component.culprit.failure
        message = f"{failure.step}: {failure.message}" if failure else "failed"
        Xml.SubElement(case, "failure", message=clean(message), type="failed").text = "\n".join(digest(component))
    elif component.identical is False:
        text = "\n".join(clean(difference) for difference in component.differences)
        Xml.SubElement(case, "failure", message="a second build gave other bytes", type="not reproducible").text = text
    elif component.state == "refused":
        Xml.SubElement(case, "error", message=clean("; ".join(component.reasons)), type="refused")
    elif component.state not in ("done", "reused"):
        because = f" by {component.culprit.blocked_by}" if component.culprit.blocked_by else ""
        Xml.SubElement(case, "skipped", message=clean(component.state + because))
