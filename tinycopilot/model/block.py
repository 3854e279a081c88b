"""FeedForward and DecoderBlock: the layers of the network."""

from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.model.attention import Bias, MultiHeadSelfAttention
from tinycopilot.model.cache import LayerCache
from tinycopilot.model.convolution import ShortConvolution


class FeedForward(nn.Module):
    """Linear to `d_ff`, GELU (Hendrycks and Gimpel 2016), linear back to `d_model`, for each position separately."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return self.down(F.gelu(self.up(x)))


class DecoderBlock(nn.Module):
    """Attention, then feed-forward, each with a residual connection and pre-LayerNorm (Xiong et al. 2020).

    A ShortConvolution follows each LayerNorm; without them (`conv_width` 1) this is the GPT-NeoX block.
    """

    def __init__(self, d_model: int, n_heads: int, d_ff: int, conv_width: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(d_model)
        self.conv1 = ShortConvolution(d_model, conv_width)
        self.attn = MultiHeadSelfAttention(d_model, n_heads)
        self.ln2 = nn.LayerNorm(d_model)
        self.conv2 = ShortConvolution(d_model, conv_width)
        self.ffn = FeedForward(d_model, d_ff)

    def forward(
        self, x: Tensor, phases: tuple[Tensor, Tensor], attn_bias: Bias, cache: LayerCache | None = None
    ) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        before_attn, before_ffn = (None, None) if cache is None else cache.convs
        x = x + self.attn(self.conv1(self.ln1(x), before_attn), phases, attn_bias, cache)
        return x + self.ffn(self.conv2(self.ln2(x), before_ffn))
