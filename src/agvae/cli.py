"""The command line.

Exit status: 0 done, 1 a file or an argument's value is no good (one line on standard error says why), 2 wrong
usage, 130 interrupted, 141 nobody reads on.  `python -X dev -m agvae` shows the traceback of an error.  Every command
imports what it needs only when it runs: help and `info` start without torch.  No command writes where it reads, nor
replaces a file unless it was told to.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import json
import os
import shlex
import struct
import sys
import time
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import is_zipfile

from agvae.shortage import loading
from agvae.whole_file import check_target, is_stream, make_folder, write_whole

if TYPE_CHECKING:
    from PIL import Image

    from agvae.container import Reader

DEMO_PHOTOGRAPH = "chelsea.png"
_NO_ARRAYS = "without what it says of arrays (axes, values, units), which napari keeps"
_EXTRAS = {"scipy": "eval", "matplotlib": "eval", "compressai": "train", "pytorch_msssim": "train"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # any name of a file can be printed
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(write_through=False)  # so that what cannot be printed shows when it is flushed
    try:
        with _told_warnings():
            return _run(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
    finally:
        _flush()


@contextlib.contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings in the form of all other messages, unless the traceback of errors is wanted, too."""
    with warnings.catch_warnings():
        if not sys.flags.dev_mode:
            warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _say("warning", str(message))


def _flush() -> None:
    """Have what was printed written now, and Python end without a word of its own if that cannot be."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(141) from None
        raise SystemExit(_fail(f"standard output: {_text_of(error)}")) from None


def _run(arguments: Sequence[str]) -> int:
    try:
        args = _parser(arguments).parse_args(arguments)
        args.command_line = shlex.join(["agvae", *arguments])
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, SystemExit):
        raise
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _fail(f"this command needs {error.name}: pip install 'agvae[{extra}]'")
    except _user_errors() as error:
        if sys.flags.dev_mode:
            raise
        return _fail(_text_of(error))


def _text_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or ("not enough memory" if isinstance(error, MemoryError) else type(error).__name__)


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    """Have errors say which file they are about."""
    try:
        yield
    except (BrokenPipeError, ModuleNotFoundError):
        raise
    except Exception as error:  # Pillow's readers and writers raise all kinds at what they do not know
        text = _text_of(error)
        if isinstance(error, _user_errors()):
            if str(path) in text:
                raise
        else:
            text = f"{type(error).__name__}: {text}"
        msg = f"{path}: {text}"
        raise ValueError(msg) from error


def _check_paths(source: Path, target: Path, force: bool) -> None:
    """Find out before any work whether what is made of a file may be written to another."""
    with contextlib.suppress(FileNotFoundError):
        if not is_stream(target) and source.samefile(target):
            msg = f"{target}: is the file to read"
            raise ValueError(msg)
    _check_target(target, force)


def _check_target(path: Path, force: bool) -> None:
    try:
        check_target(path, replace=force)
    except FileExistsError as error:
        raise FileExistsError(error.errno, "exists already, and is replaced only with --force", str(path)) from None


def _user_errors() -> tuple[type[Exception], ...]:
    """What bad files and bad values raise."""
    from PIL import Image

    common = (OSError, SyntaxError, ValueError, MemoryError, OverflowError, EOFError, struct.error)
    return *common, Image.DecompressionBombError


def _fail(message: str) -> int:
    _say("error", message)
    return 1


def _say(kind: str, message: str) -> None:
    print(f"agvae: {kind}: {' '.join(message.split())}", file=sys.stderr)


class _Command(NamedTuple):
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the command that was asked for gets its arguments, as those of `train` need torch."""
    parser = argparse.ArgumentParser(prog="agvae", description="AG-VAE image codec: one model for all rates.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, command in _COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, description=f"{command.help}.")
        subparser.set_defaults(run=command.run)
        if name == asked:
            command.add_arguments(subparser)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import agvae

        print(f"agvae {agvae.__version__}")
        parser.exit()


def _quality(text: str) -> float:
    from agvae.quality import parse_quality

    try:
        value = float(text)
        parse_quality(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


def _file(text: str) -> Path:
    if text == "-":
        msg = "standard input and output cannot be used"
        raise argparse.ArgumentTypeError(msg)
    if os.path.basename(text) in ("", ".", ".."):  # noqa: PTH119  # a Path forgets what is behind the last slash
        msg = f"{text!r} is the name of a folder"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)


def folder(text: str) -> Path:
    """The type of an argument that names a folder."""
    if not text:
        msg = "the name of a folder is needed"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"{value} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return value


def _minutes(text: str) -> float:
    value = float(text)
    if not value > 0:
        msg = f"{text} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return value


def _add_quality(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quality", type=_quality, default=3.5, metavar="Q", help="1 to 6, or 10 to 100 percent; default 3.5"
    )


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="replace what is there already")


