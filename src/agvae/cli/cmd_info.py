"""`agvae info`: what files hold, or what a model is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.cli.arguments import file, path_of_model
from agvae.cli.telling import fail
from agvae.conversion.reasons import about, text_of, user_errors
from agvae.shortage import loading

if TYPE_CHECKING:
    from agvae.container import Reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("paths", type=file, nargs="*", default=[], metavar="FILE", help=".agv files")
    what.add_argument(
        "--model", metavar="MODEL", help="a model, its file, or a preset: parameters, multiplications a pixel, card"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object; of several files, one a line")
    parser.add_argument("--hash", action="store_true", help="decode the latents and print their SHA-256 (loads torch)")
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    if args.model:
        return _info_of_model(args)
    try:
        paths = [file(str(path)) for path in args.paths]
    except argparse.ArgumentTypeError as error:
        args.usage_error(str(error))
    wrong = 0
    for number, path in enumerate(paths):
        try:
            found = _info_of_file(path, args.hash)
        except user_errors() as error:
            if len(paths) == 1 or sys.flags.dev_mode:
                raise
            wrong = fail(text_of(error))
            continue
        if args.json:
            print(json.dumps(found, indent=1 if len(paths) == 1 else None))
        else:
            print(end="\n" if number else "")
            _print_info(found)
        wrong |= bool(found["damage"] or found.get("hash_error"))
    return wrong


def _info_of_file(path: Path, with_hash: bool) -> dict[str, Any]:
    import agvae
    from agvae.container import AgvError, Reader
    from agvae.streams import seekable

    with about(path), path.open("rb") as opened:
        file = seekable(opened)
        found = {"file": str(path), **agvae.read_info(file), "damage": None}
        reader = Reader(file)
        try:
            reader.verify()
        except AgvError as error:
            found["damage"] = str(error)
        if with_hash and not found["damage"]:
            found |= _hash(reader)
    return found


def _info_of_model(args: argparse.Namespace) -> int:
    from agvae import weights
    from agvae.networks import PRESETS, build, preset
    from agvae.networks.complexity import complexity

    found: dict[str, Any] = {"name": args.model, "sha256": None, "card": {}}
    path = Path(path_of_model(args.model))
    if args.model not in PRESETS and path.is_file():
        file = weights.read_model_file(path)
        config, found["sha256"], found["card"] = file.config, file.sha256, file.card
    else:
        try:
            config = preset(args.model)
        except ValueError as error:
            msg = f"{args.model}: neither a model, nor the file of one; {error}"
            raise ValueError(msg) from error
    costs = complexity(build(config))
    found |= {"config": config.to_dict(), "complexity": {name: cost._asdict() for name, cost in costs.items()}}
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(
        f"model:      {args.model}"
        + (f" (SHA-256 {found['sha256']})" if found["sha256"] else " (a preset, no weights)")
    )
    print(f"levels:     {config.levels}, beta {', '.join(f'{beta:.3g}' for beta in config.betas)}")
    for name, cost in costs.items():
        print(f"{name + ':':<11} {cost.parameters:>10,} parameters, {cost.kmac_per_pixel:8.2f} kMAC/pixel")
    for name, value in found["card"].items():
        print(f"{name + ':':<11} {value}")
    return 0


def _hash(reader: Reader) -> dict[str, str]:
    """latents_sha256 of a file with right checksums, or what is in its way: damage, or hash_error if other weights."""
    with loading():
        from agvae.coding.tiles import latents_sha256
    from agvae.container import DamagedFileError
    from agvae.file.header import WITHOUT_MODEL

    if reader.header.model == WITHOUT_MODEL:
        return {}
    try:
        payloads = (tile.payload for tile in reader.tiles() if tile.payload is not None)
        return {"latents_sha256": latents_sha256(reader.header, payloads)}
    except DamagedFileError as error:
        return {"damage": str(error)}
    except OSError as error:
        return {"hash_error": str(error)}


def _print_info(found: dict[str, Any]) -> None:
    from agvae.file.info import in_words

    rows = {"file": f"{found['file']}, {found['bytes']} bytes, {found['bpp']:.4f} bpp", **in_words(found)}
    rows["checksums"] = f"DAMAGED: {found['damage']}" if found["damage"] else "right"
    if "latents_sha256" in found:
        rows["latents"] = f"SHA-256 {found['latents_sha256']}"
    if "hash_error" in found:
        rows["latents"] = f"not decoded: {found['hash_error']}"
    for name, value in rows.items():
        print(f"{name + ':':<11} {value}")
