# SPDX-License-Identifier: MIT
"""Expressions: Kconfig's precedence, three values, and the facts that decided."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.lint.expr import Expr, ExprError, Result, evaluate, parse
from btfcheck.model import Fact, Location


def value(text: str, **values: str | None) -> Result:
    return evaluate(parse(text), lambda n: Fact(n, values.get(n, "n"), Location("t")))


def word(result: Result) -> str:
    return "?" if not result.known else "y" if result.true else "n"


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("A", {"A": "y"}, "y"),
        ("A", {"A": "m"}, "y"),
        ("A", {}, "n"),
        ("A", {"A": None}, "?"),
        ("!A", {"A": None}, "?"),
        ("A && B", {"A": None, "B": "n"}, "n"),
        ("A || B", {"A": None, "B": "y"}, "y"),
        ("A && B", {"A": None, "B": "y"}, "?"),
        ("!A || B && C", {"A": "y", "B": "y", "C": "n"}, "n"),
        ("A || B && C", {"A": "y"}, "y"),
        ("(A || B) && C", {"A": "y"}, "n"),
        ("!(A && B)", {"A": "y", "B": "y"}, "n"),
        ("V >= 124", {"V": "124"}, "y"),
        ("V < 124", {"V": "99"}, "y"),
        ("V < 124", {"V": None}, "?"),
        ("V = 0x10", {"V": "16"}, "y"),
        ('S = "abc"', {"S": "abc"}, "y"),
        ("A = B", {"A": "y", "B": "y"}, "y"),
        ("A != n", {"A": "m"}, "y"),
        ("!A = n", {"A": "y"}, "y"),
        ("y", {}, "y"),
        ("n || m", {}, "y"),
    ],
)
def test_values(text: str, values: dict[str, str | None], expected: str) -> None:
    assert word(value(text, **values)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends where a symbol is expected"),
        ("A &&", "ends where a symbol is expected"),
        ("A B", "unexpected 'B'"),
        ("(A", "a ')' is missing"),
        ("A & B", "unexpected '&' at column 3"),
        ("A > ", "missing after '>'"),
        ("> A", "unexpected '>'"),
        ("(" * 200 + "A" + ")" * 200, "nested deeper"),
        ("A||" * 9000 + "A", "longer than"),
    ],
)
def test_errors_say_where(text: str, words: str) -> None:
    with pytest.raises(ExprError, match=words.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


def test_deciders_of_a_conjunction() -> None:
    false = value("A && B && C", A="y", B="n", C=None)
    assert [f.name for f in false.facts] == ["B"]
    true = value("A && B", A="y", B="y")
    assert [f.name for f in true.facts] == ["A", "B"]
    unknown = value("A && B && C", A="y", B=None, C=None)
    assert [f.name for f in unknown.facts] == ["B", "C"]


symbols = st.sampled_from(["A", "B", "C", "D"])
exprs = st.recursive(
    symbols.map(lambda n: Expr("sym", (), n)),
    lambda inner: st.one_of(
        st.builds(lambda a: Expr("!", (a,)), inner),
        st.builds(lambda op, a, b: Expr(op, (a, b)), st.sampled_from(["&&", "||"]), inner, inner),
    ),
    max_leaves=8,
)


@given(exprs, st.dictionaries(symbols, st.sampled_from(["n", "m", "y", None])))
def test_unknown_covers_every_completion(expr: Expr, partial: dict[str, str | None]) -> None:
    """A known answer holds for every value of the unknown symbols."""
    got = evaluate(expr, lambda n: Fact(n, partial.get(n, "n"), Location("t")))
    open_names = [n for n in set(expr.symbols()) if partial.get(n, "n") is None]
    seen = set()
    for combination in itertools.product("nmy", repeat=len(open_names)):
        filled = partial | dict(zip(open_names, combination, strict=True))
        result = evaluate(expr, lambda n: Fact(n, filled.get(n, "n"), Location("t")))  # noqa: B023
        seen.add(result.true)
    if got.known:
        assert seen == {got.true}


@given(exprs)
def test_text_round_trip(expr: Expr) -> None:
    again = parse(str(expr))
    for combination in itertools.product("ny", repeat=4):
        facts = dict(zip("ABCD", combination, strict=True))
        lookup = lambda n: Fact(n, facts[n], Location("t"))  # noqa: E731, B023
        assert evaluate(expr, lookup).true == evaluate(again, lookup).true


@given(st.text(max_size=200) | st.text(alphabet='AB()&|!=<>"\\ yn01', max_size=80))
def test_any_text_parses_or_says_why(text: str) -> None:
    try:
        expr = parse(text)
    except ExprError as error:
        assert str(error)
    else:
        evaluate(expr, lambda n: Fact(n, None, Location("t")))