def _encode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=_file, metavar="IN", help="an image that Pillow reads")
    parser.add_argument("output", type=_file, metavar="OUT", help="the .agv file to write")
    parser.add_argument("others", type=_file, nargs="*", help=argparse.SUPPRESS)
    _add_quality(parser)
    parser.add_argument("--lossless", action="store_true", help="every pixel as it is; leaves no quality to choose")
    parser.add_argument("--model", metavar="NAME", help="weights to use; see agvae weights list")
    parser.add_argument("--exact", action="store_true", help="keep the colour of fully transparent pixels")
    _add_force(parser)
    parser.set_defaults(usage_error=parser.error)


def _encode(args: argparse.Namespace) -> int:
    import agvae
    import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
    from agvae.images import opened, register_readers
    from agvae.originals import metadata_lost, metadata_of, parts_lost

    _refuse_others(args)
    if args.output.suffix.lower() != ".agv" and not is_stream(args.output):
        msg = f"{args.output}: an AGV file has the extension .agv"
        raise ValueError(msg)
    _check_paths(args.input, args.output, args.force)
    register_readers()
    with _about(args.input), opened(args.input) as image:
        arrays = image.format == "AGV" and "arrays" in agvae.read_info(args.input)["metadata"]
        lost, all_frames = parts_lost(image, lossless=args.lossless)
        image.load()
        lost += metadata_lost(image) + [_NO_ARRAYS] * arrays
        coded = BytesIO()
        rate = {"lossless": True} if args.lossless else {"quality": args.quality}
        options = {**rate, "model": args.model, "exact": args.exact, **metadata_of(image)}
        image.save(coded, "AGV", save_all=all_frames, **options)
    for sentence in lost:
        _say("warning", f"{args.input}: {sentence}")
    data = coded.getvalue()
    with _about(args.output):
        write_whole(args.output, data, replace=args.force)
    found = agvae.read_info(data)
    frames = f"{found['frames']} frames, " if found["frames"] > 1 else ""
    _report(args.output, f"{frames}{len(data)} bytes, {found['bpp']:.4f} bpp, {_rate(found)}")
    return 0


def _rate(found: dict[str, Any]) -> str:
    return "without loss" if found["lossless"] else f"quality {found['quality']:.6g}"


def _refuse_others(args: argparse.Namespace) -> None:
    if args.others:
        args.usage_error(f"one IN and one OUT are needed, not {len(args.others) + 2} files")


