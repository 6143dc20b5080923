"""Causal language models that others trained: where their files lie, what they are, and how they are loaded.

A model is a local folder as transformers writes it (config, tokenizer, safetensors), a GGUF file or a folder with one,
or a name on the Hub. Weights are read from safetensors and GGUF alone, since a pickle runs whatever is in it, and no
code that comes with a model is run. Nothing is fetched unless the name is one of the Hub.

transformers takes half a minute to read a GGUF file of 100 MB, each time. So it is converted once, into a folder of
safetensors in the user's cache (`cache_directory`), four bytes a weight.
"""

import hashlib
import importlib.util
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

EXTRA = "pip install -c constraints.txt -e '.[pretrained]'"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
"""As transformers names them: whole, or the list of the parts."""
CONFIG, GENERATION, CARD = "config.json", "generation_config.json", "README.md"
SETUP = (
    *(CONFIG, GENERATION, "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model"),
)
"""What decides what a model answers beside its weights, as transformers names it."""
BASE = "base"
"""In the folder of a cell whose weights are all in it: config and tokenizer of the model that it was trained from."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
CACHE_VARIABLE = "ARITHBENCH_CACHE"
CONVERSION = 2
"""Raised where the same GGUF file is converted otherwise than before."""
REMARK = "remark.txt"
"""In the folder of a converted GGUF file: what is to be known of it, if anything."""
PIECES = {
    0: ("gpt-2", "phi-2", "mpt", "olmo", "jais", "deepseek-llm"),
    1: ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "viking", "qwen2", "tekken"),
    3: ("falcon", "llama-bpe", "llama3", "llama-v3", "falcon3", "dbrx", "smaug-bpe", "gpt-4o", "llama4", "deepseek-v3"),
}
"""Most digits in a token by the pre-tokenizer that a GGUF file names, 0 where there is no limit (llama.cpp, 2026)."""
STATED = ("general.license", *(f"tokenizer.ggml.{key}" for key in ("model", "pre", "add_space_prefix")))
"""Keys of a GGUF file that are read here."""
MOST_SHOWN = 300
"""Characters of another package's message."""


@dataclass(frozen=True)
class Origin:
    """Which model it is, to the byte: one of `sha256` and `revision` is not ''."""

    sha256: str
    """of the file of weights in hex; where those are in parts, of the lines `NAME SHA-256` of all"""
    setup: str
    """of the lines `NAME SHA-256` of config and tokenizer; '' of a GGUF file, which holds them too"""
    revision: str
    """commit on the Hub"""
    licence: str
    """as the model states it, '' where it does not"""
    weights: int
    """how many it has, tied ones once"""
    remark: str
    """what is to be known of its tokenizer, '' where that is nothing"""


@dataclass(frozen=True)
class _Files:
    """What transformers loads: a folder, or a name and its revision."""

    model: str
    """as the user named it"""
    place: str
    revision: str | None
    local: bool
    weights: bool = True
    """whether they are there too"""


def origin(model: str, revision: str = "") -> Origin:
    """What is to be known of a model, from its files.

    Raises:
        ValueError: there is no such model, it is no causal language model, or it cannot be read without running code.
    """
    path = _local(model)
    sha256, setup = ("", "") if path is None else (_sha256(path), _setup(path))
    files = _files(model, revision, sha256, setup)
    config = _config(files)
    with torch.device("meta"), readable(model, f"{config.model_type} cannot be built from its config"):
        weights = sum(p.numel() for p in _undrawn(config).parameters())
    remark = Path(files.place) / REMARK
    return Origin(
        sha256,
        setup,
        "" if files.local else _commit(files),
        _licence(files),
        weights,
        remark.read_text(encoding="utf-8") if files.local and remark.is_file() else "",
    )


def load_tokenizer(model: str, revision: str, sha256: str, setup: str) -> Any:
    """The tokenizer that comes with a model. Raises ValueError as `origin`, and where there is none."""
    from transformers import AutoTokenizer

    files = _files(model, revision, sha256, setup)
    _config(files)
    with readable(model, "its tokenizer cannot be loaded"):
        return AutoTokenizer.from_pretrained(
            files.place, revision=files.revision, local_files_only=files.local, trust_remote_code=False
        )


