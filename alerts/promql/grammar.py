"""What is asked: one selector, perhaps a statistic over a window of it, perhaps a statistic by labels of that.

    query     = aggregate | over | selector
    aggregate = ("avg" | "min" | "max" | "sum" | "count") [by] "(" (over | selector) ")" [by]
    by        = "by" "(" [label {"," label} [","]] ")"
    over      = ("avg" | "min" | "max" | "sum" | "count" | "last") "_over_time" "(" selector "[" duration "]" ")"
    selector  = name ["{" matchers "}"] | "{" matchers "}"
    matchers  = [label ("=" | "!=" | "=~" | "!~") string {"," …} [","]]

and `1+1`, by which Grafana tests a data source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NoReturn, cast

from alerts.promql.tokens import QueryError, Token, duration_ms, string_value, tokens

NAME: Final = "__name__"  # the label that a metric's name is
SUPPORTED: Final = (
    'supported here: name{label="value"} with = != =~ !~, in avg|min|max|sum|count|last_over_time(…[5m]), '
    "in avg|min|max|sum|count by (labels) (…)"
)
MATCHERS_MAX: Final = 64
Statistic = Literal["avg", "min", "max", "sum", "count", "last"]
Operator = Literal["=", "!=", "=~", "!~"]
_AGGREGATES: Final[dict[str, Statistic]] = {"avg": "avg", "min": "min", "max": "max", "sum": "sum", "count": "count"}
_OVER: Final[dict[str, Statistic]] = {f"{name}_over_time": name for name in (*_AGGREGATES.values(), "last")}
_OPERATORS: Final = ("=", "!=", "=~", "!~")
_BINARY: Final = ("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=")
_BINARY_WORDS: Final = ("and", "or", "unless", "atan2")
_NO_NAMES: Final = ("atan2", "bool", "group_left", "group_right", "ignoring", "on")  # of a metric, in any case
_NUMBERS: Final = ("inf", "nan")


@dataclass(frozen=True, slots=True)
class Matcher:
    label: str
    operator: Operator
    value: str


@dataclass(frozen=True, slots=True)
class Query:
    """`over`: of the window (t - `range_ms`, t], None: the newest value. `aggregate` by `by`, None: each series."""

    matchers: tuple[Matcher, ...]
    over: Statistic | None = None
    range_ms: int = 0
    aggregate: Statistic | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that nobody measured."""

    value: float


