"""The next-character distribution in compiled functions: count, interpolate, mix; draft and verify.

Arrays have A + 1 entries: the A characters of the alphabet by symbol from 1 on, then one for all other characters. The
context is looked up in two n-gram models, of the whole workspace and of the current file:

    count          how often each symbol followed the last 3, 4, 5 ... 28 symbols, in all segments
    interpolate    p(next) from these counts (ngram.py has the definition)
    mix            log p = w_net log p_net + w_workspace log p_workspace + w_file log p_file - log Z
    complete_word  raise p(next) if all words of the workspace that begin like the current one continue alike
"""

import math

import numpy as np

from tinycopilot.completion.compiled import array_at, compiled
from tinycopilot.completion.suffix_array import BREAK, DEPTH, symbol_at

FLOOR = math.log(1e-6)
"""Minimum log p of a character in each model."""
MAX_WEIGHT = 2.0
N_WORD_KINDS, DIGIT_KIND = 4, 2
"""The first of predictor.KINDS are those of the characters of words; one of them is that of digits."""
MIN_WORD_CHARS = 3
"""Minimum length of the beginning of a word that is completed."""
MIN_WORD_P = 0.92
"""Minimum probability of a character that completes a word: about the share of such characters that are right."""
MAX_OCCURRENCES = 500
"""A more frequent beginning is not completed: n-grams predict it well, and reading its occurrences takes long."""
STRENGTH = 0.1
"""Weight of the shorter context's prediction, in occurrences."""


@compiled
def draft(  # type: ignore[no-untyped-def]
    headers, n_workspace, orders, discounts, possible, weights, kind_of, context, max_chars, min_log_p, looked_up
):  # fmt: skip
    """Continue `context` greedily with the n-gram models alone, while the draft has at least `min_log_p`.

    `headers`, (n, len(Header)): the segments of the workspace, `n_workspace` of them, then those of the file.
    `possible`, (A + 1,): which characters may follow. `weights`: by order, (n_orders, 3), and by kind, (n_kinds, 3).
    `kind_of`: the kind of each symbol. Returns the symbols, (n,), at most `max_chars`; and for the context and each
    prefix of the symbols, (3, max_chars + 1): the number of orders seen in the workspace, the kind of the last symbol,
    and the `word_successor`. Fills `looked_up`, (max_chars + 1, 2, A + 1), with log p of workspace and file.
    """
    n_known = len(context)
    symbols = np.empty(n_known + max_chars, np.uint16)
    symbols[:n_known] = context
    contexts = np.zeros((3, max_chars + 1), np.int64)
    guessed = np.empty(len(possible))
    log_p = 0.0
    for n in range(max_chars + 1):
        end = n_known + n
        last = symbols[max(0, end - DEPTH) : end]
        seen = look_up(headers, n_workspace, orders, discounts, possible, last, looked_up[n])
        kind = kind_of[symbols[end - 1] if end > 0 else BREAK]  # no symbol is left after a masked secret
        contexts[0, n], contexts[1, n] = seen, kind
        contexts[2, n] = word_successor(headers[:n_workspace], kind_of, last)
        if n == max_chars or seen == 0:
            break
        best = mix(looked_up[n], weights[0][seen - 1, 1:], weights[1][kind, 1:], possible, guessed)
        best = complete_word(guessed, best, contexts[2, n])
        log_p += guessed[best]
        if log_p < min_log_p:
            break
        symbols[end] = best + 1
    return symbols[n_known : n_known + n], contexts


@compiled
def verify(logits, drafted, looked_up, contexts, possible, weights, rows, log_probs):  # type: ignore[no-untyped-def]
    """Mix the network's logits, (n + 1, V), with the n-gram predictions, after each of the n drafted symbols.

    The accept rule: a drafted symbol is correct if it is the most probable. Returns the number of correct ones, k, and
    `likeliest`, (n + 1,), the most probable entry at each position, never the last entry. Fills the first k + 1 of
    `rows`, (n + 1, 3, A + 1), with log p of network, workspace and file, and of `log_probs`, (n + 1, A + 1).
    """
    n = len(drafted)
    likeliest = np.empty(n + 1, np.int64)
    for i in range(n + 1):
        likeliest[i] = spread(logits[i], possible, rows[i, 0])
        rows[i, 1:] = looked_up[i]
        log_probs[i] = rows[i, 0]
        seen, kind = contexts[0, i], contexts[1, i]
        if seen:
            likeliest[i] = mix(rows[i], weights[0][seen - 1], weights[1][kind], possible, log_probs[i])
            likeliest[i] = complete_word(log_probs[i], likeliest[i], contexts[2, i])
        if i == n or likeliest[i] + 1 != drafted[i]:
            return i, likeliest
    return n, likeliest  # unreachable, but required by the compiler


