"""Checks that bash can read the scripts of what a plan builds, long before it gets to them."""

from __future__ import annotations

from bigtop_builder.adapter.bash_syntax import SyntaxProblem, syntax_problems
from bigtop_builder.model.errors import ConfigurationErrors, Location, RecipeError
from bigtop_builder.plan.task import Plan
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.document import read_text
from bigtop_builder.recipe.evaluate import Script


def check_scripts(plan: Plan, catalog: Catalog) -> None:
    """Check the scripts of the tasks that a plan runs; what is reused has run before.

    Raises RecipeError, or ConfigurationErrors for several.
    """
    scripts = {
        (task.evaluated.name, script): None
        for task in plan.tasks
        if task.action == "build"
        for script in task.evaluated.scripts
        if script.kind == task.kind
    }
    problems = syntax_problems([script.text for _, script in scripts])
    mistakes = [
        _mistake(catalog, name, script, problems[number])
        for number, (name, script) in enumerate(scripts)
        if number in problems
    ]
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise ConfigurationErrors([*mistakes])


def _mistake(catalog: Catalog, name: str, script: Script, problem: SyntaxProblem) -> RecipeError:
    place = catalog.component(name).document.locate(script.path)
    told, lines = f"is not valid bash: {problem.message}", script.text.splitlines()
    shown = lines[problem.line - 1].strip() if problem.line <= len(lines) else ""
    if place.line is not None:
        # A block of text begins below its key; templates in it may have moved the line.
        line, written = place.line + problem.line, read_text(catalog.component(name).document.file_of(script.path))
        if shown and written.splitlines()[line - 1 : line] and written.splitlines()[line - 1].strip() == shown:
            return RecipeError(told, location=Location(place.file, line, path=place.path), hint=f"The line: {shown}")
    where = f"line {problem.line} of the rendered text" + (f": {shown}" if shown else ", its end")
    return RecipeError(told, location=place, hint=f"It is {where}")
