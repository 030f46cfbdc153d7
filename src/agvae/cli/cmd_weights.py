"""`agvae weights`: released models, where they are, and registering one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from agvae.cli.arguments import folder
from agvae.cli.telling import fail, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="released models, and which are on this machine")
    path = actions.add_parser("path", help="print where the file of a model is")
    fetch = actions.add_parser("fetch", help="download the file of a model if it is not here, print where it is")
    for subparser in (path, fetch):
        subparser.add_argument("name", nargs="?", metavar="NAME", help="the default model if not given")
    register = actions.add_parser("register", help="write registry.json of a folder of models of your own")
    register.add_argument(
        "folder", type=folder, metavar="DIR", help="of files NAME.safetensors that agvae export wrote"
    )


def run(args: argparse.Namespace) -> int:
    from agvae import weights
    from agvae.weights.places import taken_name

    if args.action == "register":
        return _register(args.folder)
    known = weights.registry()
    if args.action == "list":
        for name, entry in known["models"].items():
            where = weights.locate(name) or "not here"
            mark = " (default)" if name == known["default"] else ""
            low, high = entry["quality_range"]
            print(f"{name}{mark}: {entry['preset']}, {entry['metric']}, quality {low:g} to {high:g}, {where}")
            if sentence := taken_name(name):
                say("warning", sentence)
        return 0
    name = args.name or known["default"]
    place = weights.find(name) if args.action == "fetch" else weights.locate(name)
    if place is None:
        return fail(f"the weights {name!r} are not here; agvae weights fetch {name} gets them if it can")
    print(place)
    return 0


def _register(folder: Path) -> int:
    from agvae.weights.registration import register

    found = register(folder)
    for name, entry in found.models.items():
        print(f"{name}: {folder / entry['file']}, SHA-256 {entry['sha256']}")
        if entry["file"] != f"{name}.safetensors":
            say("warning", f"{folder / entry['file']}: is registered as {name!r}, its card's name")
    for name in found.gone:
        say("warning", f"{folder}: has no file of model {name!r}, which is registered no more")
    for file, reason in found.bad.items():
        say("error", f"{folder / file}: is not registered: {reason}")
    return 1 if found.bad else 0