def _decode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=_file, metavar="IN", help="an .agv file")
    parser.add_argument(
        "output", type=_file, metavar="OUT", help="an image file; its extension says the format, and pipes get PNG"
    )
    parser.add_argument("others", type=_file, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--damaged-ok", action="store_true", help="leave damaged tiles grey instead of giving up")
    _add_force(parser)
    parser.set_defaults(usage_error=parser.error)


def _decode(args: argparse.Namespace) -> int:
    from PIL import Image

    import pillow_agvae  # noqa: F401  # so that .agv files can be written
    from agvae.images import register_readers
    from agvae.targets import fitted
    from agvae.written import written

    _refuse_others(args)
    register_readers()
    form = "PNG" if is_stream(args.output) else Image.registered_extensions().get(args.output.suffix.lower())
    if form not in Image.SAVE:
        msg = f"{args.output}: Pillow writes no format of this extension"
        raise ValueError(msg)
    _check_paths(args.input, args.output, args.force)
    lost: list[str] = []
    with _about(args.input):
        reader, frames = _decoded(args.input, form in Image.SAVE_ALL, args.damaged_ok, lost)
    with _about(args.output):
        if reader.metadata.arrays is not None:
            lost.append(_NO_ARRAYS)
        fit, info, unfit = fitted(frames, reader.metadata.to_info(), form)
        data, changed = written(fit, info, form, reader.metadata.durations, reader.metadata.loop)
    if len(frames) < reader.header.frames:
        unfit.append(f"only the first of {reader.header.frames} frames, as {form} holds one")
    for sentence in (*lost, *unfit, *changed):
        _say("warning", f"{args.output}: {sentence}")
    with _about(args.output):
        write_whole(args.output, data, replace=args.force)
    count = f"{len(fit)} frames of " if len(fit) > 1 else ""
    _report(args.output, f"{count}{fit[0].width} x {fit[0].height}, {fit[0].mode}")
    return 0


def _decoded(path: Path, all_frames: bool, damaged_ok: bool, lost: list[str]) -> tuple[Reader, list[Image.Image]]:
    """The first or all frames of a file, and added to `lost` what was damaged.

    Raises:
        ValueError: not one tile is left.
        OSError: it cannot be read, or it is damaged and must not be.
    """
    from agvae.container import Reader
    from agvae.errors import DamagedFileError, TruncatedFileError
    from agvae.streams import seekable

    with path.open("rb") as opened:
        file = seekable(opened)
        try:
            reader = Reader(file)
            return reader, _frames_of(reader, all_frames)
        except (DamagedFileError, TruncatedFileError) as error:
            if not damaged_ok:
                raise
            reason = error.reason
        file.seek(0)
        return _damaged(path, Reader(file, damaged_ok=True), all_frames, reason, lost)


def _damaged(
    path: Path, reader: Reader, all_frames: bool, reason: str, lost: list[str]
) -> tuple[Reader, list[Image.Image]]:
    """As `_decoded`, of a file that is damaged for a reason."""
    count = reader.header.frames if all_frames else 1
    broken = _broken_tiles(reader, count)
    total = reader.header.tiles_per_frame * count
    if broken == total:
        msg = f"{path}: every tile is lost ({reason})"
        raise ValueError(msg)
    tiles = f"{broken} of {total} tiles are lost and grey" if broken else "the colour of all tiles is there"
    lost.append(f"the file is damaged ({reason}); {tiles}")
    return reader, _frames_of(reader, all_frames, damaged_ok=True)


def _frames_of(reader: Reader, all_frames: bool, *, damaged_ok: bool = False) -> list[Image.Image]:
    from PIL import Image

    from agvae.api import decode_frame

    count = reader.header.frames if all_frames else 1
    return [Image.fromarray(decode_frame(reader, frame, damaged_ok=damaged_ok)) for frame in range(count)]


def _broken_tiles(reader: Reader, frames: int) -> int:
    """How many tiles of the first frames do not decode."""
    with loading():
        from agvae.coding.extract import exact_pixels
    from agvae.container import tile_boxes
    from agvae.errors import DamagedFileError
    from agvae.file.payload import NETWORK

    broken = 0
    for frame in range(frames):
        for tile, box in zip(reader.tiles(frame), tile_boxes(reader.header), strict=True):
            try:
                if tile.payload is None:
                    broken += 1
                elif tile.kind == NETWORK:
                    with loading():
                        from agvae.coding.tiles import latents_sha256

                    latents_sha256(replace(reader.header, width=box.width, height=box.height, frames=1), [tile.payload])
                else:
                    exact_pixels(tile.payload, reader.header.range_of(frame), box)
            except DamagedFileError:
                broken += 1
    return broken


def _info_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=_file, nargs="?", metavar="FILE", help="an .agv file")
    what.add_argument(
        "--model", metavar="MODEL", help="a model, its file, or a preset: parameters, multiplications a pixel, card"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--hash", action="store_true", help="decode the latents and print their SHA-256 (loads torch)")


def _info(args: argparse.Namespace) -> int:
    import agvae
    from agvae.container import AgvError, Reader
    from agvae.streams import seekable

    if args.model:
        return _info_of_model(args)
    with _about(args.file), args.file.open("rb") as opened:
        file = seekable(opened)
        found = {"file": str(args.file), **agvae.read_info(file), "damage": None}
        reader = Reader(file)
        try:
            reader.verify()
        except AgvError as error:
            found["damage"] = str(error)
        if args.hash and not found["damage"]:
            found |= _hash(reader)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        _print_info(found)
    return 1 if found["damage"] or found.get("hash_error") else 0


def _info_of_model(args: argparse.Namespace) -> int:
    from agvae import weights
    from agvae.networks import PRESETS, build, preset
    from agvae.networks.complexity import complexity

    found: dict[str, Any] = {"name": args.model, "sha256": None, "card": {}}
    path = Path(_model_file(args.model))
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
    values = ", values from {} to {}".format(*found["range"]) if found["range"] else ""
    rows = {
        "file": f"{found['file']}, {found['bytes']} bytes, {found['bpp']:.4f} bpp",
        "image": f"{found['width']} x {found['height']} {found['mode']}{values}",
        "frames": _frames(found),
        "quality": f"{found['quality']:.6g} (s = {found['s']}, l = {found['l']:.6g})",
        "model": f"{found['model']} (SHA-256 {found['digest']}...)",
        "tiles": f"{found['tiles']} of {found['tile_size']} x {found['tile_size']}",
        "thumbnail": "{} x {}".format(*found["thumbnail"]) if found["thumbnail"] else "none",
        "metadata": ", ".join(found["metadata"]) or "none",
        "checksums": f"DAMAGED: {found['damage']}" if found["damage"] else "right",
    }
    if found["lossless"]:
        rows |= {"quality": "without loss", "model": "none"}
    if "latents_sha256" in found:
        rows["latents"] = f"SHA-256 {found['latents_sha256']}"
    if "hash_error" in found:
        rows["latents"] = f"not decoded: {found['hash_error']}"
    for name, value in rows.items():
        print(f"{name + ':':<11} {value}")


def _frames(found: dict[str, Any]) -> str:
    text = f"{found['frames']}"
    if found["durations"]:
        text += f", {sum(found['durations']):.10g} ms in all"
    if found["loop"] is not None:
        text += f", shown {found['loop']} times" if found["loop"] else ", shown for ever"
    return text


def _weights_arguments(parser: argparse.ArgumentParser) -> None:
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


def _weights(args: argparse.Namespace) -> int:
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
                _say("warning", sentence)
        return 0
    name = args.name or known["default"]
    place = weights.find(name) if args.action == "fetch" else weights.locate(name)
    if place is None:
        return _fail(f"the weights {name!r} are not here; agvae weights fetch {name} gets them if it can")
    print(place)
    return 0


def _register(folder: Path) -> int:
    from agvae.weights.registration import register

    found = register(folder)
    for name, entry in found.models.items():
        print(f"{name}: {folder / entry['file']}, SHA-256 {entry['sha256']}")
        if entry["file"] != f"{name}.safetensors":
            _say("warning", f"{folder / entry['file']}: is registered as {name!r}, its card's name")
    for name in found.gone:
        _say("warning", f"{folder}: has no file of model {name!r}, which is registered no more")
    for file, reason in found.bad.items():
        _say("error", f"{folder / file}: is not registered: {reason}")
    return 1 if found.bad else 0


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=folder, metavar="DIR", help="folder of images")
    parser.add_argument(
        "-o", "--output", type=folder, default=Path("evaluation"), metavar="DIR", help="for results; default evaluation"
    )
    parser.add_argument(
        "-q", "--qualities", type=_quality, nargs="+", metavar="Q", help="to measure; default 1, 1.5, ... 6"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        help="other codecs to measure: jpeg webp avif avif-psnr heic heic-420 heic-psnr jxl; default those installed",
    )
    parser.add_argument(
        "--anchors",
        nargs="+",
        default=[],
        metavar=("FILE", "NAME"),
        help='JSON file {codec: {"bpp": [...], "psnr": [...]}} of curves over the same images, and which of them '
        "to compare with; default all",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="to measure: a name (see agvae weights list), a model file, or a checkpoint"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the first N images")
    _add_force(parser)


def _evaluate(args: argparse.Namespace) -> int:
    from agvae.evaluation.peers import available_peers
    from agvae.evaluation.report import read_anchors
    from agvae.evaluation.run import DEFAULT_QUALITIES, EvaluationOptions, evaluate
    from agvae.images import register_readers

    register_readers()
    with _known(args.model) as model:
        options = EvaluationOptions(
            folder=args.folder,
            output=args.output,
            qualities=args.qualities or DEFAULT_QUALITIES,
            peers=available_peers() if args.peers is None else args.peers,
            model=model,
            anchors=read_anchors(Path(args.anchors[0]), args.anchors[1:]) if args.anchors else {},
            limit=args.limit,
            force=args.force,
        )
        print(evaluate(options, args.command_line, lambda line: print(line, file=sys.stderr, flush=True)))
    return 0


@contextlib.contextmanager
def _known(model: str | None) -> Iterator[str | None]:
    """The name of a model that is given by it, by its file or by a checkpoint, and is known within the block."""
    if model is None or not Path(model).is_file():
        yield model
        return
    from agvae.training.export import export_checkpoint
    from agvae.weights import registered

    with TemporaryDirectory() as place:
        path = Path(model)
        if is_zipfile(path):  # as PyTorch writes
            path = Path(place) / "model.safetensors"
            export_checkpoint(Path(model), path, "checkpoint")
        with registered(path) as name:
            yield name


def _reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    _reproduction().add_arguments(parser)
    _add_force(parser)


def _reproduce(args: argparse.Namespace) -> int:
    for path in args.out.glob(f"{args.experiment}.*"):
        _check_target(path, args.force)
    outcome = _reproduction().run(args, lambda line: print(line, file=sys.stderr, flush=True))
    for path in outcome.files:
        _report(path, "written")
    if outcome.lack:
        _say("warning" if outcome.files else "error", outcome.lack)
        print(f"To train them on the images in DATA:\n{outcome.recipe}", file=sys.stderr)
    return 0 if outcome.files else 1


def _reproduction() -> Any:
    """`reproduction.command` of this source tree, or of the one in which `python -m reproduction` runs.

    Raises:
        FileNotFoundError: agvae is installed without its source tree.
    """
    if "reproduction" not in sys.modules:
        file = Path(__file__).parents[2] / "reproduction" / "__init__.py"
        if not file.is_file():
            msg = (
                "agvae reproduce needs the folders reproduction and weights/experiments, which are in the repository "
                "and not in the installed package; at the root of a clone, python -m reproduction does the same"
            )
            raise FileNotFoundError(msg)
        spec = importlib.util.spec_from_file_location("reproduction", file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["reproduction"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["reproduction"])
    return importlib.import_module("reproduction.command")


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    from agvae.training.options import TrainingOptions

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = inspect.getdoc(TrainingOptions)
    types = typing.get_type_hints(TrainingOptions)
    for field in fields(TrainingOptions):
        note = "needed unless --resume is given" if field.default is MISSING else f"default {field.default}"
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=f"option_{field.name}",
            **_form(types[field.name]),
            default=argparse.SUPPRESS,
            help=note,
        )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume", type=Path, metavar="CHECKPOINT", help="go on from it, with its options where none are given"
    )
    start.add_argument(
        "--init-from", metavar="MODEL", help="start from a model, by its name or its file, which also says the preset"
    )
    start.add_argument("--from-zoo", metavar="FILE", help="start from a checkpoint of CompressAI's zoo")
    parser.add_argument("--stop-after", type=_minutes, default=float("inf"), metavar="MINUTES", help="stop early")
    parser.set_defaults(usage_error=parser.error)


