"""The command line: a word, and its options."""

import argparse
import importlib
import signal
import sys
import syslog

from . import core

# Modules that bring words of the command line, in the order of the help.
MODULES = ["physical", "logical", "receive", "drill", "media", "offsite", "status"]


def commands():
    """Return the words that are known: each module's COMMANDS."""
    table = {}
    for name in MODULES:
        table |= importlib.import_module(f".{name}", __package__).COMMANDS
    return table


def main(words=None):
    table = commands()
    parser = argparse.ArgumentParser(prog="postgresql-backup", description="Backups of PostgreSQL, and how they are.")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in table.items():
        options = parsers.add_parser(name, help=command.help, description=command.help)
        if command.options:
            command.options(options)
    arguments = parser.parse_args(words)
    syslog.openlog("postgresql-backup", 0, syslog.LOG_DAEMON)
    # An end from outside is a failure as well, and is written down as one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = table[arguments.command]
    try:
        if command.walled:
            core.wall_in(arguments.command, command.user)
        if command.user:
            core.become(command.user)
        command.run(core.settings(), arguments)
    except core.Failure as failure:
        core.complain(failure)
        sys.exit(failure.code if 0 < failure.code < 256 else 1)


if __name__ == "__main__":
    main()
