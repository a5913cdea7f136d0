"""The packagings that builds know, each with what loads its steps. Nothing is loaded before an order needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigtop_builder.flow.build.steps import Packagings, Steps


def _component_files() -> Steps:
    from bigtop_builder.flow.build.component_steps import ComponentSteps

    return ComponentSteps()


def _bigtop() -> Steps:
    from bigtop_builder.flow.bigtop.steps import BigtopSteps

    return BigtopSteps()


PACKAGINGS: Packagings = {"component-files": _component_files, "bigtop": _bigtop}
