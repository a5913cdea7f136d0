"""Smoke tests of components on hosts whose services run already: which are wanted, and the script that runs one."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Mapping
from shlex import quote

from bigtop_builder.model.errors import ConfigurationError, Location
from bigtop_builder.model.tap import PATTERN
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.document import near
from bigtop_builder.recipe.evaluate import Evaluated
from bigtop_builder.recipe.inventory import LoadedInventory
from bigtop_builder.recipe.smoke import OWN_VARIABLES, SMOKE, SmokeTest

SCRIPT = """
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tests" "$folder/work"
tar -C "$folder/tests" -x
# Tests run commands as users of services, who read what lies here.
chmod -R a+rX "$folder"
export {variables} SMOKE_DIR="$folder/work"
cd "$SMOKE_DIR"
bash "$folder/tests/{smoke}" > "$folder/output" 2>&1 < /dev/null
code=$?
grep -aE {pattern} "$folder/output" | head -c 100000
grep -avE {pattern} "$folder/output" | tail -n 20 | tail -c 4000 >&2
exit "$code"
"""
"""Standard output is the report; of everything else the test prints only the end travels."""


def chosen_tests(
    loaded: LoadedInventory, known: Collection[str], evaluate: Callable[[str], Evaluated | Refusal]
) -> dict[str, SmokeTest]:
    """Return the smoke tests that stand-alone entries name, by component.

    Raises ConfigurationError with the place of a component that has none, or of a variable that none has.
    """
    found: dict[str, SmokeTest] = {}
    for name, entry in loaded.inventory.standalone.items():
        for index, component in enumerate(entry.smoke):
            found[component] = _test(component, known, evaluate, loaded.place("standalone", name, "smoke", index))
        variables = {one for component in entry.smoke for one in found[component].environment} - {*OWN_VARIABLES}
        for variable in entry.smoke_variables:
            if variable not in variables:
                raise ConfigurationError(
                    f"no smoke test of this entry has the variable {variable}",
                    hint=near(variable, variables) or None,
                    location=loaded.place("standalone", name, "smoke_variables", variable),
                )
    return found


def _test(
    component: str, known: Collection[str], evaluate: Callable[[str], Evaluated | Refusal], place: Location | None
) -> SmokeTest:
    if component not in known:
        raise ConfigurationError(
            f"there is no component {component!r}", hint=near(component, known) or None, location=place
        )
    value = evaluate(component)
    if isinstance(value, Refusal) or value.smoke is None:
        raise ConfigurationError(
            f"{component} has no smoke test", hint=f"Write tests/{SMOKE} beside its component.yaml.", location=place
        )
    return value.smoke


def smoke_script(test: SmokeTest, variables: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the script that runs a test, and its standard input. Raises OSError for a file that cannot be read."""
    environment = {**test.environment, **{name: value for name, value in variables.items() if name in test.environment}}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in test.files.items():
            data = path.read_bytes()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(info, io.BytesIO(data))
    script = SCRIPT.format(
        variables=" ".join(f"{name}={quote(value)}" for name, value in environment.items()),
        smoke=SMOKE,
        pattern=quote(PATTERN),
    )
    return script, packed.getvalue()
