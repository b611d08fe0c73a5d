# SPDX-License-Identifier: MIT
"""A loaded Kconfig as propositional clauses, as far as some symbols hang on it.

A tristate is a pair of literals, "at least m" and "at least y". The clauses hold in both
directions: with no move made, unit propagation gives every symbol the value that evaluation gives
it. What is not modelled exactly (tristate choices of old kernels, a choice told to take what cannot
be seen) is left open, never ruled out: so what the clauses forbid cannot be had, and what they allow is
still to be evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Written
from btfcheck.kconfig.state import asks, settable
from btfcheck.kconfig.values import expr_value

Pair = tuple[int, int]  # (at least m, at least y)
Options = list[tuple[int, str]]  # (when, text)
YES, NO = 1, -1
_TRISTATES = (kl.BOOL, kl.TRISTATE)
_NUMBERS = (kl.INT, kl.HEX)
# Which compiler, linker and assembler there is; with another one every other answer changes too.
PROGRAM = re.compile(r"(CC|LD|AS)_IS_\w+|(GCC|CLANG|LD|LLD|AS)_VERSION")


class Move(NamedTuple):
    """One change a user can make: a symbol set to `value`, or (`options`) a number moved up or down.

    `last`: only where nothing else will do: an older tool, one that lacks something, a symbol's old name.
    """

    name: str
    value: str
    tool: bool = False
    last: bool = False
    options: tuple[tuple[int, str], ...] = ()  # (literal, text), the nearest first


class Gates:
    """Clauses for formulas, each subformula once. Literals are integers, -x is not x, 1 is true."""

    def __init__(self) -> None:
        self.clauses: list[list[int]] = [[YES]]
        self.count = 1
        self._made: dict[frozenset[int], int] = {}

    def new(self) -> int:
        self.count += 1
        return self.count

    def every(self, literals: Iterable[int]) -> int:
        """A literal that is true where all of these are."""
        parts = frozenset(literals) - {YES}
        if NO in parts or any(-p in parts for p in parts):
            return NO
        if len(parts) < 2:
            return next(iter(parts), YES)
        if parts not in self._made:
            made = self._made[parts] = self.new()
            self.clauses += [[-made, p] for p in parts]
            self.clauses.append([made, *(-p for p in parts)])
        return self._made[parts]

    def some(self, literals: Iterable[int]) -> int:
        """A literal that is true where any of these is."""
        return -self.every([-p for p in literals])

    def pick(self, condition: int, then: int, otherwise: int) -> int:
        return self.some([self.every([condition, then]), self.every([-condition, otherwise])])

    def at_most_one(self, literals: Iterable[int]) -> None:
        before = NO
        for literal in literals:
            self.clauses.append([-before, -literal])
            before = self.some([before, literal])

    def exactly_one(self, literals: list[int]) -> None:
        self.at_most_one(literals)
        self.clauses.append(literals)


class Encoding(Gates):
    """The clauses for `goals` (symbol -> value) and all that they hang on.

    The user's values are those that the Kconfig object holds now, without the goals. `moves` maps
    a literal to the change it stands for, `wishes` a goal to the literal that says that it was asked for as a
    user would, `granted` a goal to the literal that says that it has its value; `lines` maps a
    literal to (symbol, condition as written): true, the line holds, false, it is not there.
    """

    def __init__(self, kconf: KernelKconfig, goals: Mapping[str, str]) -> None:
        Gates.__init__(self)
        self.kconf = kconf
        self.goals = goals
        self.moves: dict[int, Move] = {}
        self.wishes = {name: self.new() for name in goals}
        self.lines: dict[int, tuple[str, Written]] = {}
        self._symbols: dict[Any, Pair] = {}
        self._todo: list[Any] = []
        self._exprs: dict[int, Pair] = {}
        self._texts: dict[Any, Options] = {}
        self._choices: dict[Any, dict[Any, int]] = {}
        self._modular: dict[Any, int] = {}  # members that can be m
        self._written: dict[Any, dict[Any, tuple[str, Written]]] = {}
        self._line_literals: dict[Any, int] = {}
        self.modules = self.value(kconf.modules)[0]
        self.granted = {name: self._has(kconf.syms[name], value) for name, value in goals.items()}

    def _settle(self) -> None:
        for symbol in self._todo:  # grows while it runs
            self._define(symbol)
        self._todo.clear()

    def _has(self, symbol: Any, value: str) -> int:
        if symbol.orig_type in _TRISTATES:
            m, y = self.value(symbol)
            literal = {"n": -m, "m": self.every([m, -y]), "y": y}.get(value, NO)
        else:
            literal = self.some(when for when, text in self.texts(symbol) if text == value)
        self._settle()
        return literal

    # Expressions.

    def value(self, expr: Any) -> Pair:
        """The literals of an expression, symbol or choice."""
        if expr.__class__ is not tuple:
            return self._item(expr)
        if id(expr) not in self._exprs:
            self._exprs[id(expr)] = self._operation(expr)
        return self._exprs[id(expr)]

    def _operation(self, expr: Any) -> Pair:
        if expr[0] is kl.NOT:
            m, y = self.value(expr[1])
            return -y, -m
        if expr[0] is kl.AND or expr[0] is kl.OR:
            join = self.every if expr[0] is kl.AND else self.some
            pairs = [self.value(part) for part in kl.split_expr(expr, expr[0])]
            return join(m for m, _ in pairs), join(y for _, y in pairs)
        relation, left, right = expr
        holds = self.some(
            self.every([a, b])
            for a, x in self.texts(left)
            for b, z in self.texts(right)
            if expr_value((relation, _Side(left.orig_type, x), _Side(right.orig_type, z)))
        )
        return holds, holds

    def _item(self, item: Any) -> Pair:
        if item.__class__ is kl.Choice:
            return self._choice_mode(item)
        if item.is_constant or not item.nodes:
            value = kl.STR_TO_TRI[item.name] if item.is_constant and item.name in kl.STR_TO_TRI else 0
            return _literal(value >= 1), _literal(value == 2)
        if item not in self._symbols:
            m = self.new()
            y = m if item.orig_type is kl.BOOL else self.new()
            self._symbols[item] = m, y
            self._todo.append(item)
        return self._symbols[item]

    def _guarded(self, owner: Any, expr: Any) -> Pair:
        """A condition of `owner`, each part of it only as far as the line that states it is there."""
        lines = self._written_of(owner)
        pairs = []
        for part in kl.split_expr(expr, kl.AND):
            m, y = self.value(part)
            line = lines.get(_key(part))
            if line is not None:
                absent = -self._line(line)
                m, y = self.some([absent, m]), self.some([absent, y])
            pairs.append((m, y))
        return self.every(m for m, _ in pairs), self.every(y for _, y in pairs)

    def _reverse(self, expr: Any) -> Pair:
        """Whether any of those that select (or imply) does so."""
        pairs = []
        for part in kl.split_expr(expr, kl.OR):
            owner = part[1] if part.__class__ is tuple else part  # kconfiglib puts it first
            named = owner.__class__ is kl.Symbol and owner.nodes
            pairs.append(self._guarded(owner, part) if named else self.value(part))
        return self.some(m for m, _ in pairs), self.some(y for _, y in pairs)

    def _written_of(self, owner: Any) -> dict[Any, tuple[str, Written]]:
        if owner not in self._written:
            self._written[owner] = {
                _key(part): (owner.name or "", written._replace(expr=part))
                for chain in self.kconf.definitions(owner)
                for written in chain
                for part in kl.split_expr(written.expr, kl.AND)
            }
        return self._written[owner]

    def _line(self, line: tuple[str, Written]) -> int:
        _, written = line
        key = (written.file, written.line, _key(written.expr))
        if key not in self._line_literals:
            self._line_literals[key] = self.new()
            self.lines[self._line_literals[key]] = line
        return self._line_literals[key]

    # Symbols.

    def _define(self, symbol: Any) -> None:
        m, y = self._symbols[symbol]
        if symbol.name in self.kconf.leaves:
            made = self._fact(symbol)
        elif symbol.orig_type not in _TRISTATES:
            made = NO, NO
        elif symbol.choice:
            made = self._member(symbol)
        else:
            made = self._plain(symbol)
        for literal, value in {(m, made[0]), (y, made[1])}:
            self.clauses += [[-literal, value], [literal, -value]]

    def _fact(self, symbol: Any) -> Pair:
        """What the tools decide: as measured, or as another tool would have it."""
        if symbol.orig_type not in _TRISTATES:
            return NO, NO
        value = symbol.given
        if PROGRAM.fullmatch(symbol.name):
            other = self.new()
            made = self.pick(self._told(symbol), _literal(value == "y"), other)
            return made, made
        other = self._move(Move(symbol.name, "n" if value == "y" else "y", True, value == "y"))
        made = -other if value == "y" else other
        return made, made

    def _visible(self, item: Any) -> Pair:
        """What a user can set it to."""
        if getattr(item, "transitional", False):
            return YES, YES
        pairs = [self._guarded(item, node.prompt[1]) for node in item.nodes if node.prompt]
        m, y = self.some(m for m, _ in pairs), self.some(y for _, y in pairs)
        if item.orig_type is kl.TRISTATE:
            return m, self.some([y, self.every([m, -self.modules])])
        return m, m

    def _plain(self, symbol: Any) -> Pair:
        visible_m, visible_y = self._visible(symbol)
        said, set_m, set_y = self._said(symbol)
        default_m, default_y = self._default(symbol)
        selected_m, selected_y = self._reverse(symbol.rev_dep)
        counts = self.every([said, visible_m])
        m = self.some([selected_m, self.pick(counts, set_m, default_m)])
        y = self.some([selected_y, self.pick(counts, self.every([set_y, visible_y]), default_y)])
        if symbol.orig_type is kl.BOOL:
            return m, m
        return m, self.some([y, self.every([m, -self.modules])])

    def _said(self, symbol: Any) -> tuple[int, int, int]:
        """Whether the user says anything, and whether that is at least m, at least y."""
        user = symbol.user_value
        said, m, y = _literal(user is not None), _literal((user or 0) >= 1), _literal(user == 2)
        if settable(symbol):
            values = ("n", "m", "y") if symbol.orig_type is kl.TRISTATE else ("n", "y")
            now = kl.TRI_TO_STR[user] if user is not None else None
            moves = {v: self._move(Move(symbol.name, v, last=symbol.transitional)) for v in values if v != now}
            self.at_most_one(moves.values())
            moved = self.some(moves.values())
            said = self.some([said, moved])
            m = self.pick(moved, -moves.get("n", NO), m)
            y = self.pick(moved, moves.get("y", NO), y)
            wish = self._wish(symbol, moves.values())
            if wish is not None:
                value = kl.STR_TO_TRI.get(self.goals[symbol.name], 0)
                said = self.some([said, wish])
                m, y = self.pick(wish, _literal(value >= 1), m), self.pick(wish, _literal(value == 2), y)
        return said, m, y

    def _wish(self, symbol: Any, moves: Iterable[int]) -> int | None:
        """The literal that a goal was asked for; then nothing else is asked of its symbol."""
        wish = self.wishes.get(symbol.name)
        if wish is not None:
            self.clauses += [[-wish, -move] for move in moves]
        return wish

    def _default(self, symbol: Any) -> Pair:
        m = y = NO
        open_ = YES
        for default, condition in symbol.defaults:
            when_m, when_y = self._guarded(symbol, condition)
            value_m, value_y = self._default_value(symbol, default)
            m = self.some([m, self.every([open_, when_m, value_m])])
            y = self.some([y, self.every([open_, when_y, value_y])])
            open_ = self.every([open_, -when_m])
        implied_m, implied_y = self._reverse(symbol.weak_rev_dep)
        if implied_m == NO:
            return m, y
        allowed_m, allowed_y = self._guarded(symbol, symbol.direct_dep)
        return (
            self.pick(implied_m, allowed_m, m),
            self.pick(implied_m, self.every([allowed_y, self.some([y, implied_y])]), y),
        )

    def _default_value(self, symbol: Any, default: Any) -> Pair:
        """A default; what a tool answered is it only as far as the tools stay."""
        m, y = self.value(default)
        if m not in (YES, NO) or asks(symbol) or not self._asked(symbol):
            return m, y
        as_told, other = self._told(symbol), self.new()
        return self.pick(as_told, m, other), self.pick(as_told, y, other)

    def _asked(self, symbol: Any) -> list[str]:
        """The lines of a symbol that ask a tool for its value."""
        return [line for line in self.kconf.macro_lines.get(symbol, ()) if "def" in line[:4]]

    def _told(self, symbol: Any) -> int:
        """The literal that the tools are those that were asked, as far as this symbol goes."""
        node = symbol.nodes[0]
        text = (self._asked(symbol) or [f"config {symbol.name}, of $(CC)"])[0]
        return self._line((symbol.name, Written("default", symbol, text, node.filename, node.linenr)))

    def _move(self, move: Move) -> int:
        literal = self.new()
        self.moves[literal] = move
        return literal

    # Choices.

    def _choice_mode(self, choice: Any) -> Pair:
        visible_m, visible_y = self._visible(choice)
        if choice.orig_type is kl.BOOL and not choice.is_optional:
            return visible_m, visible_m
        m, y = self.new(), self.new()  # what its members make it: left open
        self.clauses += [[-y, m], [-m, visible_m], [-y, visible_y]]
        return m, y

    def _member(self, symbol: Any) -> Pair:
        choice = symbol.choice
        if choice not in self._choices:
            self._choices[choice] = {}
            tristate = kl.TRISTATE in (choice.orig_type, *(s.orig_type for s in choice.syms))
            if not self.kconf.rules.choices and (tristate or choice.is_optional):
                self._choices[choice] = self._open_choice(choice)
            else:
                self._choices[choice] = self._select(choice)
        chosen = self._choices[choice][symbol]
        return self._modular.get(symbol, chosen), chosen

    def _open_choice(self, choice: Any) -> dict[Any, int]:
        """A tristate choice of an old kernel: each member what it can be, at most one y."""
        found = {}
        moves = {s: [self._move(Move(s.name, v)) for v in "my"] for s in choice.syms}
        for member in choice.syms:
            visible_m, visible_y = self._visible(member)
            m, y = self.new(), self.new()
            self.clauses += [[-y, m], [-m, visible_m], [-y, visible_y]]
            self._modular[member] = m
            found[member] = y
            self._wish(member, moves[member])
        self.at_most_one(found.values())
        self.at_most_one([x for both in moves.values() for x in both])
        return found

    def _select(self, choice: Any) -> dict[Any, int]:
        """Which member a choice selects: the first of a list whose conditions hold."""
        visible = {s: self._visible(s)[1] for s in choice.syms}
        moves = {s: self._move(Move(s.name, "y")) for s in choice.syms}
        wishes = {s: w for s in choice.syms if (w := self._wish(s, [moves[s]])) is not None}
        # To wish for a member is a move that costs nothing.
        asked = {s: self.some([moves[s], self._wished(wishes, s, "y")]) for s in choice.syms}
        self.at_most_one(asked.values())
        chosen = {s: [self.every([asked[s], visible[s]])] for s in choice.syms}
        told = self.some(asked.values())
        self._list(choice, visible, wishes, -told, chosen)
        unseen = self.every([told, *(-when for (when, *_) in chosen.values())])
        selected = {}
        for member in choice.syms:
            open_ = self.new() if unseen != NO else NO  # it was told to take what cannot be seen
            self.clauses += [[-open_, visible[member]], [-open_, unseen]]
            selected[member] = self.some([*chosen[member], open_])
        self.at_most_one(selected.values())
        return selected

    def _wished(self, wishes: Mapping[Any, int], member: Any, value: str) -> int:
        """The literal that this value is wished for it."""
        return wishes[member] if member in wishes and (self.goals[member.name] == "y") is (value == "y") else NO

    def _list(
        self, choice: Any, visible: Mapping[Any, int], wishes: Mapping[Any, int], rest: int,
        chosen: dict[Any, list[int]],
    ) -> None:  # fmt: skip
        """Add to `chosen` when each member is selected where no other is asked for (`rest`)."""
        new = self.kconf.rules.choices
        refused = {s: self._wished(wishes, s, "n") for s in choice.syms}

        def take(member: Any, *conditions: int) -> None:
            nonlocal rest
            holds = self.every([visible[member], *conditions])
            chosen[member].append(self.every([rest, holds]))
            rest = self.every([rest, -holds])

        by_turn = sorted((s for s in choice.syms if s.turn), key=lambda s: s.turn)
        last = YES  # of an old kernel's members only the last that was set counts, seen or not
        for member in reversed([s for s in by_turn if s.user_value == 2]):
            take(member, last, -refused[member])
            last = YES if new else self.every([last, refused[member]])
        passed = []  # the default was told not to be
        defaults = [(s, self._guarded(choice, condition)[0]) for s, condition in choice.defaults if s in visible]
        for member, condition in [*defaults, *((s, YES) for s in choice.syms)]:
            said = _literal(bool(member.turn) and member.user_value == 0)
            denied = self.some([said, refused[member]]) if new else NO
            take(member, condition, -denied)
            holds = self.every([condition, visible[member], denied])
            passed.append(self.every([rest, holds]))
            rest = self.every([rest, -holds])
        rest = self.some(passed)
        for member in choice.syms:
            if not member.turn:
                take(member, -refused[member])
        for member in by_turn:
            take(member, -refused[member])
        for member in wishes:
            take(member, refused[member])

    # Numbers and strings.

    def texts(self, item: Any) -> Options:
        """The texts that a symbol can have, each with the literal that it does; they exclude each other."""
        if item.is_constant or not item.nodes:
            return [(YES, item.name)]
        if item.orig_type in _TRISTATES:
            m, y = self.value(item)
            found = [(-m, "n"), (self.every([m, -y]), "m"), (y, "y")]
            return [(when, text) for when, text in found if when != NO]
        if item not in self._texts:
            self._texts[item] = [(YES, "")]  # what names itself
            fact = item.name in self.kconf.leaves
            self._texts[item] = self._tool_number(item) if fact else self._text(item)
        return self._texts[item]

    def _tool_number(self, symbol: Any) -> Options:
        now = symbol.given
        if symbol.orig_type not in _NUMBERS or not now.isdigit():
            return [(YES, now)]
        number = int(now)
        others = {n for n in _near(symbol) if n > 0} - {number}
        if PROGRAM.fullmatch(symbol.name) and not number:
            found = [(self.new(), str(n)) for n in (0, *sorted(others))]
            self.exactly_one([when for when, _ in found])
            self.clauses.append([-self._told(symbol), found[0][0]])
            return found
        return self._moved(symbol, now, sorted(others, key=lambda n: abs(n - number)), tool=True)

    def _moved(self, symbol: Any, now: str, others: Iterable[int], *, tool: bool) -> Options:
        """A number as it is, or moved up or down to one of `others`."""
        options = [(self.new(), str(n)) for n in others]
        found = [(self.new(), now), *options]
        self.exactly_one([when for when, _ in found])
        number = _number(now, self.kconf.syms[symbol.name])
        for up in (True, False):
            part = tuple((when, text) for when, text in options if (int(text) > number) is up)
            if part:
                move = self._move(Move(symbol.name, "", tool, tool and not up, part))
                moved = self.some(when for when, _ in part)
                self.clauses += [[-move, moved], [move, -moved]]
        return found

    def _text(self, symbol: Any) -> Options:
        """Of a number or string that is no fact: what the user says, else the first default that holds."""
        visible = self._visible(symbol)[0]
        limits = self._limits(symbol)
        found: dict[str, list[int]] = {}
        rest = YES
        for when, text in self._said_texts(symbol):
            counts = self.every([visible, when])
            found.setdefault(text, []).append(counts)
            rest = self.every([rest, -counts])
        for default, condition in symbol.defaults:
            holds = self._guarded(symbol, condition)[0]
            for when, text in self.texts(default):
                found.setdefault(text, []).append(self.every([rest, holds, when]))
            rest = self.every([rest, -holds])
        zero = {kl.INT: "0", kl.HEX: "0x0"} if self.kconf.rules.zero else {}
        found.setdefault(zero.get(symbol.orig_type, ""), []).append(rest)
        clamped: dict[str, list[int]] = {}
        for text, whens in found.items():
            for at, ends in limits:
                clamped.setdefault(_clamp(ends, text, symbol), []).append(self.every([self.some(whens), at]))
        return [(self.some(whens), text) for text, whens in clamped.items()]

    def _limits(self, symbol: Any) -> list[tuple[int, tuple[str, str] | None]]:
        """The ends between which a number is kept, with when they hold; they exclude each other."""
        rest = YES
        found: list[tuple[int, tuple[str, str] | None]] = []
        for low, high, condition in symbol.ranges:
            holds = self._guarded(symbol, condition)[0]
            for a, x in self.texts(low):
                found += [(self.every([rest, holds, a, b]), (x, y)) for b, y in self.texts(high)]
            rest = self.every([rest, -holds])
        return [*found, (rest, None)]

    def _said_texts(self, symbol: Any) -> Options:
        """What the user says: now, or instead; nothing where none of these holds."""
        now = symbol.user_value
        if not settable(symbol):
            return []
        wish, goal = self.wishes.get(symbol.name), self.goals.get(symbol.name)
        asked = [] if wish is None or goal is None else [(wish, goal)]
        unasked = -wish if wish is not None else YES
        if symbol.orig_type is kl.STRING or now is None:
            texts = _compared(symbol) if symbol.orig_type is kl.STRING else {str(n) for n in _near(symbol)}
            moves = [(self._move(Move(symbol.name, text)), text) for text in sorted(texts - {now}) if text]
            kept = [] if now is None else [(self.every([-m for m, _ in moves]), now)]
            self.at_most_one([when for when, _ in moves])
            moves += kept
        else:
            number = _number(now, symbol)
            others = sorted(_near(symbol) - {number}, key=lambda n: abs(n - number))
            moves = self._moved(symbol, now, others, tool=False)
        return [*asked, *((self.every([unasked, when]), text) for when, text in moves)]


class _Side(NamedTuple):
    """One side of a comparison, as kconfiglib looks at it."""

    orig_type: int
    str_value: str

    @property
    def tri_value(self) -> int:
        return int(kl.STR_TO_TRI.get(self.str_value, 0))


def _literal(value: bool) -> int:
    return YES if value else NO


def _key(expr: Any) -> Any:
    return id(expr) if expr.__class__ is tuple else expr


def _clamp(ends: tuple[str, str] | None, text: str, symbol: Any) -> str:
    """A number, or the end that is nearer where it is out of its range."""
    if ends is None:
        return text
    low, number, high = (_number(t, symbol) for t in (ends[0], text, ends[1]))
    return text if low <= number <= high else ends[0 if number < low else 1]


def _number(text: str, symbol: Any) -> int:
    try:
        return int(text, 16 if symbol.orig_type is kl.HEX else 10)
    except ValueError:
        return 0


def _near(symbol: Any) -> set[int]:
    """The numbers at which a comparison with the symbol turns over."""
    found = {int(t) + step for t in _compared(symbol) if _is_number(t) for step in (-1, 0, 1)}
    return {n for n in found if n >= 0}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _compared(symbol: Any) -> set[str]:
    """The constants that a symbol is compared with anywhere."""
    found = set()
    for item in symbol._dependents:
        for relation in _relations(_expressions(item)):
            if symbol in relation[1:]:
                found |= {side.name for side in relation[1:] if side is not symbol and not side.nodes}
    return found


def _expressions(item: Any) -> list[Any]:
    found = [node.prompt[1] for node in item.nodes if node.prompt]
    found += [part for default in item.defaults for part in default]
    if item.__class__ is kl.Symbol:
        found += [item.rev_dep, item.weak_rev_dep, item.direct_dep]
        found += [part for low, high, condition in item.ranges for part in (low, high, condition)]
    return found


def _relations(todo: list[Any]) -> Iterator[Any]:
    while todo:
        expr = todo.pop()
        if expr.__class__ is tuple:
            if expr[0] in (kl.AND, kl.OR, kl.NOT):
                todo += expr[1:]
            else:
                yield expr
