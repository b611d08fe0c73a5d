# SPDX-License-Identifier: MIT
"""Why a Kconfig symbol has its value: every clause, what selects it, who hangs on it, and the ways out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.changes import Clash, Way, Ways
from btfcheck.kconfig.state import State
from btfcheck.kconfig.why import Clause, Leaf, Why, leaf, why
from btfcheck.lint.checks import (
    ADVICE,
    NOT_KNOWN,
    OTHER_TOOLS,
    Kernel,
    clash_text,
    edit_text,
    origin_words,
    way_text,
)
from btfcheck.lint.engine import Facts

_MOST_DEPENDENTS = 4000  # looked at when asking who loses


class Answer(NamedTuple):
    """What there is to say of one symbol.

    `now` is the value as things are, with where it comes from; `wanted` what was asked, without what
    cannot be asked for. `whys` has one answer for each text that the release may have, `beside` the
    answers of other wanted symbols that are not granted. `selectors` can turn it on whatever it
    depends on, `losers` go off with it. `sought`: whether ways out were looked for.
    """

    name: str
    now: Leaf
    wanted: Mapping[str, str]
    whys: tuple[Why, ...]
    beside: tuple[Why, ...]
    selectors: tuple[Leaf, ...]
    losers: tuple[str, ...]
    ways: Ways
    sought: bool


def explain(kernel: Kernel, facts: Facts, name: str, goals: Mapping[str, str]) -> Answer | None:
    """Explain one symbol where the `goals` (the symbol among them, if it is to be had) are wanted.

    None when none of the kernel's texts defines it.
    """
    kconfigs = [k for k in kernel.loaded if name in k.syms and k.syms[name].nodes]
    if not kconfigs:
        return None
    values = kernel.values(live=True)
    now, selectors, losers = _as_it_is(kconfigs[0], name, values, facts.complete)
    if kconfigs[0].syms[name].orig_type not in (kl.BOOL, kl.TRISTATE) or name in kconfigs[0].leaves:
        goals = {n: v for n, v in goals.items() if n != name}  # a number, or what tools decide: not to be had by asking

    def ask(symbol: str) -> tuple[Why, ...]:
        others = values | {n: v for n, v in goals.items() if n != symbol}
        return why(kernel.loaded, symbol, others, complete=facts.complete, wanted=goals.get(symbol, now.value))

    answers = ask(name)
    beside = tuple(w for goal in goals if goal != name for w in ask(goal) if w.granted is not True)
    sought = name in goals and (beside or now.value != goals[name] or any(w.granted is not True for w in answers))
    found = kernel.ways_out(goals) if sought else Ways((), ())
    return Answer(name, now, goals, answers, beside, selectors, losers, found, bool(sought))


def _as_it_is(
    kconf: Any, name: str, values: Mapping[str, str | None], complete: bool
) -> tuple[Leaf, tuple[Leaf, ...], tuple[str, ...]]:
    symbol = kconf.syms[name]
    on, off = (dict(_texts(kconf, name, values, complete, hold)) for hold in ("y", "n"))
    losers = tuple(sorted(s for s in on if on[s] in ("y", "m") and off[s] == "n"))
    state = State(kconf, values, complete=complete)
    selectors = tuple(leaf(state, selector) for selector, _ in state.selectors(symbol))
    return leaf(state, symbol), selectors, losers


def _texts(
    kconf: Any, name: str, values: Mapping[str, str | None], complete: bool, hold: str
) -> Iterator[tuple[str, str]]:
    """The values of what hangs on a symbol, while that is held at y or n."""
    if kconf.syms[name].orig_type not in (kl.BOOL, kl.TRISTATE):
        return
    state = State(kconf, values, complete=complete, hold={name: hold})
    for item in _dependents(kconf.syms[name]):
        yield item.name, state.text(item)


def _dependents(symbol: Any) -> list[Any]:
    """The symbols whose value may change with that of `symbol`, nearest first."""
    seen = {symbol}
    queue = [symbol]
    for item in queue:
        for other in item._dependents:
            if other not in seen and len(seen) < _MOST_DEPENDENTS:
                seen.add(other)
                queue.append(other)
    return [i for i in queue[1:] if isinstance(i, kl.Symbol) and i.nodes]


# As plain data, for JSON.


def _answer_data(answer: Why) -> dict[str, Any]:
    return {
        "symbol": answer.symbol, "wanted": answer.wanted, "value": answer.value, "granted": answer.granted,
        "defined": answer.defined, "texts": origin_words(answer.origins),
    }  # fmt: skip


def clause_data(symbol: str, clause: Clause) -> dict[str, Any]:
    """One element of `clauses`; `leaves` are nested as far as values were derived."""
    data = clause._asdict() | {"symbol": symbol, "leaves": [leaf_data(item) for item in clause.leaves]}
    return {"symbol": data.pop("symbol")} | data


def leaf_data(item: Leaf) -> dict[str, Any]:
    data = item._asdict() | {"sources": [leaf_data(source) for source in item.sources]}
    return {key: value for key, value in data.items() if value or key == "value"}


def way_data(way: Way) -> dict[str, Any]:
    """One element of `ways_out`; `text` is all of it in words."""
    return {
        "text": way_text(way),
        "edits": [
            {"name": e.name, "value": e.value, "was": e.was, "tool": e.tool, "text": edit_text(e)} for e in way.edits
        ],
        "given_up": list(way.given_up),
        "changes": [{"name": n, "before": b, "after": a} for n, b, a in way.changes],
        "lost": list(way.lost),
        "instead": list(way.instead),
        "unsure": list(way.unsure),
        "holds_in": origin_words(way.origins),
    }


def clash_data(clash: Clash) -> dict[str, Any]:
    lines = [clause_data(symbol, clause) for symbol, clause in clash.lines]
    first = lines[0] if lines else None
    return {"text": clash_text(clash), "goals": list(clash.goals), "symbol": first and first["symbol"],
            "clause": first, "lines": lines, "of_tools": clash.of_tools,
            "hint": OTHER_TOOLS if clash.of_tools else ""}


def _unsettled(answer: Answer) -> list[str]:
    if not answer.sought or not answer.ways.unknown:
        return []
    return [NOT_KNOWN, ADVICE] if answer.ways.lacks_solver else [NOT_KNOWN]


def data(answer: Answer) -> dict[str, Any]:
    """Everything about one symbol: the keys `symbol`, `clauses`, `ways_out`, `clashes`."""
    told = [(w.symbol, c) for w in answer.whys for c in w.clauses]
    told += [(w.symbol, c) for w in answer.beside for c in (*w.blocking, *w.undecided)]
    clauses = {(n, c.text, c.expr, c.value): (n, c) for n, c in told}
    return {
        "symbol": {
            "name": answer.name,
            "value": answer.now.value,
            "now": leaf_data(answer.now),
            "wanted": dict(answer.wanted),
            "answers": [_answer_data(w) for w in (*answer.whys, *answer.beside)],
            "selected_by": [leaf_data(s) for s in answer.selectors],
            "losers": list(answer.losers),
        },
        "clauses": [clause_data(n, c) for n, c in clauses.values()],
        "ways_out": [way_data(w) for w in answer.ways.ways],
        "clashes": [clash_data(c) for c in answer.ways.clashes],
        "search": {"settled": answer.ways.settled, "text": _unsettled(answer)},
    }
