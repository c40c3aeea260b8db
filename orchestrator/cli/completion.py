"""``pilotage completion``: what a shell needs to complete our commands."""

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.output import say


class ShellName(StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {
    ShellName.BASH: """\
_pilotage_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _PILOTAGE_COMPLETE=complete_bash "$1"))
    return 0
}
complete -o default -F _pilotage_completion pilotage""",
    ShellName.ZSH: """\
#compdef pilotage
_pilotage_completion() {
    eval $(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _PILOTAGE_COMPLETE=complete_zsh pilotage)
}
compdef _pilotage_completion pilotage""",
    ShellName.FISH: (
        "complete --command pilotage --no-files"
        ' --arguments "(env _PILOTAGE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args'
        ' _TYPER_COMPLETE_ARGS=(commandline -cp) pilotage)"'
        ' --condition "env _PILOTAGE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args'
        ' _TYPER_COMPLETE_ARGS=(commandline -cp) pilotage"'
    ),
}


def completion(shell: Annotated[ShellName, typer.Argument(metavar="SHELL", help="The shell.")]) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      pilotage completion bash > /etc/bash_completion.d/pilotage
    """
    say(_SCRIPTS[shell])
