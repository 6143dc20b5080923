"""`serve`: the trained models of a run on a web page."""

from bench.cli.parameters import ArchsOfRun, ModelAt, PluginOfRun, RunDirectory, SeedsOfRun


def serve_command(
    run: RunDirectory,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    arch: ArchsOfRun = None,
    seed: SeedsOfRun = None,
    plugin: PluginOfRun = None,
    model_at: ModelAt = None,
    rate: int = 600,
    browser: bool = False,
) -> None:
    """The trained models of a run on a web page, with the run's tables and charts, and behind a JSON API.

    The API is described at /api/openapi.json. Ctrl-C ends it all. Needs the extra `serve`.

    Parameters
    ----------
    host
        Address to listen at. Default: one that this machine alone can reach.
    port
        Port to listen at; 0 takes one that is free.
    rate
        Questions a minute that one address may ask, a tenth of them at once.
    browser
        Open the page in a browser, where there is a screen.
    """
    import sys
    import webbrowser

    from bench.asking.models import trained_models
    from bench.machine import has_screen
    from bench.planning.amounts import parse_chosen_seeds, parse_names
    from bench.plugins import load_plugins
    from bench.serving.server import bound, check_options, make_server, open_site
    from bench.serving.site import LOOPBACK

    check_options(port, rate)
    names = None if arch is None else parse_names(arch, "--arch")
    seeds = "lowest" if seed is None else parse_chosen_seeds(seed)
    load_plugins(plugin)
    with bound(host, port) as place:
        models = trained_models(run, names, seeds, model_at)
        hosts = LOOPBACK | {place.host, host.lower()} if place.loopback else None
        with open_site(models, run, hosts, rate) as site:
            if not place.loopback:
                print(
                    f"bench: warning: --host {host}: whoever reaches this machine can ask the models and read the "
                    "report, which names the run's folder; there is no password, and nothing is encrypted",
                    file=sys.stderr,
                )
            server = make_server(site, place)
            print(f"{place.address}   {len(models)} models of {run}; Ctrl-C ends it", flush=True)
            if browser and has_screen():  # elsewhere a browser of the terminal would take it over
                webbrowser.open(place.address)
            server.run()
