"""The interface of a packaging: what turns a component into something that can be planned and keyed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from bigtop_builder.model.project import Choice
from bigtop_builder.model.stack import Stack
from bigtop_builder.plan.task import Refusal
from bigtop_builder.recipe.evaluate import Evaluated, RenderedFile, Target


class Packaging(Protocol):
    """Where components, their versions and their specs come from.

    There are two: component files (``flow.build.component_files``) and a tree of Apache Bigtop
    (``flow.bigtop.packaging``). A third one, say folders that hold a finished spec and its sources, is a class with
    these members and one line in ``flow.open_project``, which chooses by the project file::

        class SpecFolders:
            name = "spec-folders"
            origin = "folder with a spec"
            outside = None

            def __init__(self, root: Path, epoch: int) -> None:
                self.root = root
                self.stack = Stack(name="ours", version="1.0", epoch=epoch, components=versions_in(root))
                self.stack_name = self.stack.name

            def components(self):
                return list(self.stack.components)

            def evaluate(self, name, target, choice, versions, beside):
                spec = (self.root / name / f"{name}.spec").read_text()
                return Evaluated(
                    name=name,
                    version=versions[name],
                    ...,
                    compile_step="container",
                    packaging=self.name,
                    payload=spec,
                )

            def compile_ingredients(self, evaluated, image, local_digest, depends):
                return {"packaging": self.name, "spec": digest.of_text(evaluated.payload), "image": image, **depends}

            ...

    ``payload`` carries whatever its steps need, and the steps that build it are registered under ``name``. Nothing
    else in the program asks which packaging it works with.
    """

    @property
    def name(self) -> str:
        """Return the name that its ``Evaluated`` values carry and its steps are registered under."""
        ...

    @property
    def origin(self) -> str:
        """Return the words that attestations use for where packages come from: ``component file``."""
        ...

    @property
    def outside(self) -> str | None:
        """Return what a build needs that lies outside of the project and the store (``a Bigtop tree``), if anything.

        A bundle cannot hold it.
        """
        ...

    @property
    def stack_name(self) -> str:
        """Return the name of the stack, which repositories are published under, without checking more than needed."""
        ...

    @property
    def stack(self) -> Stack:
        """Return the stack. Raises ConfigurationError or RecipeError with the place of a mistake."""
        ...

    def components(self) -> list[str]:
        """Return the names that ``--all`` and patterns select from, in the order in which they are listed."""
        ...

    def known_components(self) -> Collection[str]:
        """Return the names that a choice of the user may be about: at least those of ``components``."""
        ...

    def row(self, name: str, version: str | None) -> dict[str, object]:
        """Return a component's row in ``list``: name, version, summary, and whatever else is known.

        ``version`` is that of the stack or of the user, if there is one. ``verified``, where present, are the records
        of what has been built and run, the newest first, each with ``current``: whether the recipe is still the same.
        """
        ...

    def needs(self, name: str, evaluate: Callable[[], Evaluated | Refusal]) -> list[str]:
        """Return the components that ``--with-dependencies`` adds for one; ``evaluate`` evaluates that one if needed.

        Raises ConfigurationError or RecipeError when one of them does not exist.
        """
        ...

    def prerequisites(self, name: str) -> Sequence[str]:
        """Return the components whose results a build uses where they are built too, and does without otherwise."""
        ...

    def evaluate(
        self, name: str, target: Target, choice: Choice, versions: Mapping[str, str], beside: Collection[str]
    ) -> Evaluated | Refusal:
        """Evaluate a component for a target; ``choice`` is what the user chose for it.

        ``versions`` are those of all components, the user's choices included. ``beside`` are those of its
        prerequisites that count as dependencies this time. The result may have another target than the one given.
        Raises ConfigurationError or RecipeError with the place of a mistake.
        """
        ...

    def spec(self, evaluated: Evaluated) -> str:
        """Return the text of the spec file. Raises RecipeError when its template is wrong."""
        ...

    def services(self, evaluated: Evaluated) -> tuple[RenderedFile, ...]:
        """Return the service scripts that the package step needs beside the component's own files."""
        ...

    def compile_ingredients(
        self, evaluated: Evaluated, image: str, local_digest: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return everything that shapes the result of compiling: ingredient → text.

        ``image`` is the fingerprint of the image, ``local_digest`` the digest of the user's own source tree,
        ``depends`` maps a component to its compile key.
        """
        ...

    def package_ingredients(
        self, evaluated: Evaluated, spec: str, image: str, compile_key: str | None, depends: Mapping[str, str]
    ) -> dict[str, str]:
        """Return everything that shapes the packages: ingredient → text. ``spec`` is what ``spec`` returned.

        ``depends`` maps a component to the key of its packages.
        """
        ...

    def patches(self, evaluated: Evaluated) -> Iterator[dict[str, str]]:
        """Yield ``name``, ``sha256`` and ``note`` of each patch that the build applies, for attestations."""
        ...
