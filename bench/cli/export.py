"""`export`: a trained model as a folder that transformers loads."""

from pathlib import Path

from bench.cli.parameters import ArchOfRun, ModelAt, PluginOfRun, RunDirectory, SeedOfRun


def export_command(
    run: RunDirectory,
    /,
    *,
    arch: ArchOfRun,
    to: Path,
    seed: SeedOfRun = None,
    plugin: PluginOfRun = None,
    model_at: ModelAt = None,
) -> None:
    """Write a trained model as a Hugging Face folder: weights, config, tokenizer, sources, model card.

    Where torch and transformers are installed, and nothing of arithbench, `AutoModelForCausalLM`,
    `AutoModelForSeq2SeqLM` or `AutoModel` loads it, but for `pretrained` with `trust_remote_code=True`; the model card
    (README.md) in it says which, and how.

    Parameters
    ----------
    to
        Folder to be made; nothing is overwritten.
    """
    from bench.cli.output import console
    from bench.plugins import load_plugins
    from bench.sharing.exporting import auto_class, brings_its_own_classes, chosen_model, export, refuse_used

    refuse_used(to)
    load_plugins(plugin)
    trained, read = chosen_model(run, arch, seed, model_at)
    export(trained, read, to)
    cls = type(trained.model)
    trusted = "" if brings_its_own_classes(cls) else ", trust_remote_code=True"
    console().print(
        f"{to}: {trained.architecture} seed {trained.seed} of {run}\n"
        f'{auto_class(cls)}.from_pretrained("{to}"{trusted}) loads it; README.md there shows how to ask it',
        soft_wrap=True,
    )
