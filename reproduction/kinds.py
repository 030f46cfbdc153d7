"""The kinds of experiments: a dataclass each, which makes the numbers and the picture of those of its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from reproduction.lines import Panels
from reproduction.models import config_of, sha256_of
from reproduction.runs import WEIGHTS

DEFAULT_MODEL = "agvae"

Numbers = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """What an experiment is made of and where.

    Attributes:
        out: folder for NAME.json, NAME.png (of a table: .md) and the measurements; made if missing.
        weights: folder of the models and their registry.
        images: folder of images, which the rate-distortion figures need.
        image: of fig2 and supp-fig2; the bundled photograph if None.
        model: of the experiments with `any_model`.
        command: the command line, recorded with the numbers.
    """

    out: Path
    weights: Path = WEIGHTS
    images: Path | None = None
    image: Path | None = None
    model: str = DEFAULT_MODEL
    command: str = ""


class Made(NamedTuple):
    """Numbers, the models that were missing, and the content of the picture's file; None if all were missing."""

    numbers: Numbers
    missing: list[str]
    picture: bytes | None


@dataclass(frozen=True)
class Experiment(ABC):
    """A figure or table of the paper.

    Attributes:
        name: on the command line, and of its files.
        title: what it shows.
        any_model: it shows one model, and any can be chosen; the others have models of their own.
        needs_images: it is measured on a folder of images.
        suffix: of the picture's file.
    """

    name: str
    title: str
    any_model: bool = field(default=False, kw_only=True)
    needs_images: ClassVar[bool] = False
    suffix: ClassVar[str] = ".png"

    @abstractmethod
    def make(self, setup: Setup, progress: Progress) -> Made:
        """Numbers and picture, as far as there are models; `reproduction.models.models_from` says which.

        Raises:
            ValueError: images are needed and there are none, or the model has not what is shown.
            OSError: a file or a model cannot be read.
            ModuleNotFoundError: CompressAI is not installed, and the models or the counts need it.
        """


@dataclass(frozen=True)
class RateDistortion(Experiment):
    """Curves of rate and distortion; `panels` has them for the model that was chosen."""

    panels: Callable[[str], Panels]
    needs_images = True

    def make(self, setup: Setup, progress: Progress) -> Made:
        panels = self.panels(setup.model)
        lines = [line for of_panel in panels.values() for line in of_panel]
        missing = dict.fromkeys(name for line in lines for name in line.models if sha256_of(name) is None)
        if all(name in missing for line in lines for name in line.models):
            return Made({}, list(missing), None)
        for name in (name for line in lines if line.between for name in line.models if name not in missing):
            if config_of(name).levels == 1:
                msg = f"model {name} has one gain vector, and {self.name} is about what is between two"
                raise ValueError(msg)
        if setup.images is None:
            msg = f"{self.name} needs --images DIR, a folder of images such as Kodak's"
            raise ValueError(msg)

        from reproduction.measurements import Measurements
        from reproduction.rate_distortion import draw_rate_distortion

        numbers, picture = draw_rate_distortion(panels, Measurements(setup.images, setup.out, progress))
        return Made(numbers, list(missing), picture)


@dataclass(frozen=True)
class Latents(Experiment):
    """What models do to the latents of one image.

    Attributes:
        draw: numbers and picture of models that are there, with the image.
        of_image: the image matters.
        beside: the model that is shown beside another.
    """

    draw: Callable[[Sequence[str], Path], tuple[Numbers, bytes]]
    of_image: bool = True
    beside: Mapping[str, str] = field(default_factory=dict)

    def make(self, setup: Setup, progress: Progress) -> Made:
        names = [name for name in (setup.model, self.beside.get(setup.model)) if name is not None]
        digests = {name: sha256_of(name) for name in names}
        there = [name for name in names if digests[name] is not None]
        missing = [name for name in names if digests[name] is None]
        if not there:
            return Made({}, missing, None)
        about: Numbers = {"models": {name: {"sha256": digests[name]} for name in there}}
        photograph = files("agvae") / "data" / "chelsea.png"
        with nullcontext(setup.image) if setup.image else as_file(photograph) as path:
            numbers, picture = self.draw(there, path)
            if self.of_image:
                about["images"] = [path.name]
        return Made(about | numbers, missing, picture)


@dataclass(frozen=True)
class Table(Experiment):
    """Counts, without a trained model."""

    suffix = ".md"

    def make(self, setup: Setup, progress: Progress) -> Made:
        from reproduction.table1 import count, describe

        numbers = count()
        return Made(numbers, [], describe(numbers).encode())
