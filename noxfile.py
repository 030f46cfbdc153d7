"""Every test of the project, each kind in an environment of its own: `nox` runs all that can run on this machine.

What cannot run says so and is skipped.  `nox -l` lists the sessions, `nox -s tests -- tests/core/test_api.py` runs one,
with arguments of one's own for pytest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
TORCH = "torch==2.13.0"
"""A version by number, so that pip takes the build for CPUs where its address is given and there is one."""
TORCHVISION = "torchvision==0.28.0"
"""Of that version; where torch is the build for CPUs, and this is not, its recipe is skipped."""
PACKAGES = {
    "tests": (TORCH, "-e", ".[test]"),
    "napari": (TORCH, "-e", ".[napari,test]", "napari[pyqt6]", "pytest-qt"),
}
"""Of environments that other sessions take packages from."""
QUICK_DOCKS = [f"tests/napari/viewer/test_viewer_{name}.py" for name in ("preview", "curve")]
"""Without the longest tests, which are more about the plugin's own time and threads than about napari and Qt."""
LIBRARIES = [
    "libegl1",
    "libglib2.0-0",
    "libfontconfig1",
    "libdbus-1-3",
    "libxkbcommon-x11-0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-keysyms1",
    "libxcb-shape0",
    "xauth",
    "xvfb",
]
"""Debian packages that a viewer needs where there is no display."""
CHROMIUM = "apt-get install --no-install-recommends chromium chromium-driver"


@nox.session(tags=["plain"])
def tests(session: nox.Session) -> None:
    """The library, the Pillow plugin, the command line, and what of the napari plugin needs no napari."""
    session.install(*PACKAGES["tests"])
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-m", "not timing", "--cov", "--cov-report=term:skip-covered")
    session.run("pytest", "-m", "timing")  # with nothing that looks on


@nox.session(tags=["plain"])
def lint(session: nox.Session) -> None:
    """Ruff, as linter and as formatter."""
    session.install(*(line for line in PROJECT["optional-dependencies"]["test"] if line.startswith("ruff")))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(tags=["apart"])
def docs(session: nox.Session) -> None:
    """The site, with warnings as errors, in build/site."""
    linter = (line for line in PROJECT["optional-dependencies"]["test"] if line.startswith("ruff"))
    session.install("mkdocs-material>=9.6,<10", "mkdocstrings[python]>=1,<2", *linter)  # ruff breaks long signatures
    session.run("mkdocs", "build", "--strict", "--quiet", *session.posargs)


@nox.session(tags=["plain"])
def typing(session: nox.Session) -> None:
    """Mypy."""
    borrow(session, "tests")
    session.run("python", "-m", "mypy")


@nox.session(tags=["borrowing"])
def strict(session: nox.Session) -> None:
    """The Pillow plugin without asserts and docstrings, with warnings as errors."""
    borrow(session, "tests")
    others = "tests/pillow/test_opening.py::test_other_formats_still_open"  # which warn of themselves
    python = ("python", "-OO", "-W", "error", "-X", "dev", "-m", "pytest")
    children = "tests/pillow/test_run.py"  # which would run as ever
    session.run(*python, "tests/pillow", "-m", "not timing", "--deselect", others, "--ignore", children)


@nox.session(tags=["borrowing"])
def notebook(session: nox.Session) -> None:
    """The notebook among the examples."""
    borrow(session, "tests")
    session.install("ipykernel", "nbclient")
    session.run("jupyter", "execute", "examples/first_steps.ipynb")


@nox.session(tags=["borrowing"])
def fuzz(session: nox.Session) -> None:
    """Some seconds of each target, so that they stay fit for the hours of .ci/fuzz."""
    borrow(session, "tests")
    try:
        session.install("--no-deps", "--only-binary", ":all:", "atheris")
    except nox.command.CommandFailed:
        session.skip("there is no build of atheris for this Python")
    session.run(".ci/fuzz", "5", str(Path(session.create_tmp(), "corpus")), "python", external=True)


@nox.session(tags=["borrowing"])
def recipes(session: nox.Session) -> None:
    """The recipes for libraries that no other test needs."""
    borrow(session, "tests")
    session.install("datasets", "fastapi", "gunicorn>=24", "webdataset")
    session.install("--no-deps", TORCHVISION)
    names = "image_folder or webdataset or hugging_face or gunicorn"
    session.run("python", "-m", "pytest", "tests/pillow/test_recipes.py", "-k", names)


