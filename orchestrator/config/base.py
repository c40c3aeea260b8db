"""What all models of the file have in common, and the keys that several of them share."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.config import types as t
from orchestrator.config.files import FilePath

CA_FILE = "CA bundle for the service's certificate, instead of the system's."
INSECURE = "Allow `http://` to a host other than this one. Credentials then cross the network readable."


class ConfigModel(BaseModel):
    """A section of the file: takes only the keys that it knows, and never repeats a value in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


def described(meaning: str, *, default: Any = ..., example: Any = None) -> Any:
    """Describe a key: what it means, its default (none: the key is required) and an example for the reference."""
    examples = None if example is None else [example]
    if isinstance(default, type) and issubclass(default, BaseModel):
        return Field(default_factory=default, description=meaning, examples=examples)
    return Field(default=default, description=meaning, examples=examples)


FORMER_NAMES = (
    "Names that it had before. What the tables know under them (order of commits, what was proven, holds, runs under"
    " way) is taken along to the present name at the next start. None of them may be the name of another {it}."
)


class GitKeys(ConfigModel):
    """How a Git repository is reached."""

    username: t.UserName = described(
        "User name that goes with the token. Most forges accept any text.", default="pilotage", example="oauth2"
    )
    token: t.Credential | None = described(
        "Access token or password for `https`. Without it the repository is read anonymously.",
        default=None,
        example="${GIT_TOKEN}",
    )
    ssh_key: FilePath = described(
        "Path of the private key file for `ssh` addresses.", default="", example="/run/secrets/deploy-key"
    )
    known_hosts: FilePath = described(
        "Path of the file with the server's host keys; needed for `ssh`.", default="", example="/etc/ssh/known_hosts"
    )
    ca_file: FilePath = described(CA_FILE, default="")
    insecure: bool = described(INSECURE, default=False)
