"""Exported folders, loaded where this project is not. Run as `python -I elsewhere.py TASKS`.

TASKS is a JSON file, a list of objects: `folder`, `auto` (the class of transformers that loads it), `prompts` (ids of
tokens, padded on the left), `labels` (ids of their answers, padded on the right), `texts`, and `generate` (how many of
the prompts). Prints a JSON list, what each model did: `answers` (ids), `said` (answers to the texts), `said_alone` (to
the first, asked as a string), `ids` (the texts as token ids), `losses` (of the labels, padded in several ways),
`generated` (ids by transformers' own `generate`) and `longest` (how many symbols that writes where it must write 50),
both absent where there is none, `gap` (the error of a label left out inside an answer, where that is read apart from
the prompt), `without_canvas` (the error of the prompts alone as a canvas, where there is no `generate`), `card` (what
the example in the model card printed) and `card_says` (what the card says that it prints), and `refused` (the errors of
two prompts that cannot be asked).
"""

import contextlib
import importlib.abc
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any


class NotHere(importlib.abc.MetaPathFinder):
    """No module of this project is found, even where it is installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] in ("bench", "arithbench"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def refused(model: Any, tokenizer: Any) -> list[str]:
    """What a model says to prompts that it cannot read."""
    said = []
    for text in ("1+1?", "1" * 100 + "+1"):
        try:
            said.append(str(model.answer([text], tokenizer)))
        except ValueError as error:
            said.append(f"ValueError: {error}")
    return said


def losses(model: Any, auto: str, prompts: Any, answers: Any) -> list[float]:
    """What a model calls its loss on answers, or on an empty canvas: the same however labels are padded."""
    import torch

    def rows(pad: int, side: str, width: int, *parts: Any) -> Any:
        """The symbols of each row of the parts, padded anew."""
        found = []
        for row in torch.cat(parts, dim=1).tolist():
            symbols = [symbol for symbol in row if symbol]
            pads = [pad] * (width - len(symbols))
            found.append(pads + symbols if side == "left" else symbols + pads)
        return torch.tensor(found)

    calls = []
    if auto == "AutoModel":
        canvas = torch.full_like(answers, model.spec.mask)
        labels = torch.cat([prompts, answers], dim=1)
        calls.append({"input_ids": torch.cat([prompts, canvas], dim=1), "labels": labels})
    for pad, side, more in (0, "right", 0), (-100, "right", 3), (0, "left", 0), (-100, "left", 3):
        if auto == "AutoModelForSeq2SeqLM":
            calls.append({"input_ids": prompts, "labels": rows(pad, side, answers.shape[1] + more, answers)})
        elif auto == "AutoModelForCausalLM":
            width = prompts.shape[1] + answers.shape[1] + more
            labels = rows(pad, side, width, prompts, answers)
            calls.append({"input_ids": rows(0, side, width, prompts, answers), "labels": labels})
    with torch.no_grad():
        return [float(model(**call).loss) for call in calls]


def done(task: dict[str, Any]) -> dict[str, Any]:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(task["folder"], trust_remote_code=True)
    model = getattr(transformers, task["auto"]).from_pretrained(task["folder"], trust_remote_code=True)
    prompts = torch.tensor(task["prompts"])
    result = {
        "answers": model.answer_ids(prompts).tolist(),
        "said": model.answer(task["texts"], tokenizer),
        "ids": tokenizer(task["texts"], padding="max_length")["input_ids"],
        "said_alone": model.answer(task["texts"][0], tokenizer),
        "refused": refused(model, tokenizer),
        "losses": losses(model, task["auto"], prompts, torch.tensor(task["labels"])),
    }
    if task["auto"] != "AutoModel":
        some = prompts[: task["generate"]]
        generated = model.generate(some, attention_mask=(some != 0).long(), use_cache=True)  # the card asks for neither
        before = 1 if task["auto"] == "AutoModelForSeq2SeqLM" else prompts.shape[1]
        result["generated"] = generated[:, before:].tolist()
        longest = model.generate(some[:4], attention_mask=(some[:4] != 0).long(), min_new_tokens=50, max_new_tokens=50)
        result["longest"] = longest.shape[1] - before
    else:
        try:
            model(input_ids=prompts[:, -1:])
        except ValueError as error:
            result["without_canvas"] = str(error)
    if task["auto"] == "AutoModelForSeq2SeqLM":
        try:
            model(input_ids=prompts[:1], labels=torch.tensor([[5, -100, 5]]))
        except ValueError as error:
            result["gap"] = str(error)
    card = (Path(task["folder"]) / "README.md").read_text(encoding="utf-8")
    code, printed = (re.search(rf"```{kind}\n(.*?)```", card, re.DOTALL)[1] for kind in ("python", "text"))
    out, here = io.StringIO(), Path.cwd()
    os.chdir(task["folder"])
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    os.chdir(here)
    return result | {"card": out.getvalue(), "card_says": printed}


if __name__ == "__main__":
    sys.meta_path.insert(0, NotHere())
    tasks = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    results = [done(task) for task in tasks]
    assert not any(name.split(".")[0] in ("bench", "arithbench") for name in sys.modules)
    print(json.dumps(results))
