"""Opening a project: the one place that knows every packaging and chooses between them."""

from __future__ import annotations

from collections.abc import Mapping

from bigtop_builder.adapter.sources import Fetched
from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.build.component_files import ComponentFiles
from bigtop_builder.flow.build.packaging import Packaging
from bigtop_builder.flow.build.project import Project
from bigtop_builder.model.project import Choice
from bigtop_builder.recipe.catalog import Catalog
from bigtop_builder.recipe.settings import Settings


def open_project(
    settings: Settings, choices: Mapping[str, Choice] | None = None, fetched: Mapping[str, Fetched] | None = None
) -> Project:
    """Open the project of some settings; ``choices`` override those of the project file, by component.

    ``fetched`` is what the sources among the choices are that were elsewhere.
    """
    catalog, store = Catalog(settings.overlays), Store(settings.store)
    return Project(settings, catalog, store, _packaging(settings, catalog, store), choices, fetched)


def open_packaging(settings: Settings) -> Packaging:
    """Open only the packaging of a project, which knows the stack."""
    return _packaging(settings, Catalog(settings.overlays), Store(settings.store))


def _packaging(settings: Settings, catalog: Catalog, store: Store) -> Packaging:
    chosen = settings.project.packaging
    if chosen is None:
        return ComponentFiles(settings, catalog)

    # Few projects use it, and its parser takes time to load.
    from bigtop_builder.flow.bigtop.packaging import BigtopTreePackaging

    return BigtopTreePackaging(chosen, settings, catalog, store)