@compiled
def spread(logits, possible, row):  # type: ignore[no-untyped-def]
    """Write log p of the network to `row`, (A + 1,), from logits, (V,).

    The characters outside its vocabulary share the probability of the unknown id, the last one. Returns the most
    probable entry except the last.
    """
    n_known = len(logits) - 1
    share = logits[n_known] - math.log(np.sum(possible[n_known:]))
    row[:n_known] = logits[:n_known]
    for i in range(n_known, len(row)):
        row[i] = share if possible[i] else -np.inf
    return normalize(row)


@compiled
def mix(rows, weights, more_weights, possible, mixed):  # type: ignore[no-untyped-def]
    """The normalized weighted sum of `rows`, (n, A + 1), in `mixed`, (A + 1,); -inf for impossible characters.

    The weight of row i is the sum of both weights, clipped to 0 ... MAX_WEIGHT. Returns the most probable entry except
    the last.
    """
    n = len(mixed)
    for i in range(n):
        mixed[i] = 0.0 if possible[i] else -np.inf
    for row in range(len(rows)):
        weight = min(max(weights[row] + more_weights[row], 0.0), MAX_WEIGHT)
        for i in range(n):
            mixed[i] += weight * max(rows[row, i], FLOOR)
    return normalize(mixed)


@compiled
def normalize(log_p):  # type: ignore[no-untyped-def]
    """Subtract log Z from `log_p`: then the probabilities sum to 1. Returns the most probable entry except the last."""
    n, best = len(log_p), 0
    for i in range(n - 1):
        if log_p[i] > log_p[best]:
            best = i
    highest, total = max(log_p[best], log_p[n - 1]), 0.0
    for i in range(n):
        total += math.exp(log_p[i] - highest)
    log_z = highest + math.log(total)
    for i in range(n):
        log_p[i] -= log_z
    return best


@compiled
def complete_word(log_p, best, successor):  # type: ignore[no-untyped-def]
    """Raise the probability of `successor`, a `word_successor`, to at least MIN_WORD_P, and scale the others.

    `best` is the most probable entry of `log_p`, (A + 1,); returns the one after the change.
    """
    entry, least = successor - 1, math.log(MIN_WORD_P)
    if successor == BREAK or log_p[entry] >= least:
        return best
    shift = math.log((1 - MIN_WORD_P) / (1 - math.exp(log_p[entry])))
    for i in range(len(log_p)):
        log_p[i] += shift
    log_p[entry] = least
    return entry


@compiled
def word_successor(headers, kind_of, context):  # type: ignore[no-untyped-def]
    """The symbol that continues the incomplete word at the end of `context` in all words of `headers` that begin so.

    BREAK if there are none, if they differ, or if the beginning is a word itself, short, a number, or too frequent.
    ngram.py has the definition.
    """
    end, n = len(context), 0
    while n < end and _is_in_word(kind_of, context[end - 1 - n]):
        n += 1
    if n < MIN_WORD_CHARS or n == end or kind_of[context[end - n]] == DIGIT_KIND:
        return np.int64(BREAK)
    bounds, n_occurrences = np.empty((len(headers), 2), np.int64), np.int64(0)
    for i in range(len(headers)):
        symbols, positions, _ = _arrays(headers[i])
        low = _bound(symbols, positions, np.int64(0), len(positions), context, np.int64(0), n, np.bool_(False))
        high = _bound(symbols, positions, low, len(positions), context, np.int64(0), n, np.bool_(True))
        bounds[i, 0], bounds[i, 1] = low, high
        n_occurrences += headers[i, 0] * (high - low)
    if n_occurrences > MAX_OCCURRENCES:
        return np.int64(BREAK)
    counts = np.zeros(len(kind_of), np.int64)
    for i in range(len(headers)):
        symbols, positions, following = _arrays(headers[i])
        sign, cursor = headers[i, 0], headers[i, 1]
        for j in range(bounds[i, 0], bounds[i, 1]):
            before = positions[j] - n - 1
            if not (_is_in_word(kind_of, symbols[before]) or before < cursor <= positions[j]):
                counts[symbol_at(symbols, positions, following, j)] += sign
    successor = np.int64(BREAK)
    for symbol in range(1, len(counts)):
        if counts[symbol] > 0:
            if successor != BREAK:
                return np.int64(BREAK)
            successor = np.int64(symbol)
    return successor if _is_in_word(kind_of, successor) else np.int64(BREAK)


@compiled
def _is_in_word(kind_of, symbol):  # type: ignore[no-untyped-def]
    """Whether a symbol is a letter, digit or underscore."""
    return symbol != BREAK and kind_of[symbol] < N_WORD_KINDS


@compiled
def _arrays(header):  # type: ignore[no-untyped-def]
    """The symbols, positions and next symbols of a segment."""
    n_symbols, n = header[6], header[7]
    return array_at(header[2], n_symbols, np.uint16), array_at(header[3], n, np.int32), array_at(header[4], n, np.uint8)


