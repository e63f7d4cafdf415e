"""A rule around another one, which it evaluates in its own way; the names are that one's."""

from __future__ import annotations

from typing import Any


class Around:
    """What the rules that have a ``rule`` inside have in common."""

    rule: Any

    @property
    def names(self) -> tuple[str, ...]:
        """The leaves as the public function calls them."""
        return self.rule.names  # type: ignore[no-any-return]

    @property
    def constant(self) -> tuple[str, ...]:
        """The names of the leaves that have no gradient."""
        return self.rule.constant  # type: ignore[no-any-return]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the floating values."""
        return self.rule.outputs  # type: ignore[no-any-return]

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the values that are not floating."""
        return self.rule.others  # type: ignore[no-any-return]
