"""Sends an exported folder to the Hub of Hugging Face, and lists what would be sent."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError

GIT_HOSTS_REFUSE = 100 * 2**20
"""Bytes of a file from which on GitHub and its like refuse it (100 MiB). The Hub takes 50 GB."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class Going:
    """A file to be sent."""

    name: str
    size: int
    """in bytes"""

    @property
    def is_big(self) -> bool:
        """Whether git hosts would refuse it."""
        return self.size > GIT_HOSTS_REFUSE


def check_repository(name: str) -> None:
    """Raises UserError unless the name is one of a repository."""
    if not REPOSITORY.fullmatch(name):
        raise UserError(f"--repo '{name}': expected USER/NAME of letters, digits and . _ -")


def going(directory: Path) -> list[Going]:
    """The files of a folder, by name."""
    return [Going(path.name, path.stat().st_size) for path in sorted(directory.iterdir())]


def token() -> str:
    """The token of the Hub that this machine holds.

    Raises:
        UserError: it holds none, or the package that would know is not installed.
    """
    found: str | None = _hub().get_token()
    if found is None:
        raise UserError(
            "no token of the Hub: set HF_TOKEN to one that may write (huggingface.co/settings/tokens), or log in with "
            "`hf auth login`; --dry-run needs none"
        )
    return found


def upload(directory: Path, repository: str, token: str, private: bool) -> str:
    """Send the files of a folder as one commit to a repository, made where there is none; its address.

    Raises:
        UserError: the Hub cannot be reached, or refuses.
    """
    hub = _hub()
    try:
        api = hub.HfApi(token=token)
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=directory, commit_message="A model of arithbench")
    except Exception as error:  # the network, the Hub, the token: whatever it is, the user is told in a line
        raise UserError(f"--repo {repository}: {type(error).__name__}: {error}") from None
    return str(address)


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(
            "push needs the package huggingface_hub: pip install -c constraints.txt -e '.[hub]' (--dry-run does not)"
        ) from None
    return huggingface_hub
