"""Three other programs that decode with the weights of a TinyGPT without convolutions, which is a GPT-NeoX.

Each is built from a TinyGPT and its tokenizer, runs on one thread in float32, and has `continue_ids(ids, n)`: greedy
decoding of n ids after `ids`, never the unknown id, with an initially empty cache. Raises ImportError if the program is
not installed. Windowed attention is full attention as long as all ids fit into the window.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinycopilot.completion.network import ROTARY_BASE
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer


class Transformers:
    """GPTNeoXForCausalLM.generate with its cache, in PyTorch."""

    def __init__(self, model: TinyGPT, _tokenizer: SimpleTokenizer) -> None:
        from transformers import GPTNeoXConfig, GPTNeoXForCausalLM  # type: ignore[import-not-found]  # noqa: PLC0415

        c = model.config
        config = GPTNeoXConfig(
            vocab_size=c.vocab_size, hidden_size=c.d_model, num_hidden_layers=c.n_layers, num_attention_heads=c.n_heads,
            intermediate_size=c.d_ff, hidden_act="gelu", rotary_pct=1.0, max_position_embeddings=c.window,
            layer_norm_eps=1e-5, use_parallel_residual=False, tie_word_embeddings=False, attention_bias=True,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        self._peer = GPTNeoXForCausalLM(config).eval()
        state = {name: torch.zeros_like(value) for name, value in self._peer.state_dict().items()}  # no biases
        head = next(name for name in ("embed_out.weight", "lm_head.weight") if name in state)  # depends on the version
        state |= {"gpt_neox.embed_in.weight": model.embedding.weight, head: model.head.weight}
        state |= {f"gpt_neox.final_layer_norm.{name}": value for name, value in model.ln.state_dict().items()}
        for i, block in enumerate(model.decoder_blocks()):
            layer = f"gpt_neox.layers.{i}."
            qkv = block.attn.qkv.weight.view(3, c.n_heads, c.d_head, c.d_model).transpose(0, 1)  # per head
            state |= {
                layer + "attention.query_key_value.weight": qkv.reshape(3 * c.d_model, c.d_model),
                layer + "attention.dense.weight": block.attn.o_proj.weight,
                layer + "mlp.dense_h_to_4h.weight": block.ffn.up.weight,
                layer + "mlp.dense_4h_to_h.weight": block.ffn.down.weight,
                **{f"{layer}input_layernorm.{name}": value for name, value in block.ln1.state_dict().items()},
                **{f"{layer}post_attention_layernorm.{name}": value for name, value in block.ln2.state_dict().items()},
            }
        self._peer.load_state_dict(state)
        self._unknown_id = c.vocab_size - 1

    def continue_ids(self, ids: Sequence[int], n: int) -> list[int]:
        """Decode greedily."""
        prompt = torch.tensor([ids])
        continued = self._peer.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=n, min_new_tokens=n, do_sample=False,
            suppress_tokens=[self._unknown_id], pad_token_id=0,
        )  # fmt: skip
        return list(map(int, continued[0, len(ids) :]))


class LlamaCpp:
    """llama.cpp's server loop, in this process (xllamacpp's wheel), with keys and values in float32.

    Its GELU is the tanh approximation from a float16 table, so texts can differ where two ids are almost equally
    probable.
    """

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
        import xllamacpp  # type: ignore[import-not-found]  # noqa: PLC0415

        self._tokenizer = tokenizer
        self._folder = tempfile.TemporaryDirectory(prefix="tinycopilot-gguf-")
        params = xllamacpp.CommonParams()
        params.model.path = str(Path(self._folder.name, "model.gguf"))
        _write_gguf(params.model.path, model, tokenizer)
        params.n_ctx = params.n_batch = params.n_ubatch = model.config.window
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.cache_ram_mib = params.n_ctx_checkpoints = 0  # nothing is kept between requests
        params.verbosity = -1
        self._server = xllamacpp.Server(params)

    def continue_ids(self, ids: Sequence[int], n: int) -> list[int]:
        """Decode greedily."""
        answer = self._server.handle_completions({
            "prompt": list(ids), "n_predict": n, "samplers": ["top_k"], "top_k": 1, "temperature": 0,
            "cache_prompt": False, "ignore_eos": True, "logit_bias": [[self._tokenizer.unknown_id, False]],
        })  # fmt: skip
        return self._tokenizer.encode(answer["choices"][0]["text"])


def _write_gguf(path: str, model: TinyGPT, tokenizer: SimpleTokenizer) -> None:
    import gguf  # type: ignore[import-not-found]  # noqa: PLC0415

    c, writer = model.config, gguf.GGUFWriter(path, "gptneox")
    writer.add_context_length(c.window)
    writer.add_embedding_length(c.d_model)
    writer.add_block_count(c.n_layers)
    writer.add_feed_forward_length(c.d_ff)
    writer.add_head_count(c.n_heads)
    writer.add_rope_dimension_count(c.d_head)
    writer.add_rope_freq_base(ROTARY_BASE)
    writer.add_parallel_residual(False)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    spelled = _byte_letters()
    writer.add_token_list(["".join(spelled[b] for b in char.encode()) for char in tokenizer.alphabet] + ["<unknown>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * (c.vocab_size - 1) + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["a b"])  # at least one is required; no text is tokenized
    writer.add_bos_token_id(tokenizer.unknown_id)
    writer.add_eos_token_id(tokenizer.unknown_id)
    names = {"embedding": "token_embd", "ln": "output_norm", "head": "output"}
    for i in range(c.n_layers):
        ours = ("ln1", "attn.qkv", "attn.o_proj", "ln2", "ffn.up", "ffn.down")
        theirs = ("attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down")
        names |= {f"blocks.{i}.{one}": f"blk.{i}.{other}" for one, other in zip(ours, theirs, strict=True)}
    for name, weight in model.state_dict().items():
        stem, _, kind = name.rpartition(".")
        writer.add_tensor(f"{names[stem]}.{kind}", weight.numpy())
        if ".attn." in name or ".ffn." in name:
            writer.add_tensor(f"{names[stem]}.bias", np.zeros(len(weight), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: the byte itself if printable, else the next one from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b if b in printable else next(others)) for b in range(256)]


class OnnxRuntime:
    """ONNX Runtime, all optimizations on, with the fused attention of its generative models (GroupQueryAttention).

    Keys and values stay in one buffer, shared by the input and output of a run.
    """

    def __init__(self, model: TinyGPT, _tokenizer: SimpleTokenizer) -> None:
        import onnxruntime  # type: ignore[import-not-found]  # noqa: PLC0415

        self._config, self._ort = model.config, onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(_onnx_of(model), options, ["CPUExecutionProvider"])

    def continue_ids(self, ids: Sequence[int], n: int) -> list[int]:
        """Decode greedily."""
        c, said, new = self._config, list[int](), np.array([ids], np.int64)
        binding, value = self._session.io_binding(), self._ort.OrtValue.ortvalue_from_numpy
        for i in range(c.n_layers):
            for kind in "kv":
                kept = value(np.zeros((1, c.n_heads, c.window, c.d_head), np.float32))
                binding.bind_ortvalue_input(f"past_{kind}{i}", kept)
                binding.bind_ortvalue_output(f"present_{kind}{i}", kept)
        length = 0
        for _ in range(n):
            length += new.shape[1]
            binding.bind_cpu_input("ids", new)
            binding.bind_cpu_input("last", np.array([length - 1], np.int32))
            binding.bind_cpu_input("length", np.array(length, np.int32))
            binding.bind_output("logits")
            self._session.run_with_iobinding(binding)
            logits = binding.get_outputs()[-1].numpy()
            said.append(int(logits[0, -1, :-1].argmax()))
            new = np.array([said[-1:]], np.int64)
        return said


def _onnx_of(model: TinyGPT) -> bytes:
    from onnx import TensorProto, helper, numpy_helper  # type: ignore[import-not-found]  # noqa: PLC0415

    c, nodes = model.config, list[Any]()
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    angles = np.arange(c.window)[:, None] * ROTARY_BASE ** (-np.arange(0, c.d_head, 2) / c.d_head)
    constants = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def norm(x: str, name: str) -> str:
        constants.update({f"{name}.{kind}": weights[f"{name}.{kind}"] for kind in ("weight", "bias")})
        return node("LayerNormalization", [x, f"{name}.weight", f"{name}.bias"], f"{name}.out", epsilon=1e-5)

    def linear(x: str, name: str) -> str:
        constants[name] = np.ascontiguousarray(weights[f"{name}.weight"].T)
        return node("MatMul", [x, name], f"{name}.out")

    constants["embedding"], constants["minus_one"] = weights["embedding.weight"], np.array([-1], np.int64)
    x, caches = node("Gather", ["embedding", "ids"], "x"), list[str]()
    for i in range(c.n_layers):
        block = f"blocks.{i}."
        qkv, y = linear(norm(x, f"{block}ln1"), f"{block}attn.qkv"), f"{block}y"
        inputs = [qkv, "", "", f"past_k{i}", f"past_v{i}", "last", "length", "cos", "sin"]
        outputs = [y, f"present_k{i}", f"present_v{i}"]
        nodes.append(helper.make_node(
            "GroupQueryAttention", inputs, outputs, domain="com.microsoft", num_heads=c.n_heads,
            kv_num_heads=c.n_heads, do_rotary=1, rotary_interleaved=0,
        ))  # fmt: skip
        caches += [f"k{i}", f"v{i}"]
        x = node("Add", [x, linear(y, f"{block}attn.o_proj")], f"{block}x1")
        f = node("Gelu", [linear(norm(x, f"{block}ln2"), f"{block}ffn.up")], f"{block}f")
        x = node("Add", [x, linear(f, f"{block}ffn.down")], f"{block}x2")
    x = node("Gather", [x, "minus_one"], "x_last", axis=1)
    node("MatMul", [norm(x, "ln"), "head"], "logits")
    constants["head"] = np.ascontiguousarray(weights["head.weight"].T)
    kept = (1, c.n_heads, c.window, c.d_head)
    graph = helper.make_graph(
        nodes, "tinygpt",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, (1, "T")),
            helper.make_tensor_value_info("last", TensorProto.INT32, (1,)),
            helper.make_tensor_value_info("length", TensorProto.INT32, ()),
            *(helper.make_tensor_value_info(f"past_{name}", TensorProto.FLOAT, kept) for name in caches),
        ],
        [
            *(helper.make_tensor_value_info(f"present_{name}", TensorProto.FLOAT, kept) for name in caches),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 1, c.vocab_size)),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return made


Peer = Transformers | LlamaCpp | OnnxRuntime
PEERS: dict[str, type[Peer]] = {"transformers": Transformers, "llama.cpp": LlamaCpp, "ONNX Runtime": OnnxRuntime}
PACKAGES = ("transformers", "xllamacpp", "gguf", "onnxruntime", "onnx")
"""Packages to install with pip; not dependencies of this project."""