def parse_query(text: str) -> Query | Constant:
    """Raises QueryError: `bad_data` where this is no PromQL, `execution` where it is more of it than we carry out."""
    reader = _Reader(text)
    if [token.text for token in reader.tokens] == ["1", "+", "1", ""]:
        return Constant(2.0)
    query = reader.expression(may_aggregate=True)
    reader.end()
    return query


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of one selector, as in `match[]`. Raises QueryError."""
    reader = _Reader(text)
    matchers = reader.selector(in_query=False)
    reader.end()
    return matchers


class _Reader:
    """The tokens of a query, and how far they are read."""

    def __init__(self, text: str) -> None:
        self.tokens = list(tokens(text))
        self._at = 0

    def expression(self, *, may_aggregate: bool) -> Query:
        token, following = self._peek(), self._peek(1)
        word = token.text.lower() if token.kind == "name" else ""
        call = following.text == "(" or following.text.lower() in ("by", "without")
        if word in _AGGREGATES and call:
            if not may_aggregate:
                self._unsupported(token, f"{word} within another statistic by labels")
            return self._aggregate(_AGGREGATES[word])
        if token.text in _OVER and following.text == "(":
            return self._over(_OVER[token.text])
        if word and call:
            self._unsupported(token, f"{token.text}()")
        if token.kind in ("number", "string", "duration") or token.text in ("(", "-", "+") or word in _NUMBERS:
            self._unsupported(token, f"an expression that begins with {token.text}")
        return Query(self.selector())

    def selector(self, *, in_query: bool = True) -> tuple[Matcher, ...]:
        """Prometheus is not strict about names outside of queries."""
        token = self._next()
        if token.kind == "name" and token.text.lower() not in _NO_NAMES:
            named: tuple[Matcher, ...] = (Matcher(NAME, "=", token.text),)
            if self._peek().text != "{":
                return named
            self._next()
        elif token.text == "{":
            named = ()
        else:
            self._unexpected(token, "the name of a metric or {")
        matchers = self._matchers()
        if named and in_query and any(matcher.label == NAME for matcher in matchers):
            raise QueryError(f"1:{token.at}: parse error: the name of the metric must not be set twice")
        return (*named, *matchers)

    def end(self) -> None:
        token = self._peek()
        if token.kind != "end":
            self._misses(token, "the end of the query")

    def _aggregate(self, statistic: Statistic) -> Query:
        self._next()
        by = self._by()
        self._take("(")
        inner = self.expression(may_aggregate=False)
        self._take(")")
        if by is None:
            by = self._by()
        return Query(inner.matchers, inner.over, inner.range_ms, statistic, by or ())

    def _by(self) -> tuple[str, ...] | None:
        token = self._peek()
        if token.text.lower() == "without":
            self._unsupported(token, "without")
        if token.text.lower() != "by":
            return None
        self._next()
        self._take("(")
        labels = []
        while self._peek().text != ")":
            labels.append(self._label())
            if self._peek().text != ")":
                self._take(",")
        self._take(")")
        return tuple(dict.fromkeys(labels))

    def _over(self, statistic: Statistic) -> Query:
        self._next()
        self._take("(")
        token, following = self._peek(), self._peek(1)
        if token.kind == "name" and following.text == "(":
            self._unsupported(token, f"{token.text}() within a statistic over time")
        matchers = self.selector()
        self._take("[")
        length = self._next()
        if length.kind != "duration":
            self._unexpected(length, "a duration such as 5m")
        range_ms = duration_ms(length.text)
        if range_ms == 0:
            raise QueryError(f"1:{length.at}: parse error: duration must be greater than 0")
        if self._peek().text.startswith(":"):
            self._unsupported(self._peek(), "a subquery")
        self._take("]")
        self._take(")")
        return Query(matchers, statistic, range_ms)

    def _matchers(self) -> tuple[Matcher, ...]:
        """Up to and with the brace that ends them."""
        found = []
        while self._peek().text != "}":
            label, operator, value = self._label(), self._next(), self._next()
            if operator.text not in _OPERATORS:
                self._unexpected(operator, "= != =~ or !~")
            if value.kind != "string":
                self._unexpected(value, "a string")
            found.append(Matcher(label, cast(Operator, operator.text), string_value(value)))
            if len(found) > MATCHERS_MAX:
                raise QueryError(f"1:{value.at}: more than {MATCHERS_MAX} matchers")
            if self._peek().text != "}":
                self._take(",")
        self._next()
        return tuple(found)

    def _label(self) -> str:
        token = self._next()
        if token.kind != "name" or ":" in token.text:
            self._unexpected(token, "the name of a label")
        return token.text

    def _take(self, sign: str) -> None:
        token = self._peek()
        if token.kind != "sign" or token.text != sign:
            self._misses(token, sign)
        self._next()

    def _misses(self, token: Token, expected: str) -> NoReturn:
        """Something stands where an expression we know has ended: more of the language, or nonsense."""
        word = token.text.lower()
        if token.text in _BINARY or word in _BINARY_WORDS:
            self._unsupported(token, f"the operator {token.text}")
        if word == "offset" or token.text == "@":
            self._unsupported(token, token.text)
        if token.text == "[":
            self._unsupported(token, "a range outside a statistic over time")
        self._unexpected(token, expected)

    def _peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self._at + ahead, len(self.tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _unexpected(self, token: Token, expected: str) -> NoReturn:
        found = "the end of the query" if token.kind == "end" else repr(token.text[:64])
        raise QueryError(f"1:{token.at}: parse error: unexpected {found}, expected {expected}; {SUPPORTED}")

    def _unsupported(self, token: Token, what: str) -> NoReturn:
        raise QueryError(f"1:{token.at}: {what[:80]} is not supported; {SUPPORTED}", "execution")