def load_model(model: str, revision: str, sha256: str, setup: str) -> Any:
    """The model with its weights in torch's default precision; on the meta device, and of a `BASE`, without.

    Raises ValueError as `origin`, and where the files are not those of `sha256`, which '' leaves open, or lack weights.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    files = _files(model, revision, sha256, setup)
    config = _config(files)
    if torch.get_default_device().type == "meta" or not files.weights:
        described = _undrawn(config)
        if not files.weights and (Path(files.place) / GENERATION).is_file():  # it may name more end tokens
            described.generation_config = GenerationConfig.from_pretrained(files.place)
        return described
    with readable(model, "its weights cannot be loaded"):
        read: Any = AutoModelForCausalLM.from_pretrained(
            files.place,
            revision=files.revision,
            local_files_only=files.local,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.get_default_dtype(),
            output_loading_info=True,
        )
        loaded, found = read
        if missing := sorted(found["missing_keys"]):  # transformers would draw them, anew each time
            raise ValueError(f"{len(missing)} of them are not in its files, {missing[0]} for one; save the model whole")
    return loaded


def write_base(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write all that `load_model` and `load_tokenizer` need of a model but its weights."""
    directory.mkdir(exist_ok=True)
    model.config.to_json_file(directory / CONFIG)
    if model.generation_config is not None:
        model.generation_config.to_json_file(directory / GENERATION)
    tokenizer.save_pretrained(directory)


def require_same(place: Path, sha256: str, setup: str) -> None:
    """Raises ValueError unless a model of this `Origin.sha256` and `Origin.setup` ('': any) lies at a place."""
    path = _local(str(place))
    if path is None:
        raise ValueError(f"model {place}: there is no such folder or file")
    if (found := _sha256(path)) != sha256:
        known = f"SHA-256 {sha256[:12]}" if sha256 else "no SHA-256, since it is of the Hub"
        raise ValueError(f"model {place}: is not that of the run: its weights have SHA-256 {found[:12]}, there {known}")
    if setup and (found := _setup(path)) != setup:
        raise ValueError(
            f"model {place}: is not that of the run: its config and tokenizer have SHA-256 {found[:12]}, there "
            f"SHA-256 {setup[:12]}"
        )


def require(*packages: str) -> None:
    """Raises ValueError where one of the packages is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"needs the package {' and '.join(missing)}, not installed here: {EXTRA}")


def cache_directory() -> Path:
    """Where converted GGUF files are kept: $ARITHBENCH_CACHE, or ~/.cache/arithbench."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "arithbench")


def _local(model: str) -> Path | None:
    """A folder of safetensors, or a GGUF file; None for a name of the Hub."""
    path = Path(model).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(f"model {model}: is a file and no GGUF; give the folder that the model lies in")
        return path
    if not path.is_dir():
        if HUB_NAME.fullmatch(model):
            return None
        raise ValueError(f"model {model}: there is no such folder or file (names on the Hub are ORGANISATION/NAME)")
    if (path / "adapter_config.json").exists():
        raise ValueError(f"model {model}: is an adapter for another model; merge the two, and give the folder of that")
    if any((path / name).exists() for name in SAFETENSORS):
        return path
    packed = sorted(path.glob("*.gguf"))
    if len(packed) == 1:
        return packed[0]
    if packed:
        raise ValueError(f"model {model}: holds {', '.join(file.name for file in packed)}; give the path of one")
    pickled = sorted(file.name for pattern in PICKLED for file in path.glob(pattern))
    if pickled:
        raise ValueError(
            f"model {model}: holds its weights as pickle alone ({pickled[0]}), which runs whatever is in it when it is "
            f"read; save the model as safetensors"
        )
    raise ValueError(f"model {model}: holds no weights, neither {SAFETENSORS[0]} nor a GGUF file")


@lru_cache(maxsize=8)
def _files(model: str, revision: str, sha256: str, setup: str) -> _Files:
    require("transformers")
    # Its threads are none of the cell's, and gain nothing on short texts.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()  # of its warnings none is about what is done here
    logging.disable_progress_bar()
    if Path(model).name == BASE and not sha256 and (Path(model) / CONFIG).is_file():
        return _Files(model, model, None, local=True, weights=False)
    path = _local(model)
    if path is None:
        return _Files(model, model, revision or None, local=False)
    found = _sha256(path)
    if sha256 and found != sha256:
        raise ValueError(f"model {model}: was changed; its weights have SHA-256 {found[:12]}, not {sha256[:12]}")
    if setup and (now := _setup(path)) != setup:
        raise ValueError(f"model {model}: was changed; config and tokenizer have SHA-256 {now[:12]}, not {setup[:12]}")
    return _Files(model, str(path if path.is_dir() else _converted(path, found)), None, local=True)


