"""A trained model as a folder of Hugging Face: weights, config, tokenizer, sources, model card.

The folder holds the architecture's own sources, so that whoever loads it needs torch and transformers, and neither this
project nor a second implementation that might differ. Writing it needs neither transformers nor tokenizers.
"""

import ast
import importlib
import importlib.metadata
import inspect
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bench import __version__, architectures
from bench.architectures import Architecture, Autoregressive, MaskedInfilling
from bench.architectures.base import Kind
from bench.architectures.pretrained import Pretrained
from bench.asking.models import TrainedModel, trained_models
from bench.datasets.writing.forms import TEXTS
from bench.datasets.writing.tokenizers import DIGITS, SPECIAL, BytePair
from bench.datasets.writing.workings import WORKINGS_END
from bench.errors import UserError
from bench.results.files import write_text
from bench.results.records.record import WEIGHTS
from bench.results.records.run import RunFolder, open_run
from bench.sharing.card import model_card

MODELING = "modeling_arithbench"
"""The module that transformers imports, and its file in `bench/sharing/exported`."""
NAMES_THE_ARCHITECTURE = "from bench.architectures.transformer import Transformer as Model\n"
"""Its line that differs from folder to folder."""
SEQUENCE = ("vocabulary", "prompt_width", "answer_width", "pad", "bos", "eos", "mask", "digits", "reversed")
"""The fields of a `SequenceSpec` that a folder keeps."""
OURS = architectures.__name__
"""The package whose modules a folder holds copies of."""
GIVEN = frozenset({"torch", "numpy", "transformers"})
"""Packages that an exported source may import beside the standard library."""


def chosen_model(
    directory: Path, name: str, seed: int | None, model_at: Path | None = None
) -> tuple[TrainedModel, RunFolder]:
    """The trained model of an architecture, of a seed or of the lowest finished one, and the run it is of.

    `model_at`: as in `trained_models`.

    Raises:
        UserError: there is no such model, or a file of the run is not what it was.
    """
    [trained] = trained_models(directory, (name,), "lowest" if seed is None else (seed,), model_at)
    return trained, open_run(directory)


def brings_its_own_classes(cls: type[Architecture]) -> bool:
    """Whether transformers itself has the code of such a model: the folder then holds none."""
    return issubclass(cls, Pretrained)


def auto_class(cls: type[Architecture]) -> str:
    """The class of transformers that loads such a model. Raises UserError where no folder can hold its kind."""
    if not issubclass(cls, Autoregressive | MaskedInfilling | Pretrained):
        raise UserError(f"--arch {cls.name}: cannot be exported, being neither Autoregressive nor MaskedInfilling")
    return CLASSES[cls.kind][0]


CLASSES: dict[Kind, tuple[str, str]] = {
    "masked": ("AutoModel", "ArithbenchForInfilling"),
    "encoder-decoder": ("AutoModelForSeq2SeqLM", "ArithbenchForSeq2SeqLM"),
    "decoder": ("AutoModelForCausalLM", "ArithbenchForCausalLM"),
}
"""Kind -> the class of transformers that loads such a model, and the class in the folder that it makes of it."""


def export(trained: TrainedModel, run: RunFolder, directory: Path, name: str = "") -> None:
    """Write the folder: made in a hidden one beside it, then renamed, so that it is there as a whole or not at all.

    `name`: by which the model card loads it, a repository of the Hub; by default the folder itself.

    Raises:
        UserError: something lies there already, or the architecture's sources need more than a folder can hold.
    """
    refuse_used(directory)
    directory = directory.absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=directory.parent) as hidden:
        made = Path(hidden) / directory.name
        made.mkdir()
        write_files(trained, run, made, name)
        for weights in made.glob("*.safetensors"):  # which safetensors lets nobody but their owner read
            shutil.copymode(made / "README.md", weights)
        if directory.is_dir():
            directory.rmdir()  # empty, and Windows renames onto nothing
        made.rename(directory)