@compiled
def look_up(headers, n_workspace, orders, discounts, possible, context, log_p):  # type: ignore[no-untyped-def]
    """Write log p(next) of workspace and file to `log_p`, (2, A + 1); return the number of orders seen in the
    workspace.
    """
    seen = np.empty(2, np.int64)
    for row, part in enumerate((headers[:n_workspace], headers[n_workspace:])):
        counts = np.zeros((len(orders), len(possible)), np.int64)
        count(part, context, orders, counts)
        seen[row] = interpolate(counts, possible, discounts, log_p[row])
        for i in range(len(possible)):
            log_p[row, i] = math.log(log_p[row, i]) if log_p[row, i] > 0 else -np.inf
    return seen[0]


@compiled
def interpolate(counts, possible, discounts, p):  # type: ignore[no-untyped-def]
    """p(next), (A + 1,), from counts, (n_orders, A + 1) by symbol from BREAK on; returns the number of orders seen."""
    n_symbols, n_possible = counts.shape[1], np.sum(possible)
    for i in range(n_symbols):
        p[i] = possible[i] / n_possible
    for row in range(len(counts)):
        n, n_different = 0.0, 0
        for symbol in range(1, n_symbols):
            if counts[row, symbol] > 0:
                n += math.sqrt(counts[row, symbol])
                n_different += 1
        if n_different == 0:
            return row
        shorter = (STRENGTH + discounts[row] * n_different) / (n + STRENGTH)
        for i in range(n_symbols):
            p[i] *= shorter
        for symbol in range(1, n_symbols):
            if counts[row, symbol] > 0:
                p[symbol - 1] += (math.sqrt(counts[row, symbol]) - discounts[row]) / (n + STRENGTH)
    return len(counts)


@compiled
def count(headers, context, orders, counts):  # type: ignore[no-untyped-def]
    """Count how often each symbol followed `context`, 1 to DEPTH symbols without a BREAK, in all segments of `headers`.

    Adds to row i of `counts`, (n_orders, n_symbols), for the last orders[i] symbols of `context`. If it is shorter than
    that, or was never seen, nothing is added to that row and those below.
    """
    for i in range(len(headers)):
        symbols, positions, following = _arrays(headers[i])
        sign, cursor, _, _, _, until_at, _, _, n_rows, n_columns, stride = headers[i]
        until = array_at(until_at, (n_rows, n_columns), np.int32)
        _add_counts(symbols, positions, following, until, stride, context, orders, counts, sign)
        if cursor >= 0:
            _subtract_across(symbols, cursor, context, orders, counts, sign)


@compiled
def _add_counts(symbols, positions, following, until, stride, context, orders, counts, sign):  # type: ignore[no-untyped-def]
    """Do `count` for one segment, ignoring the cursor."""
    low, high, known = np.int64(0), len(positions), np.int64(0)  # the compiler distinguishes the types of 0 and False
    for row, order in enumerate(orders):
        if order > len(context):
            return
        low = _bound(symbols, positions, low, high, context, known, order, np.bool_(False))
        high = _bound(symbols, positions, low, high, context, known, order, np.bool_(True))
        if low == high:
            return
        known = order
        first, last = -(-low // stride), high // stride  # the whole strides in between
        start = min(first * stride, high)
        for i in range(low, start):
            counts[row, symbol_at(symbols, positions, following, i)] += sign
        for i in range(max(start, last * stride), high):
            counts[row, symbol_at(symbols, positions, following, i)] += sign
        if first < last:
            for symbol in range(until.shape[1]):
                counts[row, symbol] += sign * (until[last, symbol] - until[first, symbol])


@compiled
def _bound(symbols, positions, low, high, context, known, order, after):  # type: ignore[no-untyped-def]
    """The first of positions[low:high] whose context is not before (`after`: is after) the last `order` of `context`.

    All of them are known to follow the last `known` symbols of `context`.
    """
    n = len(context)
    while low < high:
        middle = (low + high) // 2
        position, is_before = positions[middle], after
        for depth in range(known + 1, order + 1):
            symbol, wanted = symbols[position - depth], context[n - depth]
            if symbol != wanted:
                is_before = symbol < wanted
                break
        if is_before:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _subtract_across(symbols, cursor, context, orders, counts, sign):  # type: ignore[no-untyped-def]
    """Subtract from `counts` the contexts in `_add_counts` that extend over the cursor."""
    n = len(context)
    for position in range(cursor, min(cursor + n, len(symbols))):
        if symbols[position] == BREAK:
            continue
        same = 0  # number of symbols before it that match the end of the context
        while same < n and symbols[position - 1 - same] == context[n - 1 - same]:
            same += 1
        for row, order in enumerate(orders):
            if order > same:
                break
            if position - order < cursor:
                counts[row, symbols[position]] -= sign