@lru_cache(maxsize=8)
def _config(files: _Files) -> Any:
    """The config of a causal language model. Raises ValueError for one of another kind."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    with readable(files.model, "its config cannot be loaded"):
        config = AutoConfig.from_pretrained(
            files.place, revision=files.revision, local_files_only=files.local, trust_remote_code=False
        )
    stated = getattr(config, "architectures", None) or [str(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type))]
    if config.is_encoder_decoder or not set(stated) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        kind = getattr(config, "architectures", None) or [config.model_type]
        raise ValueError(f"model {files.model}: is a {kind[0]}, no causal language model")
    return config


def _undrawn(config: Any) -> Any:
    """The model that a config describes; on the meta device it has no values, elsewhere those that are drawn."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(config, trust_remote_code=False, dtype=torch.get_default_dtype())


def _converted(gguf: Path, sha256: str) -> Path:
    """The folder of safetensors that a GGUF file was converted to, now if not before."""
    require("gguf", "accelerate")
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM, AutoTokenizer, __version__

    target = cache_directory() / f"{gguf.stem}-{sha256[:16]}-transformers-{__version__}-{CONVERSION}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".converting-"))
    source = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    try:
        bars = redirect_stderr(io.StringIO())  # progress, printed in a way that no setting silences
        with torch.device("cpu"), bars, readable(str(gguf), "it cannot be converted"):
            model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
            del model.hf_quantizer  # its weights are plain numbers now, but it is still said to be quantised
            del model.config.quantization_config
            model.save_pretrained(scratch)
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
        fields = GGUFReader(gguf).fields
        stated = {key.rpartition(".")[2]: field.contents() for key, field in fields.items() if key in STATED}
        if remark := cut_digits_as_stated(tokenizer, stated):
            (scratch / REMARK).write_text(remark, encoding="utf-8")
        tokenizer.save_pretrained(scratch)
        if "license" in stated:
            (scratch / CARD).write_text(f"---\nlicense: {stated['license']}\n---\n", encoding="utf-8")
        with suppress(OSError):  # another process was quicker
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def cut_digits_as_stated(tokenizer: Any, stated: dict[str, Any]) -> str:
    """Make a tokenizer cut numbers as the GGUF file says that it comes from; a remark where that cannot be done.

    transformers builds those of some pre-tokenizers that files name, and takes GPT-2's for all others without a word.

    stated: by the last part of the keys in `STATED`.
    """
    from tokenizers import Regex, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if stated.get("model") == "llama" and stated.get("add_space_prefix", True):
        begun = tokenizer.tokenize("1")[0].startswith("\u2581")
        return "" if begun else "its file puts a space before every text, and its tokenizer here puts none"
    if stated.get("model") != "gpt2":
        return ""
    pre = stated.get("pre", "none")
    most = next((most for most, names in PIECES.items() if pre in names), None)
    if most is None:
        return f"its file names the pre-tokenizer '{pre}', unknown here: it may cut numbers otherwise"
    if most:
        cut = pre_tokenizers.Split(Regex(rf"\p{{N}}{{1,{most}}}"), behavior="isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([cut, backend.pre_tokenizer])
    return ""


def _sha256(path: Path) -> str:
    """See `Origin.sha256`; `path` is a GGUF file or a folder of safetensors."""
    if path.is_file():
        return _sha256_of_file(path)
    whole = path / SAFETENSORS[0]
    if whole.exists():
        return _sha256_of_file(whole)
    lines = [f"{part.name} {_sha256_of_file(part)}\n" for part in sorted(path.glob("*.safetensors"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _setup(path: Path) -> str:
    """See `Origin.setup`; `path` is a GGUF file or a folder of safetensors."""
    files = [path / name for name in SETUP] if path.is_dir() else []
    lines = [f"{file.name} {_sha256_of_file(file)}\n" for file in files if file.is_file()]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _commit(files: _Files) -> str:
    """The commit on the Hub that a revision is, by where its files were put."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    with readable(files.model, "its revision cannot be told"):
        path = cached_file(files.place, "config.json", revision=files.revision)
        return str(extract_commit_hash(path, None) or files.revision or "")


def _licence(files: _Files) -> str:
    """As stated on top of the model's card, in its lines between `---`."""
    card = Path(files.place) / CARD
    if not files.local:
        from transformers.utils.hub import cached_file

        with suppress(OSError):
            card = Path(cached_file(files.place, CARD, revision=files.revision) or card)
    if not card.is_file():
        return ""
    header = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    stated = re.search(r"^license:\s*[\"']?([\w.-]+)", header[1], re.MULTILINE) if header else None
    return stated[1] if stated else ""


@contextmanager
def readable(model: str, what: str) -> Iterator[None]:
    """A context in which another package's errors, of whatever class, become a ValueError of one line."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        raise ValueError(f"model {model}: {what}: {text[:MOST_SHOWN]}") from error
