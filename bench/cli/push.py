"""`push`: a trained model, exported and uploaded."""

from pathlib import Path

from bench.cli.parameters import ArchOfRun, ModelAt, PluginOfRun, RunDirectory, SeedOfRun


def push_command(
    run: RunDirectory,
    /,
    *,
    arch: ArchOfRun,
    repo: str,
    seed: SeedOfRun = None,
    plugin: PluginOfRun = None,
    model_at: ModelAt = None,
    private: bool = False,
    dry_run: bool = False,
) -> None:
    """Upload a trained model to the Hub of Hugging Face, as the folder that `export` makes.

    Parameters
    ----------
    repo
        Repository of the Hub, USER/NAME; made where there is none. What it holds stays: files of the same name in
        its history, others beside the new ones.
    private
        A repository that is made is private.
    dry_run
        Show what would go, and send nothing.
    """
    import tempfile

    from bench.cli.output import console
    from bench.plugins import load_plugins
    from bench.sharing.exporting import chosen_model, write_files
    from bench.sharing.uploading import check_repository, going, token, upload

    check_repository(repo)
    key = None if dry_run else token()
    load_plugins(plugin)
    trained, read = chosen_model(run, arch, seed, model_at)
    screen = console()

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="arithbench-") as folder:
        write_files(trained, read, Path(folder), repo)
        files = going(Path(folder))
        say(f"{trained.architecture} seed {trained.seed} of {run}: {len(files)} files for {repo}")
        for file in files:
            say(f"{file.size:>15,} bytes  {file.name}")
        say(f"{sum(file.size for file in files):>15,} bytes in all")
        if big := [file.name for file in files if file.is_big]:
            say(f"over 100 MB, which git hosts refuse and the Hub takes: {', '.join(big)}")
        say("README.md among them shows the command of the run, the names of its folders too")
        if key is None:
            say("nothing was sent (--dry-run)")
        else:
            say(f"sent to {upload(Path(folder), repo, key, private)}")
