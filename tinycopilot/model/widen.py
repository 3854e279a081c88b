"""Widening: the same function as a larger network, to see what that size costs without having to train one."""

import dataclasses
import math

import torch
from torch import Tensor

from tinycopilot import UserError
from tinycopilot.model.block import DecoderBlock
from tinycopilot.model.gpt import GPTConfig, TinyGPT


@torch.no_grad()
def widened(model: TinyGPT, n_layers: int, n_heads: int, d_model: int) -> TinyGPT:
    """A network of that shape which says what `model` says (Net2Net, Chen et al. 2016).

    Each channel of the stream stands there several times, and so a LayerNorm finds the mean and the variance that it
    found before; what else is new is zero. Raises UserError where that cannot be.
    """
    old = model.config
    shape = dataclasses.replace(old, n_layers=n_layers, n_heads=n_heads, d_model=d_model)
    if d_model % old.d_model or n_layers < old.n_layers or n_heads < old.n_heads or shape.d_head % old.d_head:
        raise UserError(
            f"a network of {n_layers} layers, {n_heads} heads and {d_model} channels cannot be made of one of "
            f"{old.n_layers}, {old.n_heads} and {old.d_model}; train one of that size and give it with --model_path"
        )
    wide = TinyGPT(shape)
    for parameter in wide.parameters():
        parameter.zero_()
    times = d_model // old.d_model
    wide.embedding.weight.copy_(model.embedding.weight.repeat(1, times))
    for layer, to in enumerate(wide.decoder_blocks()):
        if layer < old.n_layers:
            _widen_block(list(model.decoder_blocks())[layer], to, times, old, shape)
    wide.ln.weight.copy_(model.ln.weight.repeat(times))
    wide.ln.bias.copy_(model.ln.bias.repeat(times))
    wide.head.weight[:, : old.d_model] = model.head.weight
    return wide.requires_grad_(False).eval()


def _widen_block(block: DecoderBlock, to: DecoderBlock, times: int, old: GPTConfig, new: GPTConfig) -> None:
    for norm, wide in ((block.ln1, to.ln1), (block.ln2, to.ln2)):
        wide.weight.copy_(norm.weight.repeat(times))
        wide.bias.copy_(norm.bias.repeat(times))
    for conv, wide_conv in ((block.conv1, to.conv1), (block.conv2, to.conv2)):
        if conv.taps is not None and wide_conv.taps is not None:
            wide_conv.taps.copy_(conv.taps.repeat(1, times))
    channels = _channels_of_heads(old, new)
    qkv = block.attn.qkv.weight.view(3, old.d_model, old.d_model).clone()
    qkv[0] *= math.sqrt(new.d_head / old.d_head)  # attention divides by the square root of the head's width
    for part in range(3):
        to.attn.qkv.weight[part * new.d_model + channels, : old.d_model] = qkv[part]
    to.attn.o_proj.weight[:, channels] = block.attn.o_proj.weight.repeat(times, 1)
    to.ffn.up.weight[: 4 * old.d_model, : old.d_model] = block.ffn.up.weight
    to.ffn.down.weight[:, : 4 * old.d_model] = block.ffn.down.weight.repeat(times, 1)


def _channels_of_heads(old: GPTConfig, new: GPTConfig) -> Tensor:
    """Where each channel of the old heads is in the new ones, (C,): among the pairs that turn as fast as it did."""
    channel = torch.arange(old.d_head // 2) * (new.d_head // old.d_head)
    in_head = torch.cat((channel, channel + new.d_head // 2))
    return (torch.arange(old.n_heads)[:, None] * new.d_head + in_head).flatten()