def _form(kind: Any) -> dict[str, Any]:
    """How an option of a type is given: sequences of texts one by one."""
    if kind in (str, int, float):
        return {"type": kind, "metavar": kind.__name__.upper()}
    return {"action": "append", "metavar": "SOURCE"}


def _train(args: argparse.Namespace) -> int:
    import pillow_agvae  # noqa: F401  # so that .agv files can be read
    from agvae.images import register_readers
    from agvae.training.checkpoint import check_free
    from agvae.training.export import checkpoint_config, read_checkpoint
    from agvae.training.options import TrainingOptions
    from agvae.training.trainer import Trainer
    from agvae.weights import read_model_file

    given = {name[7:]: value for name, value in vars(args).items() if name.startswith("option_")}
    network = None
    if args.resume:
        state = read_checkpoint(args.resume)
        network = checkpoint_config(args.resume, state)
        if "patches" in given and "minutes" not in given:
            given["minutes"] = 0.0
        stored = state["options"] | {"preset": network.preset}
        if not _is_folder(stored["output"], args.resume.parent):  # moved, or named from another folder
            stored["output"] = str(args.resume.parent)
        given = stored | given
    elif args.init_from:
        args.init_from = _model_file(args.init_from)
        given = {"preset": read_model_file(args.init_from).config.preset} | given
    missing = [f.name for f in fields(TrainingOptions) if f.default is MISSING and f.name not in given]
    if missing:
        args.usage_error(f"the following arguments are required: {', '.join('--' + name for name in missing)}")
    options = TrainingOptions(**given)
    register_readers()
    check_free(Path(options.output), args.resume)
    trainer = Trainer(options, args.init_from, args.from_zoo, network)
    if args.resume:
        trainer.resume(args.resume)
    trainer.run(args.stop_after)
    trainer.close()
    return 0


