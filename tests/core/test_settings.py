"""Options: set, environment, default, in this order."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from agvae.settings import Options

VARIABLES = {
    "device": "AGVAE_DEVICE",
    "threads": "AGVAE_THREADS",
    "pixels_at_once": "AGVAE_PIXELS_AT_ONCE",
    "dtype": "AGVAE_DTYPE",
    "weights": "AGVAE_WEIGHTS_URL",
    "offline": "AGVAE_OFFLINE",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("device", "auto"),
        ("threads", None),
        ("pixels_at_once", None),
        ("dtype", "float32"),
        ("weights", ""),
        ("offline", False),
    ],
)
def test_default(name: str, default: Any) -> None:
    assert getattr(Options(), name) == default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("device", "cuda:1", "cuda:1"),
        ("threads", "3", 3),
        ("pixels_at_once", "4000000", 4_000_000),
        ("dtype", "bfloat16", "bfloat16"),
        ("weights", "https://example.org/w", "https://example.org/w"),
        ("offline", "1", True),
        ("offline", "0", False),
        ("offline", "", False),
        ("threads", "", None),
    ],
)
def test_environment(name: str, text: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[name], text)
    assert getattr(Options(), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("device", "gpu"),
        ("device", "cuda:"),
        ("threads", "0"),
        ("threads", "two"),
        ("threads", "-1"),
        ("pixels_at_once", "0"),
        ("pixels_at_once", "1e6"),
        ("dtype", "half"),
        ("offline", "yes"),
    ],
)
def test_bad_environment_names_the_variable(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[name], text)
    with pytest.raises(ValueError, match=rf"{VARIABLES[name]}.*{text}"):
        getattr(Options(), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", 0),
        ("device", "CPU"),
        ("threads", True),
        ("threads", 1.0),
        ("pixels_at_once", 1e6),
        ("pixels_at_once", 0),
        ("threads", 0),
        ("dtype", "float64"),
        ("weights", b"x"),
        ("offline", "1"),
        ("offline", 1),
    ],
)
def test_bad_value_changes_nothing(name: str, value: Any) -> None:
    options = Options()
    before = getattr(options, name)
    with pytest.raises(ValueError, match=name):
        setattr(options, name, value)
    assert getattr(options, name) == before


def test_set_goes_before_environment_and_none_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGVAE_THREADS", "5")
    options = Options()
    options.threads = 2
    assert options.threads == 2
    options.threads = None
    assert options.threads == 5


def test_threads_may_be_an_integer_of_numpy() -> None:
    options = Options()
    options.threads = np.int64(2)  # type: ignore[assignment]
    assert type(options.threads) is int
    assert options.threads == 2


def test_folders_may_be_paths() -> None:
    options = Options()
    options.weights = Path("models")
    assert options.weights == "models"


def test_unknown_option() -> None:
    with pytest.raises(AttributeError):
        Options().treads = 1  # type: ignore[attr-defined]


def test_is_light() -> None:
    code = "import sys, agvae; agvae.options.device; print({'torch', 'numpy'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_using_is_for_this_thread_and_for_a_while() -> None:
    options = Options()
    options.device = "cpu"
    elsewhere = []
    with options.using(device="cuda", threads=2):
        with options.using(threads=3, dtype=None):
            assert (options.device, options.threads, options.dtype) == ("cuda", 3, "float32")
        assert (options.device, options.threads) == ("cuda", 2)
        options.threads = 7
        assert options.threads == 2
        thread = threading.Thread(target=lambda: elsewhere.append((options.device, options.threads)))
        thread.start()
        thread.join()
    assert (options.device, options.threads) == ("cpu", 7)
    assert elsewhere == [("cpu", 7)]


def test_using_ends_with_an_exception() -> None:
    options = Options()
    with pytest.raises(KeyError), options.using(offline=True):
        raise KeyError
    assert not options.offline


@pytest.mark.parametrize(("name", "value"), [("device", "gpu"), ("threads", 0), ("offline", "yes")])
def test_using_refuses_bad_values(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name), Options().using(**{name: value}):
        pass


def test_using_in_tasks() -> None:
    async def device_of(name: str) -> str:
        with agvae.options.using(device=name):
            await asyncio.sleep(0)
            return agvae.options.device

    async def both() -> list[str]:
        return await asyncio.gather(device_of("cuda:1"), device_of("cuda:2"))

    assert asyncio.run(both()) == ["cuda:1", "cuda:2"]


def test_repr_says_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Options()
    assert (
        repr(own)
        == "Options(device='auto', threads=None, pixels_at_once=None, dtype='float32', weights='', offline=False)"
    )
    own.threads = 3
    own.weights = "https://name:secret@example.org/w?token=secret"
    monkeypatch.setenv("AGVAE_DTYPE", "nonsense")
    with own.using(device="cpu"):
        text = repr(own)
    assert "device='cpu', threads=3" in text
    assert "example.org/w" in text
    assert "AGVAE_DTYPE" in text
    assert "secret" not in text