def refuse_used(directory: Path) -> None:
    """Raises UserError unless the folder is to be made, or empty."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise UserError(f"--to {directory}: is a file; name a folder to be made")
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"--to {directory}: is not empty, and nothing is overwritten; name another folder")


def write_files(trained: TrainedModel, run: RunFolder, directory: Path, name: str = "") -> None:
    """Write the files of the folder into one that is empty."""
    model, auto = trained.model, auto_class(type(trained.model))
    if isinstance(model, Pretrained):
        card = model_card(trained, run, auto, name)  # asks the model, which `save` changes
        model.save(directory)
        write_text(directory / "README.md", card)
        return
    for module, source in sources(type(model)).items():
        write_text(directory / f"{module}.py", source)
    write_text(directory / "LICENSE", _licence())
    for file, content in {
        "config.json": _config(trained),
        "generation_config.json": _generation(trained),
        "tokenizer.json": _tokenizer(trained),
        "tokenizer_config.json": _tokenizer_config(trained),
    }.items():
        write_text(directory / file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    named = {f"architecture.{key}": tensor.detach().contiguous() for key, tensor in tensors.items()}
    save_file(named, directory / WEIGHTS, metadata={"format": "pt"})
    write_text(directory / "README.md", model_card(trained, run, auto, name))


def _config(trained: TrainedModel) -> dict[str, Any]:
    model, encoding = trained.model, trained.suite.encoding
    auto, own = CLASSES[type(model).kind]
    return {
        "architectures": [own],
        "auto_map": {"AutoConfig": f"{MODELING}.ArithbenchConfig", auto: f"{MODELING}.{own}"},
        "model_type": "arithbench",
        "arithbench_version": __version__,
        "architecture": trained.architecture,
        "settings": trained.record.config,
        "sequence": {field: getattr(model.spec, field) for field in SEQUENCE},
        "prompt_end": " =" if encoding.form.notation == "latex" else "=",
        "prompt_end_token_id": encoding.tokenizer.vocabulary.index("="),
        "workings_end": "" if encoding.form.workings == "none" else WORKINGS_END,
        "precision": trained.record.precision,
        "vocab_size": model.spec.vocabulary,
        "is_encoder_decoder": auto == "AutoModelForSeq2SeqLM",
        "dtype": "float32",
        **_special_ids(trained),
    }


def _special_ids(trained: TrainedModel) -> dict[str, int]:
    spec = trained.model.spec
    return {
        "pad_token_id": spec.pad,
        "bos_token_id": spec.bos,
        "eos_token_id": spec.eos,
        "decoder_start_token_id": spec.bos,
    }


def _generation(trained: TrainedModel) -> dict[str, Any]:
    """Greedy, to the widest answer; there is no cache, since each architecture keeps a state of its own kind."""
    width = trained.model.spec.answer_width
    return _special_ids(trained) | {"max_new_tokens": width, "do_sample": False, "use_cache": False}


def _tokenizer(trained: TrainedModel) -> dict[str, Any]:
    """A file of the package `tokenizers`. Where nothing was learnt, texts are cut into words, digits from the left."""
    tokenizer = trained.suite.encoding.tokenizer
    vocabulary = tokenizer.vocabulary
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    special = [{"id": number, "content": token, **flags} for number, token in enumerate(SPECIAL)]
    if isinstance(tokenizer, BytePair):  # in its file commands of LaTeX stand as the characters of their codes
        commands = {chr(code): text for code, text in enumerate(TEXTS) if text != chr(code)}
        spelt = [_replace(text, code) for code, text in commands.items()]
        read = [_replace(code, text) for code, text in commands.items()]
        learnt: dict[str, Any] = json.loads(tokenizer.file)
        return learnt | {
            "added_tokens": special,
            "normalizer": {"type": "Sequence", "normalizers": spelt},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, *read]},
        }
    words = vocabulary[len(SPECIAL) :]
    longest = max(len(word) for word in words if set(word) <= set(DIGITS))
    others = sorted((word for word in words if not set(word) <= set(DIGITS)), key=len, reverse=True)
    pattern = "|".join([f"[0-9]{{1,{longest}}}", *map(re.escape, others)])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        # No token stands for unknown symbols: a text that has one is refused.
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(vocabulary)}, "unk_token": ""},
    }


def _replace(text: str, by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": text}, "content": by}


def _tokenizer_config(trained: TrainedModel) -> dict[str, Any]:
    pad, bos, eos, mask = SPECIAL
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "bos_token": bos,
        "eos_token": eos,
        "mask_token": mask,
        "padding_side": "left",
        "model_max_length": trained.model.spec.prompt_width,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }


# --- sources ----------------------------------------------------------------------------------------------------------


def sources(cls: type[Architecture]) -> dict[str, str]:
    """Module name -> source of all that a model of this architecture needs, side by side in one folder.

    Raises:
        UserError: a source imports what is neither in the standard library nor torch, numpy or `bench.architectures`.
    """
    modeling = (Path(__file__).parent / "exported" / f"{MODELING}.py").read_text(encoding="utf-8")
    own = f"from {cls.__module__} import {cls.__name__} as Model\n"
    assert modeling.count(NAMES_THE_ARCHITECTURE) == 1
    found: dict[str, str] = {}
    modules: dict[str, str] = {}
    waiting = [("", modeling.replace(NAMES_THE_ARCHITECTURE, own))]
    while waiting:
        module, source = waiting.pop()
        leaf = module.rpartition(".")[2] or MODELING
        if leaf in found:
            continue
        moved, needed = _moved(module, source, plugin=cls.__module__)
        found[leaf] = moved
        for other in sorted(needed):
            taken = modules.setdefault(other.rpartition(".")[2], other)
            if taken != other:
                raise UserError(f"{cls.name}: {taken} and {other} cannot lie side by side in one folder; rename one")
            waiting.append((other, _source_of(other)))
    further = [leaf for leaf in sorted(found) if leaf != MODELING and f"from .{leaf} import" not in found[MODELING]]
    if further:
        found[MODELING] += (
            "\n# Of a local folder, transformers 4 copies what this file imports, and not what those import.\n"
        )
        found[MODELING] += "".join(f"from .{leaf} import __name__ as _{leaf}\n" for leaf in further)
    return dict(sorted(found.items()))


def _source_of(module: str) -> str:
    imported = importlib.import_module(module)
    try:
        return inspect.getsource(imported)
    except OSError:
        raise UserError(f"{module}: its source cannot be read, and an exported folder holds the sources") from None


def _moved(module: str, source: str, plugin: str) -> tuple[str, set[str]]:
    """A source with its imports of `bench.architectures` and of the plug-in turned into ones of the same folder, and
    the modules that it imports so. Everything else is as it was, to the last letter.
    """
    lines = io.StringIO(source).readlines()  # as Python counts them: `splitlines` also ends lines at a form feed
    needed = set[str]()
    for node, names in sorted(_imports(source), key=lambda found: found[0].lineno, reverse=True):
        if all(_is_given(name) for name in names):
            continue
        where = f"{module or MODELING}, line {node.lineno}"
        if not isinstance(node, ast.ImportFrom) or not all(_is_ours(name, plugin) for name in names):
            raise UserError(
                f"{where}: imports {', '.join(names)}; in an exported folder there is "
                f"only torch, numpy, the standard library and what is imported from {OURS} by `from ... import`"
            )
        assert node.end_lineno is not None
        last = lines[node.end_lineno - 1].encode()[node.end_col_offset :].split(b"#")[0]
        if lines[node.lineno - 1].encode()[: node.col_offset].strip() or last.strip():
            raise UserError(f"{where}: an import from {OURS} shares its line with other code; give it one of its own")
        by_module: dict[str, list[str]] = {}
        for alias in node.names:
            home = names[0] if names[0] != OURS else _home(alias.name, where)
            needed.add(home)
            by_module.setdefault(home, []).append(alias.name + (f" as {alias.asname}" if alias.asname else ""))
        written = [f"from .{home.rpartition('.')[2]} import {', '.join(some)}\n" for home, some in by_module.items()]
        lines[node.lineno - 1 : node.end_lineno] = [" " * node.col_offset + line for line in written]
    return "".join(lines), needed


def _imports(source: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, list[str]]]:
    """The import statements of a source, and the modules that each names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield node, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            yield node, ["." * node.level + (node.module or "")]


def _is_given(module: str) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in GIVEN


def _is_ours(module: str, plugin: str) -> bool:
    return module in (OURS, plugin) or module.startswith(f"{OURS}.")


def _home(name: str, where: str) -> str:
    """The module of `bench.architectures` that defines one of its public names. Raises UserError where none does."""
    home: str | None = getattr(getattr(architectures, name, None), "__module__", None)
    if home is None:
        raise UserError(f"{where}: {OURS} defines no '{name}'; import it from the module that does")
    return home


def _licence() -> str:
    """The text of the project's licence, which goes along with its sources."""
    beside = Path(__file__).parents[2] / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    files = importlib.metadata.files("arithbench") or []
    return next(path for path in files if path.name == "LICENSE").read_text(encoding="utf-8")
