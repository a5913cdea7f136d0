"""Renders parts of one component's document, so that a mistake names its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.recipe.document import Document, DocumentPath, clipped
from bigtop_builder.recipe.template import render, truth

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Renderer:
    """A document and what its templates know."""

    document: Document
    context: dict[str, Any]

    def text(self, text: str, path: DocumentPath) -> str:
        """Return the text at ``path``, rendered. Raises RecipeError."""
        if "{" not in text:
            return text
        return render(text, self.context, self._place(path))

    def texts(self, texts: list[str], path: DocumentPath) -> list[str]:
        """Return the list of texts at ``path``, each rendered. Raises RecipeError."""
        return [self.text(text, (*path, index)) for index, text in enumerate(texts)]

    def truth(self, expression: str, path: DocumentPath) -> bool:
        """Return the truth of the expression at ``path``. Raises RecipeError."""
        return truth(expression, self.context, self._place(path))

    def model(self, value: M, path: DocumentPath) -> M:
        """Return the model at ``path`` with every text in it rendered. Raises RecipeError when it is invalid then."""
        try:
            return type(value).model_validate(self._tree(value.model_dump(exclude_unset=True), path))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise RecipeError(
                f"is not valid once its templates are rendered: {clipped(first['msg'].removeprefix('Value error, '))}",
                location=self.document.locate((*path, *first["loc"])),
            ) from None

    def _tree(self, value: Any, path: DocumentPath) -> Any:
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, dict):
            return {key: self._tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tree(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _place(self, path: DocumentPath) -> Callable[[], Location]:
        return lambda: self.document.locate(path)
