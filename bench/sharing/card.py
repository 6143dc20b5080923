"""The model card of an exported model: README.md, with the figures of its run."""

import re
from dataclasses import replace

import numpy as np

from bench.architectures.pretrained import Pretrained
from bench.asking.models import TrainedModel
from bench.datasets.writing.tokenizers import PAD
from bench.plugins import plugin_hash
from bench.results.records.record import WEIGHTS
from bench.results.records.run import RunFolder
from bench.results.report.markdown import blocks_of
from bench.results.report.table import Table
from bench.results.report.tables.slices import of_one_model
from bench.results.statistics.pretrained import about_pretrained, is_pretrained
from bench.results.statistics.scores import Scores

SPECIAL_TOKEN = re.compile("<[a-z]+>")
EXAMPLES = 3
"""Problems that the card asks the model."""


def model_card(trained: TrainedModel, run: RunFolder, auto_class: str, name: str = "") -> str:
    """The card of a model that `auto_class` of transformers loads.

    `name`: by which its example loads the model, a repository of the Hub; by default the folder that the card lies in.
    """
    record, suite = trained.record, trained.suite
    tags = ["library_name: transformers", "tags: [arithbench, arithmetic]"]
    if auto_class == "AutoModelForCausalLM":
        tags.append("pipeline_tag: text-generation")
    prompts, answers, raw = _asked(trained)
    place = f'name = "{name}"' if name else 'name = "."  # the folder of this file'
    if isinstance(trained.model, Pretrained):
        if licence := record.config["licence"]:
            tags.append(f"license: {licence}")
        about = _about_pretrained(trained)
        usage = _usage_of_pretrained(trained.model, place, prompts, answers)
    else:
        about = _about(trained, prompts, raw)
        usage = _usage(trained, auto_class, place, prompts, answers, raw)
    blocks = [
        "\n".join(["---", *tags, "---"]),
        f"# {trained.architecture} on arithmetic: suite {suite.name}, seed {trained.seed}",
        *about,
        "## How to use it",
        *usage,
        *blocks_of([], [_accuracy(trained, run)]),
        "## How it was trained",
        *_training(trained, run),
    ]
    return "\n\n".join(blocks) + "\n"


def _about(trained: TrainedModel, prompts: list[str], raw: list[str]) -> list[str]:
    record, suite, cls = trained.record, trained.suite, type(trained.model)
    blocks = [
        f"A model of {record.parameters:,} parameters ({cls.family}; {cls.paper}), trained from nothing on arithmetic "
        f"by arithbench {record.versions['arithbench']}. Suite {suite.name}, version {suite.version}: {suite.summary}. "
        "It knows these problems and no others, and what it answers is often wrong: the figures are below."
    ]
    if trained.model.spec.reversed:
        blocks.append(
            f"**The model writes answers in reverse**, the least significant digit first and the sign last: to "
            f"`{prompts[0]}` it writes `{raw[0]}`. `answer` turns them round, `generate` does not."
        )
    return blocks


def _about_pretrained(trained: TrainedModel) -> list[str]:
    """Of a model that others trained first."""
    record, suite = trained.record, trained.suite
    reverses = trained.model.spec.reversed and record.config["order"] == "suite"
    return [
        *about_pretrained([record]),
        f"Asked by arithbench {record.versions['arithbench']}, on suite {suite.name}, version {suite.version}: "
        f"{suite.summary}. What it answers may be wrong: the figures are below.",
        *(["**The model writes answers in reverse**, the last digit first."] if reverses else []),
    ]


def _usage_of_pretrained(model: Pretrained, place: str, prompts: list[str], answers: list[str]) -> list[str]:
    """transformers itself has the code of such a model."""
    code = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        place,
        "tokenizer = AutoTokenizer.from_pretrained(name)",
        "model = AutoModelForCausalLM.from_pretrained(name)",
        f"for text in {prompts!r}:",
        '    prompt = tokenizer(text, return_tensors="pt")',
        f"    written = model.generate(**prompt, max_new_tokens={model.most_tokens()}, do_sample=False)",
        '    print(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    return [
        "\n".join(["```python", *code, "```"]),
        f"arithbench, which reads an answer up to the first symbol that no answer holds, reads {answers!r}.",
    ]