def _is_folder(name: str, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return Path(name).samefile(folder)
    return False


def _model_file(text: str) -> str:
    """The file of a model that is given by its name, or by that of its file."""
    from agvae.weights import find, registry

    return str(find(text)) if not Path(text).exists() and text in registry()["models"] else text


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=_file, metavar="CHECKPOINT", help="written by agvae train")
    parser.add_argument("output", type=_file, nargs="?", metavar="OUT", help="default NAME.safetensors")
    parser.add_argument("--name", default="custom", help="name of the model in registry and files; default custom")
    _add_force(parser)


def _export(args: argparse.Namespace) -> int:
    from agvae.container import check_model_name
    from agvae.training.export import check_model_path, export_checkpoint
    from agvae.weights import WeightsError, registry
    from agvae.weights.registration import describe_model

    check_model_name(args.name)
    output: Path = args.output or Path(f"{args.name}.safetensors")
    check_model_path(output)
    with contextlib.suppress(WeightsError):  # that there is no registry yet is no fault
        if args.name in registry()["models"] and not args.force:
            msg = f"a model {args.name!r} exists, to which files refer by this name: choose another, or --force"
            raise ValueError(msg)
    make_folder(output.parent)
    _check_paths(args.checkpoint, output, args.force)
    export_checkpoint(args.checkpoint, output, args.name, replace=args.force)
    print(json.dumps(dict([describe_model(output)]), indent=1))
    return 0


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    _add_quality(parser)
    parser.add_argument(
        "--out", type=folder, default=Path("agvae-demo"), metavar="DIR", help="for both files; default agvae-demo"
    )
    _add_force(parser)


