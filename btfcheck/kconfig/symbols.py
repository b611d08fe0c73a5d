# SPDX-License-Identifier: MIT
"""Symbols and choices that have the values which a kernel's own conf gives them.

kconfiglib 14.1.0 is from 2020: `imply` obeys dependencies since 5.7, choices have other rules since 6.10, numbers out
of their range are no longer forgotten but clamped. Which rules a tree has is read off it, as dialect.Rules.
Source: the behaviour of scripts/kconfig/conf.
"""

from __future__ import annotations

import re
from typing import Any

import kconfiglib as kl

from btfcheck.kconfig.values import base_of, expr_value, number, visibility

_UNREAD = (None, None, None, None)
_TEXTS = {kl.STRING: "", kl.INT: "0", kl.HEX: "0x0"}
_VALID = {kl.INT: re.compile(r"-?(0|[1-9][0-9]*)"), kl.HEX: re.compile(r"(0[xX])?[0-9a-fA-F]+")}


class KernelSymbol(kl.Symbol):  # type: ignore[misc]
    """A symbol with the kernel's rules for values.

    `given` is a value that holds whatever the Kconfig files say (a fact about a tool, say);
    None lets it be computed. `turn` orders the assignments to members of a choice.
    """

    # kconfiglib asks `x.__class__ is Symbol` throughout; this answers yes.
    __class__ = kl.Symbol

    given: str | None = None
    turn = 0
    transitional = False
    forgotten = False  # its user value was out of its range

    def __init__(self) -> None:
        kl.Symbol.__init__(self)
        self._cached_vis: int | None
        self._cached_tri_val: int | None
        self._cached_str_val: str | None
        self._write_to_conf: bool

    def give(self, value: str | None) -> None:
        """Fix the value, or let it be computed again (None)."""
        if value == self.given:
            return
        read = (self.given, self._cached_vis, self._cached_tri_val, self._cached_str_val) != _UNREAD
        self.given = value
        if read:
            self._rec_invalidate()

    def set_value(self, value: Any) -> bool:
        if self.orig_type in _VALID and not _VALID[self.orig_type].fullmatch(str(value)):
            return False
        done: bool = kl.Symbol.set_value(self, value)
        if self.transitional:  # promptless, for which the library thinks that it does not matter
            self._rec_invalidate()
        if done and self.choice:
            self.kconfig.turns += 1
            self.turn = self.kconfig.turns
            if self.user_value and not self.kconfig.rules.choices:
                # A member that is set says in what mode its choice is.
                self.choice.set_mode(self.user_value)
            self.choice._rec_invalidate()
        return done

    def unset_value(self) -> None:
        """Take back an assignment, the mark it left on its choice included."""
        if self.transitional and self.user_value is not None:
            self._rec_invalidate()
        self.recall()
        if self.choice and self.turn:
            self.turn = 0
            if self.choice.user_selection is self:
                self.choice.user_selection = None
            self.choice.unset_value()
            self.kconfig.contradicted.discard(self.choice)
            self.choice._rec_invalidate()
        kl.Symbol.unset_value(self)

    @property
    def str_value(self) -> str:
        if self.given is not None:
            return self.given
        if self._cached_str_val is None and self.orig_type in _TEXTS:
            self._cached_str_val = self._text_value()
        text: str = kl.Symbol.str_value.fget(self)
        return text

    @property
    def visibility(self) -> int:
        if self._cached_vis is None:  # an old name has no prompt, and can be set all the same
            self._cached_vis = 2 if self.transitional else visibility(self)
        return self._cached_vis

    def _text_value(self) -> str:
        """The value of a string, int or hex."""
        visible = self.visibility
        self._write_to_conf = visible != 0 and not self.transitional
        value = _TEXTS[self.orig_type] if self.kconfig.rules.zero else ""
        limits = self._limits()
        if visible and self.user_value is not None and not self.forgotten:
            value = self.user_value
        else:
            for default, condition in self.defaults:
                if expr_value(condition):
                    value = _text(default)
                    self._write_to_conf = not self.transitional
                    break
        if limits:
            found = number(value, self.orig_type)
            low, high = self._numbers(limits)
            if not low <= found <= high:
                value = _text(limits[0 if found < low else 1])
        return value

    def _limits(self) -> tuple[Any, Any] | None:
        """The ends of the range that holds now."""
        if self.orig_type is not kl.STRING:
            for low, high, condition in self.ranges:
                if expr_value(condition):
                    return low, high
        return None

    def _numbers(self, ends: tuple[Any, Any]) -> tuple[int, ...]:
        return tuple(number(end.str_value, base_of(end, self)) for end in ends)

    def recall(self) -> None:
        """Take back that the user's value was forgotten."""
        if self.forgotten:
            self.forgotten = False
            self._rec_invalidate()

    def in_range(self) -> bool:
        """Whether the user's value lies in the range that holds now."""
        limits = self._limits()
        if limits is None:
            return True
        low, high = self._numbers(limits)
        return low <= number(self.user_value, self.orig_type) <= high

    @property
    def tri_value(self) -> int:
        if self.given is not None:
            return int(kl.STR_TO_TRI.get(self.given, 0))
        if self._cached_tri_val is not None:
            return self._cached_tri_val
        if self.orig_type not in (kl.BOOL, kl.TRISTATE) or (self.choice and not self.kconfig.rules.choices):
            return int(kl.Symbol.tri_value.fget(self))
        visible = self.visibility
        if self.transitional:  # nothing but what it was set to, not even by a select
            value = self._whole(self.user_value or 0)
            self._write_to_conf = False
        else:
            value = self._choice_value(visible) if self.choice else self._plain_value(visible)
        self._cached_tri_val = value
        return value

    def _choice_value(self, visible: int) -> int:
        self._write_to_conf = visible != 0
        return 2 if visible and self.choice.selection is self else 0

    def _plain_value(self, visible: int) -> int:
        value = 0
        self._write_to_conf = visible != 0
        if self.user_value is not None and visible:
            value = min(self.user_value, visible)
        else:
            value = self._default_value()
        selected = expr_value(self.rev_dep)
        if selected:
            value = max(value, selected)
            self._write_to_conf = True
        return self._whole(value)

    def _whole(self, value: int) -> int:
        return 2 if value == 1 and self.type is kl.BOOL else value

    def _default_value(self) -> int:
        value = 0
        for default, condition in self.defaults:
            holds = expr_value(condition)
            if holds:
                value = min(expr_value(default), holds)
                break
        implied = expr_value(self.weak_rev_dep)
        if implied:
            # Since 5.7 an implied symbol obeys its own dependencies.
            value = min(max(value, implied), expr_value(self.direct_dep))
        if value or implied:
            self._write_to_conf = True
        return value


