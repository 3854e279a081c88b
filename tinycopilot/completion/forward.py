"""The whole GPT as explicit loops: one forward pass over a cache, compiled to machine code by Numba.

The letters in shapes: T new positions, S positions that they see (cached + T), L layers, H heads, D a head's width,
C = H * D the model's width, F = 4 * C the width of the feed-forward part, V vocabulary, W window, K convolution width.
Read `forward` first; it calls the functions below.
"""

import math

import numpy as np

from tinycopilot.completion.compiled import compiled_fast

EPSILON = 1e-5
"""PyTorch's LayerNorm adds this to the variance."""
ROWS = 32
"""Rows of a matrix per block, a multiple of 4: they stay in the CPU's cache for all positions."""


@compiled_fast
def forward(  # type: ignore[no-untyped-def]
    ids, position, n_kept, window,
    embedding, vectors, last_norm,
    qkv, qkv_scale, o_proj, o_proj_scale, up, up_scale, down, down_scale, head, head_scale, rates,
    keys, values, conv_inputs, logits,
):  # fmt: skip
    """Read `ids`, (T,), the first of them at `position`; fill `logits`, (N, V), of the last N positions.

    The cache (see network.Cache) holds `n_kept` positions; the new ones are written behind them. Weights are as
    network.Network packs them; each matrix is (L, outputs, inputs), float32 or int8, with a scale for each output.
    Returns False, and changes nothing, if an id is outside the vocabulary.
    """
    T, N = len(ids), len(logits)
    L, C, F = len(qkv), embedding.shape[1], up.shape[1]
    D = 2 * len(rates)
    H = C // D
    x = np.empty((T, C), np.float32)  # the residual stream
    for t in range(T):
        if not 0 <= ids[t] < len(embedding):
            return False
        for i in range(C):
            x[t, i] = embedding[ids[t], i]
    cos, sin = np.empty((T, len(rates)), np.float32), np.empty((T, len(rates)), np.float32)
    for t in range(T):
        for i in range(len(rates)):
            angle = (position + t) * rates[i]  # in float64: exact at any position
            cos[t, i], sin[t, i] = math.cos(angle), math.sin(angle)
    h = np.empty((T, C), np.float32)
    heads = np.empty((T, 3 * C), np.float32)  # queries, keys, values; of each, the H heads side by side
    y = np.empty((T, C), np.float32)
    f = np.empty((T, F), np.float32)
    for layer in range(L):
        # Attention: combine positions.
        norm_and_convolve(x, vectors[layer, 0], conv_inputs[layer, 0], n_kept, h)
        linear(h, qkv[layer], qkv_scale[layer], heads)
        rotate(heads, cos, sin)
        for number in range(H):
            first, end = number * D, (number + 1) * D  # the head's channels
            k, v = keys[layer, number], values[layer, number]  # (D, capacity)
            for t in range(T):
                for i in range(D):
                    k[i, n_kept + t] = heads[t, C + first + i]
                    v[i, n_kept + t] = heads[t, 2 * C + first + i]
            attend(heads[:, first:end], k, v, n_kept, window, y[:, first:end])
        linear(y, o_proj[layer], o_proj_scale[layer], h)
        add(h, x)
        # Feed-forward: each position by itself.
        norm_and_convolve(x, vectors[layer, 1], conv_inputs[layer, 1], n_kept, h)
        linear(h, up[layer], up_scale[layer], f)
        for t in range(T):
            gelu(f[t])
        linear(f, down[layer], down_scale[layer], h)
        add(h, x)
    for t in range(T - N, T):
        layer_norm(x[t], last_norm[0], last_norm[1], h[t])
    linear(h[T - N :], head, head_scale, logits)
    return True


@compiled_fast
def norm_and_convolve(x, vectors, rows, n_kept, h):  # type: ignore[no-untyped-def]
    """h = ShortConvolution(LayerNorm(x)), (T, C): add to each channel its weighted values K - 1 positions back.

    `vectors`, (2 + K - 1, C): gain, bias, taps. The normed rows are written to `rows` of the cache.
    """
    T, K = len(x), len(vectors) - 1
    for t in range(T):
        layer_norm(x[t], vectors[0], vectors[1], h[t])
        if K > 1:
            here = n_kept + K - 1 + t
            for i in range(x.shape[1]):
                rows[here, i] = h[t, i]
            for distance in range(1, K):
                for i in range(x.shape[1]):
                    h[t, i] += vectors[1 + distance, i] * rows[here - distance, i]