def _asked(trained: TrainedModel) -> tuple[list[str], list[str], list[str]]:
    """Prompts of some test problems, the model's answers as a person reads them, and as it wrote them."""
    encoding = trained.suite.encoding
    problems = trained.suite.evaluation_set("test").problems
    problems = problems.rows((np.arange(EXAMPLES) * 2 + 1) * len(problems) // (2 * EXAMPLES))
    prompts = [encoding.tokenizer.decode(row[row != PAD]) for row in encoding.encode(problems).prompt]
    raw = [encoding.tokenizer.decode(ids) for ids in trained.answer(problems).ids]
    return prompts, [encoding.form.as_read("".join(encoding.form.answer_symbols(text))) for text in raw], raw


def _usage(
    trained: TrainedModel, auto_class: str, place: str, prompts: list[str], answers: list[str], raw: list[str]
) -> list[str]:
    code = [
        f"from transformers import {auto_class}, AutoTokenizer",
        "",
        place,
        "tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=True)",
        f"model = {auto_class}.from_pretrained(name, trust_remote_code=True)",
        f"print(model.answer({prompts!r}, tokenizer))",
    ]
    shown = [repr(answers)]
    if auto_class != "AutoModel":
        code += [
            f'prompt = tokenizer({prompts[:1]!r}, return_tensors="pt")',
            'print(tokenizer.batch_decode(model.generate(prompt["input_ids"]), skip_special_tokens=True))',
        ]
        written = SPECIAL_TOKEN.sub("", raw[0])
        shown.append(repr([written if auto_class == "AutoModelForSeq2SeqLM" else prompts[0] + written]))
    spec = trained.model.spec
    return [
        "It needs torch and transformers (tested with 5.23, tried with 4.57), and nothing else. "
        "`trust_remote_code=True` runs the Python files beside this one, which are arithbench's own (`LICENSE`); read "
        "them first.",
        "\n".join(["```python", *code, "```"]),
        "prints",
        "\n".join(["```text", *shown, "```"]),
        f"A prompt is written as these are, up to {spec.prompt_width} tokens with the `=`: symbols it does not know "
        "and longer prompts are refused, but not problems that its suite has none of. "
        "On token ids, `model.answer_ids(input_ids)` does the same. Prompts are padded on the left, as the tokenizer "
        "does; an attention mask is not needed.",
    ]


def _accuracy(trained: TrainedModel, run: RunFolder) -> Table:
    """Exact match of this model, and of all finished seeds of its architecture."""
    own = Scores(_part_of(run, trained.architecture, (trained.seed,)))
    every = Scores(_part_of(run, trained.architecture, tuple(run.plan.seeds)))
    return of_one_model(own, every, is_pretrained(trained.record))


def _part_of(run: RunFolder, architecture: str, seeds: tuple[int, ...]) -> RunFolder:
    """What a run has of one architecture and these seeds."""
    records = [record for record in run.records if record.architecture == architecture and record.seed in seeds]
    entries = {architecture: run.plan.entries[architecture]}
    only = {"architectures": [architecture], "entries": entries, "seeds": [record.seed for record in records]}
    return replace(run, plan=run.plan.model_copy(update=only), records=records, missing=[], broken={})


def _training(trained: TrainedModel, run: RunFolder) -> list[str]:
    record = trained.record
    assert record.examples is not None
    assert record.train_seconds is not None
    shared = "" if record.exclusive else " (the machine was shared meanwhile)"
    of_plugin = plugin_hash(type(trained.model)) is not None
    facts = {
        "Budget": f"{record.budget}: {record.examples:,} examples in {record.train_seconds:,.1f} s{shared}",
        "Machine": f"{record.device}, {record.threads} threads, {record.machine.get('processor', 'unknown')}",
        "Settings": ", ".join(f"{key} {value}" for key, value in (record.config | record.training).items()),
        **({"Plug-in (SHA-256 of its source)": record.plugin_hash or "not recorded"} if of_plugin else {}),
        "Training problems (data_hash)": f"`{record.data_hash}`",
        "Test problems (test_hash)": f"`{record.test_hash}`",
        "Weights before the export (SHA-256)": f"`{record.files[WEIGHTS]}`",
        "Versions": ", ".join(f"{package} {version}" for package, version in record.versions.items()),
    }
    return [
        "\n".join(["```sh", run.plan.command, "```"]),
        "\n".join(f"- {title}: {fact}" for title, fact in facts.items()),
    ]