def _demo(args: argparse.Namespace) -> int:
    from importlib.resources import as_file, files

    import numpy as np
    from PIL import Image

    import agvae

    with loading():
        from agvae.coding.loaded import load_model
    from agvae.metrics import psnr

    encoded, decoded = args.out / "chelsea.agv", args.out / "chelsea.png"
    make_folder(args.out)
    for target in (encoded, decoded):
        _check_target(target, args.force)
    with as_file(files("agvae") / "data" / DEMO_PHOTOGRAPH) as path:
        photograph = Image.open(path)
        photograph.load()
    _, load_s = _timed(load_model)
    agvae.decode(agvae.encode(photograph.crop((0, 0, 64, 64))))  # the first call sets up thread pools and kernels
    data, encode_s = _timed(lambda: agvae.encode(photograph, quality=args.quality))
    pixels, decode_s = _timed(lambda: agvae.decode(data))

    png = BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    write_whole(encoded, data, replace=args.force)
    write_whole(decoded, png.getvalue(), replace=args.force)
    quality = psnr(np.asarray(photograph), pixels)
    print(f"chelsea, {photograph.width} x {photograph.height}, at quality {args.quality:g}:")
    print(f"  {len(data)} bytes, {_bpp(data, photograph):.3f} bpp, PSNR {quality:.2f} dB")
    print(f"  weights loaded in {load_s:.2f} s, encoded in {encode_s:.3f} s, decoded in {decode_s:.3f} s")
    print(f"wrote {encoded} and {decoded}")
    return 0


_COMMANDS = {
    "encode": _Command("Encode an image", _encode_arguments, _encode),
    "decode": _Command("Decode an .agv file", _decode_arguments, _decode),
    "info": _Command("Show what an .agv file holds, and check it", _info_arguments, _info),
    "weights": _Command("List, find and download weights", _weights_arguments, _weights),
    "evaluate": _Command("Measure rate, quality and time on a folder of images", _evaluate_arguments, _evaluate),
    "reproduce": _Command("Make a figure or table of the paper from trained models", _reproduce_arguments, _reproduce),
    "train": _Command("Train a model", _train_arguments, _train),
    "export": _Command("Make a model file from a checkpoint; prints its registry entry", _export_arguments, _export),
    "demo": _Command("Encode and decode the bundled photograph", _demo_arguments, _demo),
}


def _report(path: Path, text: str) -> None:
    """Say what was written; on standard error if that may be standard output."""
    print(f"{path}: {text}", file=sys.stderr if is_stream(path) else sys.stdout)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _bpp(data: bytes, image: Image.Image) -> float:
    return 8 * len(data) / (image.width * image.height)