@compiled_fast
def add(a, y):  # type: ignore[no-untyped-def]
    """y += a, (T, C): a block adds to the residual stream."""
    for t in range(len(y)):
        for i in range(y.shape[1]):
            y[t, i] += a[t, i]


@compiled_fast
def layer_norm(x, gain, bias, y):  # type: ignore[no-untyped-def]
    """y = (x - mean) / standard deviation * gain + bias; all (C,)."""
    C = len(x)
    mean = np.float32(0)
    for i in range(C):
        mean += x[i]
    mean /= np.float32(C)
    variance = np.float32(0)
    for i in range(C):
        variance += (x[i] - mean) * (x[i] - mean)
    scale = np.float32(1) / np.sqrt(variance / np.float32(C) + np.float32(EPSILON))
    for i in range(C):
        y[i] = (x[i] - mean) * scale * gain[i] + bias[i]


@compiled_fast
def rotate(heads, cos, sin):  # type: ignore[no-untyped-def]
    """Turn each pair (i, i + D/2) of each query and key by its position's angle. `heads` is (T, 3C)."""
    T, half = cos.shape
    for t in range(T):
        for at in range(0, heads.shape[1] // 3 * 2, 2 * half):
            for i in range(at, at + half):
                a, b = heads[t, i], heads[t, i + half]
                heads[t, i] = a * cos[t, i - at] - b * sin[t, i - at]
                heads[t, i + half] = b * cos[t, i - at] + a * sin[t, i - at]


@compiled_fast
def attend(q, k, v, n_kept, window, y):  # type: ignore[no-untyped-def]
    """y = softmax(q k / sqrt(D)) v, where each query sees the last W positions.

    q and y are (T, D), k and v are (D, capacity).
    """
    scores = np.empty(n_kept + len(q), np.float32)
    for t in range(len(q)):
        first, end = max(0, n_kept + t + 1 - window), n_kept + t + 1
        z = scores[first:end]
        score(q[t], k, first, z)
        softmax(z)
        average(z, v, first, y[t])


@compiled_fast
def score(q, k, first, z):  # type: ignore[no-untyped-def]
    """z = q k / sqrt(D), for the keys from `first` on; four channels per loop over the keys."""
    D, n = len(q), len(z)
    scale = np.float32(1 / math.sqrt(D))
    for s in range(n):
        z[s] = np.float32(0)
    for i in range(0, D - D % 4, 4):
        k0, k1, k2, k3 = k[i, first:], k[i + 1, first:], k[i + 2, first:], k[i + 3, first:]
        a0, a1, a2, a3 = q[i] * scale, q[i + 1] * scale, q[i + 2] * scale, q[i + 3] * scale
        for s in range(n):
            z[s] += a0 * k0[s] + a1 * k1[s] + a2 * k2[s] + a3 * k3[s]
    for i in range(D - D % 4, D):
        k0, a0 = k[i, first:], q[i] * scale
        for s in range(n):
            z[s] += a0 * k0[s]


@compiled_fast
def average(z, v, first, y):  # type: ignore[no-untyped-def]
    """y = z v: for each channel, the weighted sum of the values from `first` on. D is even."""
    n = len(z)
    for i in range(0, len(y), 2):
        v0, v1 = v[i, first:], v[i + 1, first:]
        a0 = a1 = np.float32(0)
        for s in range(n):
            a0 += z[s] * v0[s]
            a1 += z[s] * v1[s]
        y[i], y[i + 1] = a0, a1


@compiled_fast
def softmax(z):  # type: ignore[no-untyped-def]
    """z = exp(z) / sum of exp(z), in place; the highest is subtracted first, so that nothing overflows."""
    top = z[0]
    for s in range(len(z)):
        top = max(top, z[s])
    total = np.float32(0)
    for s in range(len(z)):
        z[s] = exp_of_negative(z[s] - top)
        total += z[s]
    share = np.float32(1) / total
    for s in range(len(z)):
        z[s] *= share


@compiled_fast
def exp_of_negative(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, with relative error 2e-7: 2^n times 2^f = exp(f ln 2), by its Taylor series, |f| <= 1/2.

    Plain arithmetic, so that one instruction handles eight numbers; n is put into the exponent bits of the float.
    """
    x = max(x * np.float32(1.442695041), np.float32(-126))  # log2(e)
    n = np.int32(x - np.float32(0.5))  # the nearest whole number: this cuts toward zero
    f = (x - np.float32(n)) * np.float32(0.6931471806)  # ln(2)
    p = np.float32(1 / 720) * f + np.float32(1 / 120)
    p = ((((p * f + np.float32(1 / 24)) * f + np.float32(1 / 6)) * f + np.float32(0.5)) * f + np.float32(1)) * f
    return (p + np.float32(1)) * np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled_fast
def gelu(f):  # type: ignore[no-untyped-def]
    """f = f * Phi(f), in place, where Phi is the normal distribution's (Hendrycks and Gimpel 2016).

    1 - Phi(|f|) to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26, which gives erf(z); Phi(f) = (1 + erf(f / sqrt 2)) / 2).
    """
    for i in range(len(f)):
        z = abs(f[i]) * np.float32(0.7071067812)
        t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * z)
        p = (np.float32(1.061405429) * t - np.float32(1.453152027)) * t + np.float32(1.421413741)
        p = ((p * t - np.float32(0.284496736)) * t + np.float32(0.254829592)) * t
        tail = np.float32(0.5) * p * exp_of_negative(-z * z)
        f[i] *= tail if f[i] < np.float32(0) else np.float32(1) - tail


@compiled_fast
def linear(x, w, scale, y):  # type: ignore[no-untyped-def]
    """y = x w^T * scale: x (T, inputs), w (outputs, inputs), scale (outputs,), y (T, outputs).

    A dot product for each position and output, in blocks of 4 positions x 2 outputs, or 1 x 4, which share loads. ROWS
    outputs at a time stay in the CPU's cache. The last output may be computed several times, to complete a block.
    """
    T, n_in, last = len(x), w.shape[1], len(w) - 1
    in_fours = T - T % 4
    for rows in range(0, len(w), ROWS):
        end = min(len(w), rows + ROWS)
        for t in range(0, in_fours, 4):
            x0, x1, x2, x3 = x[t], x[t + 1], x[t + 2], x[t + 3]
            for o in range(rows, end, 2):
                p = min(o + 1, last)
                w0, w1 = w[o], w[p]
                a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
                for i in range(n_in):
                    u, v = np.float32(w0[i]), np.float32(w1[i])
                    a0 += u * x0[i]
                    a1 += u * x1[i]
                    a2 += u * x2[i]
                    a3 += u * x3[i]
                    b0 += v * x0[i]
                    b1 += v * x1[i]
                    b2 += v * x2[i]
                    b3 += v * x3[i]
                y[t, o], y[t, p] = a0 * scale[o], b0 * scale[p]
                y[t + 1, o], y[t + 1, p] = a1 * scale[o], b1 * scale[p]
                y[t + 2, o], y[t + 2, p] = a2 * scale[o], b2 * scale[p]
                y[t + 3, o], y[t + 3, p] = a3 * scale[o], b3 * scale[p]
        for t in range(in_fours, T):
            x0 = x[t]
            for o in range(rows, end, 4):
                p, q, r = min(o + 1, last), min(o + 2, last), min(o + 3, last)
                w0, w1, w2, w3 = w[o], w[p], w[q], w[r]
                a0 = a1 = a2 = a3 = np.float32(0)
                for i in range(n_in):
                    u = x0[i]
                    a0 += np.float32(w0[i]) * u
                    a1 += np.float32(w1[i]) * u
                    a2 += np.float32(w2[i]) * u
                    a3 += np.float32(w3[i]) * u
                y[t, o], y[t, p], y[t, q], y[t, r] = a0 * scale[o], a1 * scale[p], a2 * scale[q], a3 * scale[r]