@nox.session(tags=["borrowing"])
def oldest(session: nox.Session) -> None:
    """The file format and the Pillow plugin with the oldest Pillow and NumPy that are supported."""
    borrow(session, "tests")
    session.install("--no-deps", *oldest_of("pillow", "numpy"))
    session.run("python", "-c", "import numpy, PIL; print('Pillow', PIL.__version__, 'NumPy', numpy.__version__)")
    files = [f"tests/core/test_{name}.py" for name in ("container", "format")]
    others = "--ignore=tests/pillow/test_recipes.py"  # of which each has its own oldest NumPy
    session.run("python", "-m", "pytest", "tests/pillow", *files, others)


@nox.session(tags=["apart"])
def paper(session: nox.Session) -> None:
    """The networks of the paper, with CompressAI, which wants NumPy 1 and a torchvision built with this PyTorch."""
    if sys.version_info >= (3, 13):
        session.skip("CompressAI needs a Python before 3.13")
    session.install("-e", ".[train]", "hypothesis", "pytest")
    session.run("pytest", "tests/paper")


@nox.session(tags=["viewer"])
def napari(session: nox.Session) -> None:
    """The napari plugin in a real viewer.  The tests measure time: let nothing else run beside them."""
    display = find_display(session)
    session.install(*PACKAGES["napari"])
    session.run("npe2", "validate", "agvae")
    session.run("npe2", "validate", "--imports", "agvae")
    session.run(*display, "python", "-m", "pytest", "tests/napari", "-m", "napari", *session.posargs, external=True)


@nox.session(tags=["apart"])
def pyside(session: nox.Session) -> None:
    """The docks with the other binding of Qt."""
    display = find_display(session)
    borrow(session, "napari")
    session.install("PySide6-Essentials<6.12")  # 6.12.0 frees None, and so ends Pythons before 3.12
    session.run(*display, "python", "-m", "pytest", *QUICK_DOCKS, env={"QT_API": "pyside6"}, external=True)


@nox.session(tags=["apart"])
def oldest_napari(session: nox.Session) -> None:
    """The docks with the oldest napari that is supported, and the NumPy of its time."""
    display = find_display(session)
    borrow(session, "napari")
    old_napari, *numpy = oldest_of("napari", "numpy")
    session.install(old_napari, *(f"{package}.*" for package in numpy))
    session.run("python", "-c", "import napari, numpy; print('napari', napari.__version__, 'NumPy', numpy.__version__)")
    session.run(*display, "python", "-m", "pytest", *QUICK_DOCKS, env={"QT_API": "pyqt6"}, external=True)


@nox.session(tags=["borrowing"])
def browser(session: nox.Session) -> None:
    """Pages in a real Chromium, which Selenium drives."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if not (any(map(shutil.which, names)) and shutil.which("chromedriver")):
        session.skip(f"no Chromium with its driver; on Debian: {CHROMIUM}")
    borrow(session, "tests")
    session.install("selenium>=4.20")
    session.run("python", "-m", "pytest", "tests/browser", *session.posargs)


def borrow(session: nox.Session, base: str) -> None:
    """Give a session all packages of another one's environment, which is made if it is not there."""
    folder = Path(session.virtualenv.location).parent / base
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    if not folder.exists():
        session.run_install(sys.executable, "-m", "venv", str(folder), external=True)
        session.run_install(python, "-m", "pip", "install", "-q", *PACKAGES[base], external=True)
    show = ("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    theirs, own = (session.run(name, *show, external=True, silent=True) for name in (python, "python"))
    Path(own.strip(), "borrowed.pth").write_text(f"import site; site.addsitedir({theirs.strip()!r})\n")


def oldest_of(*packages: str) -> list[str]:
    """The oldest versions that pyproject.toml allows; of NumPy only where there are wheels of it."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    found = dict(match.groups() for line in lines if (match := re.fullmatch(r"(\w+)>=([\d.]+)", line)))
    return [f"{name}=={found[name]}" for name in packages if name != "numpy" or sys.version_info < (3, 13)]


def find_display(session: nox.Session) -> tuple[str, ...]:
    """What a command that shows windows begins with; skips the session where there is no way to show any."""
    if sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return ()
    try:
        subprocess.run(["dpkg", "-s", *LIBRARIES], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        session.skip(f"no display; on Debian: apt-get install --no-install-recommends {' '.join(LIBRARIES)}")
    return ("xvfb-run", "-a")
