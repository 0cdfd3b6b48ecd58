"""`augment`: finds the commands, runs one, and turns whatever happens into one sentence and an exit code.

    0    done
    1    the input was refused
    2    usage
    3    a threshold of ``evaluate --require`` was missed
    4    internal error
    130  interrupted (143: terminated)

Nothing heavy is imported here or at the top of a command, so that ``augment --help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from augmentor import __version__
from augmentor.core.errors import AugmentorError

from . import commands

# Torch's threads otherwise spin while they wait for each other: on a machine with other work to do, that made training
# seven times slower. To be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
from .arguments import arranged
from .interrupts import Terminated, terminable
from .terminal import Terminal

EPILOG = "--quiet, --log-json and --debug may stand anywhere. `augment COMMAND --help` explains a command."


def build() -> typer.Typer:
    """Return the application with every command of ``commands/``."""
    app = typer.Typer(
        name="augment",
        help="Learn p(x | label) from labelled rows, write new labelled rows, and say honestly how good they are.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain text: brackets stay as they are, and help takes a third of the time
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global)
    for name in sorted(module.name for module in pkgutil.iter_modules(commands.__path__)):
        importlib.import_module(f"{commands.__name__}.{name}").add(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"augmentor {__version__}")
        raise typer.Exit


def _global(
    ctx: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Progress, notes and errors on stderr as one JSON object a line.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    ctx.obj.quiet, ctx.obj.log_json, ctx.obj.debug = quiet, log_json, debug


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: words after ``augment``; those of this process if None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(words=words)
    with terminable(), warnings.catch_warnings():
        if not sys.warnoptions and "--debug" not in words:
            # a library's warning to programmers tells a user nothing; what matters to them is a note or an error
            warnings.simplefilter("ignore")
        return _guarded(arranged(words), terminal)


def _guarded(words: list[str], terminal: Terminal) -> int:
    """Run the words, and report every way in which that can end."""
    try:
        outcome = typer.main.get_command(build()).main(words, prog_name="augment", standalone_mode=False, obj=terminal)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except AugmentorError as error:
        return _failed(terminal, str(error), error.exit_code)
    except TyperException as error:
        message = _sentence(error.format_message())
        if not message:  # no command was given: the help was shown
            return error.exit_code
        where = getattr(error, "ctx", None)
        hint = f" See `{where.command_path} --help`." if where is not None else ""
        return _failed(terminal, f"{message}{hint}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(terminal, "interrupted; nothing half-written was left behind.", 130)
    except Terminated:
        return _failed(terminal, "terminated; nothing half-written was left behind.", 143)
    except BrokenPipeError:
        # whoever read our output has stopped; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _failed(
            terminal, "memory ran out. Model fewer genes (--genes 2000), read with --backed, or use fewer rows.", 1
        )
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _failed(
            terminal,
            f"sorry, this is a fault of augmentor, not of your input ({type(error).__name__}: {_one_line(error)}; "
            f"{os.path.basename(where.filename)}:{where.lineno}). Run it again with --debug and report the traceback.",
            4,
        )


def _failed(terminal: Terminal, message: str, code: int) -> int:
    if terminal.debug:
        traceback.print_exc()
    terminal.error(message, code)
    return code


def _sentence(message: str) -> str:
    """Return a usage error without what only programmers care about, and with its full stop."""
    for needless in ("Invalid value: ", "Value error, "):
        message = message.replace(needless, "")
    return message if not message or message.endswith((".", "?")) else f"{message}."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
