"""The whole GPT, loop by loop: one forward pass over a cache, compiled to machine code by Numba.

The letters in shapes: T new positions, S positions that they see (cached + T), L layers, H heads, D a head's width,
C = H * D the model's width, F = 4 * C the width of the feed-forward part, V vocabulary, W window, K convolution width.
Read `forward` first; the functions below it are its verbs. All of it is one file: what Numba keeps on disk is
invalidated by a change of this file, not of others.
"""

import math

import numpy as np
from numba import njit

# Sums may be taken in any order, eight terms at a time; infinities and NaN keep their meaning.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}
EPSILON = 1e-5
"""PyTorch's LayerNorm adds this to the variance."""
FAR = -1e30
"""The score of what a query may not see."""

compiled = njit(cache=True, nogil=True, fastmath=FASTMATH)


@compiled
def forward(
    ids, position, n_kept, window,
    embedding, vectors, last_norm,
    qkv, qkv_scale, o_proj, o_proj_scale, up, up_scale, down, down_scale, head, head_scale, rates,
    keys, values, conv_inputs, logits,
):  # fmt: skip  # type: ignore[no-untyped-def]
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
        x[t] = embedding[ids[t]]
    angles = (position + np.arange(T)).reshape(T, 1) * rates  # (T, D/2), in float64: exact at any position
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    h = np.empty((T, C), np.float32)
    heads = np.empty((T, 3 * C), np.float32)  # queries, keys, values; of each, the H heads side by side
    y = np.empty((T, C), np.float32)
    f = np.empty((T, F), np.float32)
    for layer in range(L):
        # Attention: look around.
        norm_and_convolve(x, vectors[layer, 0], conv_inputs[layer, 0], n_kept, h)
        linear(h, qkv[layer], qkv_scale[layer], heads, False)
        rotate(heads, cos, sin)
        for head_ in range(H):
            at = head_ * D
            for t in range(T):
                for i in range(D):
                    keys[layer, head_, i, n_kept + t] = heads[t, C + at + i]
                    values[layer, head_, i, n_kept + t] = heads[t, 2 * C + at + i]
            attend(heads[:, at : at + D], keys[layer, head_], values[layer, head_], n_kept, window, y[:, at : at + D])
        linear(y, o_proj[layer], o_proj_scale[layer], x, True)
        # Feed-forward: think, each position by itself.
        norm_and_convolve(x, vectors[layer, 1], conv_inputs[layer, 1], n_kept, h)
        linear(h, up[layer], up_scale[layer], f, False)
        for t in range(T):
            gelu(f[t])
        linear(f, down[layer], down_scale[layer], x, True)
    for t in range(T - N, T):
        layer_norm(x[t], last_norm[0], last_norm[1], h[t])
    linear(h[T - N :], head, head_scale, logits, False)
    return True


@compiled
def norm_and_convolve(x, vectors, rows, n_kept, h):  # type: ignore[no-untyped-def]
    """h = ShortConvolution(LayerNorm(x)), (T, C): to each channel, add that of the K - 1 positions before, weighted.

    `vectors`, (2 + K - 1, C): gain, bias, taps. The normed rows are written to `rows` of the cache.
    """
    T, K = len(x), len(vectors) - 1
    for t in range(T):
        layer_norm(x[t], vectors[0], vectors[1], h[t])
        if K > 1:
            here = n_kept + K - 1 + t
            rows[here] = h[t]
            for distance in range(1, K):
                multiply_add(vectors[1 + distance], rows[here - distance], h[t])


@compiled
def multiply_add(a, b, y):  # type: ignore[no-untyped-def]
    """y += a * b."""
    for i in range(len(y)):
        y[i] += a[i] * b[i]


@compiled
def layer_norm(x, gain, bias, y):  # type: ignore[no-untyped-def]
    """y = (x - mean) / standard deviation * gain + bias, (C,)."""
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


@compiled
def rotate(heads, cos, sin):  # type: ignore[no-untyped-def]
    """Turn each pair (i, i + D/2) of each query and key by its position's angle. `heads` is (T, 3C)."""
    T, half = cos.shape
    for t in range(T):
        for at in range(0, heads.shape[1] // 3 * 2, 2 * half):
            for i in range(at, at + half):
                a, b = heads[t, i], heads[t, i + half]
                heads[t, i] = a * cos[t, i - at] - b * sin[t, i - at]
                heads[t, i + half] = b * cos[t, i - at] + a * sin[t, i - at]


@compiled
def attend(q, k, v, n_kept, window, y):  # type: ignore[no-untyped-def]
    """y = softmax(q k / sqrt(D)) v over the last W positions, (T, D). k and v are (D, capacity)."""
    T, D = q.shape
    scale = np.float32(1 / math.sqrt(D))
    scores = np.empty(n_kept + T, np.float32)
    for t in range(T):
        end = n_kept + t + 1
        first = max(0, end - window)
        z = scores[first:end]
        z[:] = np.float32(0)
        for i in range(D):
            add_scaled(q[t, i] * scale, k[i, first:end], z)
        total = exponentials(z)
        for i in range(D):
            y[t, i] = dot(z, v[i, first:end]) / total
    return


@compiled
def add_scaled(a, x, y):  # type: ignore[no-untyped-def]
    """y += a * x, a number times a row."""
    for i in range(len(y)):
        y[i] += a * x[i]


@compiled
def dot(a, b):  # type: ignore[no-untyped-def]
    """The sum of a * b."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
def exponentials(z):  # type: ignore[no-untyped-def]
    """z = exp(z - max(z)), in place; returns the sum."""
    highest = np.float32(FAR)
    for i in range(len(z)):
        highest = max(highest, z[i])
    total = np.float32(0)
    for i in range(len(z)):
        z[i] = math.exp(z[i] - highest)
        total += z[i]
    return total


@compiled
def gelu(f):  # type: ignore[no-untyped-def]
    """f = f * Phi(f), in place, where Phi is the normal distribution's (Hendrycks and Gimpel 2016)."""
    for i in range(len(f)):
        f[i] = f[i] * np.float32(0.5) * (np.float32(1) + np.float32(math.erf(f[i] * np.float32(math.sqrt(0.5)))))


@compiled
def linear(x, w, scale, y, add):  # type: ignore[no-untyped-def]
    """y = x w^T * scale, or y += with `add`: x (T, inputs), w (outputs, inputs), scale (outputs,), y (T, outputs)."""
    for t in range(len(x)):
        for o in range(len(w)):
            total = np.float32(0)
            for i in range(w.shape[1]):
                total += np.float32(w[o, i]) * x[t, i]
            if add:
                y[t, o] += total * scale[o]
            else:
                y[t, o] = total * scale[o]