def _text(symbol: Any) -> str:
    """What a symbol gives another one that is no tristate: a tristate has no text but "n"."""
    return "n" if symbol.nodes and symbol.orig_type in (kl.BOOL, kl.TRISTATE) else str(symbol.str_value)


class KernelChoice(kl.Choice):  # type: ignore[misc]
    """A choice with the kernel's rules."""

    __slots__ = ()
    __class__ = kl.Choice

    @property
    def visibility(self) -> int:
        choice: Any = self
        if choice._cached_vis is None:
            choice._cached_vis = visibility(choice)
        return int(choice._cached_vis)

    def _selection_from_defaults(self) -> Any:
        wanted = (symbol for symbol, condition in self.defaults if expr_value(condition))
        return next((s for s in (*wanted, *self.syms) if s.visibility), None)

    def set_mode(self, member: int) -> None:
        """Note that a member was set to m or y; m after y leaves nothing of what was said of the mode."""
        choice: Any = self
        if member == 1 and choice.user_value == 2:
            choice.kconfig.contradicted.add(choice)
        if choice in choice.kconfig.contradicted:
            choice.user_value = None
        else:
            choice.set_value(max(choice.user_value or 0, member))

    def _selection(self) -> Any:
        if not self.kconfig.rules.choices:
            return kl.Choice._selection(self)
        self.visibility  # noqa: B018  the library takes it for the mark that something is cached
        visible = [s for s in self.syms if s.visibility]
        # The member that was set to y last; else the default, unless that was set to n; else the
        # first member nothing was said of; else, all being n, the one that was told so first.
        chosen = [s for s in visible if s.turn and s.user_value == 2]
        if chosen:
            return max(chosen, key=_turn)
        default = self._selection_from_defaults()
        if default and not (default.turn and default.user_value == 0):
            return default
        unsaid = [s for s in visible if not s.turn]
        return unsaid[0] if unsaid else min(visible, key=_turn, default=None)


def _turn(symbol: KernelSymbol) -> int:
    return symbol.turn


def bucket(symbol: KernelSymbol) -> int:
    """Where the conf of 6.1 keeps a symbol: it looks at them in this order."""
    hashed = 2166136261
    for byte in symbol.name.encode():
        hashed = (hashed ^ byte) * 0x01000193 & 0xFFFFFFFF
    return hashed % 9973
