"""Entropy networks in integers have one result in float32, in float64, and whatever others have set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agvae.coding.engine import Latents, Model
from agvae.entropy.exact import freeze
from agvae.entropy.integers import INPUT_LIMIT, SUM_LIMIT, float32_is_exact, input_units, nearest, row_units, to_units
from agvae.errors import WeightsError
from agvae.networks import EntropyModel, bands, build, kernels
from agvae.networks.autoencoder import StepParameters, follow, load_parameters
from agvae.networks.configs import BORDERS
from agvae.networks.context import ParameterHead
from agvae.networks.gain import level_weights
from agvae.networks.integer_layers import fit_for_integers, layers, use_integers
from agvae.networks.layers import Block, Depthwise, Pointwise
from agvae.training.export import model_file_of
from agvae.weights import model_file_bytes, read_model_file
from tests.support.helpers import TINY, integer_entropy, picture, pictures, settings_that_must_not_matter

CPU = torch.device("cpu")


def in_integers(layer: nn.Module, units: Tensor) -> Any:
    """A layer frozen and made to work in integers, with units of its inputs."""
    module = nn.ModuleList([layer])
    freeze(module, {"0": units})
    use_integers(module, {"0": units})
    return module.requires_grad_(False)[0]


def units(count: int, low: int = 0, high: int = 8) -> Tensor:
    return torch.randint(low, high, (count,), dtype=torch.int8)


@contextmanager
def float64_instead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "float32_is_exact", lambda _: False)
        yield


@given(
    weights=st.lists(st.floats(-1e4, 1e4, width=32), min_size=24, max_size=24),
    bias=st.floats(-1e5, 1e5, width=32),
    exponents=st.lists(st.integers(-6, 12), min_size=24, max_size=24),
)
def test_sums_at_their_limit_are_exact(weights: list[float], bias: float, exponents: list[int]) -> None:
    """With inputs so large that every product has the sign of the bias, in any order."""
    layer = Pointwise(24, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(bias)
    exact = in_integers(layer, torch.tensor(exponents, dtype=torch.int8))
    x = exact.weight[0].sign() * (1 if bias >= 0 else -1) * 1e9
    integers = x.sign() * INPUT_LIMIT
    truth = sum(Fraction(float(w)) * int(i) for w, i in zip(exact.weight[0], integers, strict=True))
    truth += Fraction(float(exact.bias))
    for order in (torch.arange(24), torch.arange(24).flip(0), exact.weight[0].abs().argsort()):
        assert Fraction(float(exact(x.view(1, 1, 1, 24)))) == truth
        total = exact.bias[0].clone()
        for c in order:
            total += exact.weight[0, c] * integers[c]
        assert Fraction(float(total)) == truth


def test_the_finest_weights_are_taken_for_which_sums_are_exact() -> None:
    torch.manual_seed(0)
    layer = Pointwise(200, 50)
    e = units(200)
    weight, bias = nearest(layer.weight.detach(), layer.bias.detach(), e)
    scale = torch.exp2(row_units(weight, bias, e).double())
    sums = (to_units(weight, e).abs().sum(1) * INPUT_LIMIT + bias.abs()) * scale
    assert (sums <= SUM_LIMIT).all()
    assert (sums > SUM_LIMIT / 4).all()
    assert ((to_units(weight - layer.weight.detach(), e) * scale[:, None]).abs() <= 0.5).all()


@pytest.mark.parametrize("make", [lambda: Pointwise(6, 3), lambda: Depthwise(6), lambda: ParameterHead(6, 8)])
def test_weights_beyond_the_limit_are_refused(make: Callable[[], nn.Module]) -> None:
    module = nn.ModuleList([make()])
    freeze(module, {"0": units(6)})
    found: Any = module[0]
    row = found.weight.data[0]
    row.mul_(2 * INPUT_LIMIT * SUM_LIMIT)
    row.view(-1)[0] += 2.0**-8
    with pytest.raises(ValueError, match="sums are not exact"):
        use_integers(module, {"0": units(6)})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e30])
def test_weights_that_no_unit_serves_are_refused(value: float) -> None:
    layer = Pointwise(4, 1)
    with torch.no_grad():
        layer.weight[0, 1] = value
    with pytest.raises(ValueError, match=r"not finite|too large"):
        freeze(nn.ModuleList([layer]), {"0": units(4)})


def test_units_must_be_those_of_the_layers() -> None:
    for wrong, message in (
        ({}, "other layers"),
        ({"0": units(5)}, "do not fit"),
        ({"0": units(4), "1": units(4)}, "other"),
    ):
        with pytest.raises(ValueError, match=message):
            use_integers(nn.ModuleList([Pointwise(4, 1)]).double(), wrong)


def test_units_hold_the_largest_and_differ_little() -> None:
    largest = torch.tensor([0.0, 1e-9, 0.5, 1.0, 1023.0, 1024.0, 1500.0])
    e = input_units(largest)
    assert (largest * torch.exp2(e.float()) <= INPUT_LIMIT).all()
    assert (largest[4:] * torch.exp2(e[4:].float()) >= INPUT_LIMIT / 2).all()
    assert int(e.max() - e.min()) <= 9
    assert input_units(torch.zeros(3)).tolist() == [0] * 3


@pytest.mark.parametrize("border", BORDERS)
def test_layers_are_the_same_in_float64_and_in_any_layout(border: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    x = 300 * torch.randn(2, 18, 10, 12)
    other = x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    for layer in (Pointwise(12, 20), Depthwise(12, border)):
        exact = in_integers(layer, units(12, -2, 4))
        with torch.no_grad():
            found = exact(x)
            assert torch.equal(exact(other), found)
            assert torch.equal(torch.cat([exact(part) for part in x.split(1)]), found)
            with float64_instead(monkeypatch):
                assert torch.equal(exact(x), found)
            with monkeypatch.context() as patch:
                patch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
                assert torch.equal(exact(x), found)
        assert torch.equal(exact.requires_grad_(True)(x), found)  # at once, not in bands


def test_depthwise_is_torchs_own_convolution_of_integers() -> None:
    torch.manual_seed(2)
    exact = in_integers(Depthwise(5), torch.zeros(5, dtype=torch.int8))
    x = torch.randint(-INPUT_LIMIT, INPUT_LIMIT + 1, (1, 7, 9, 5)).float()
    y = nn.functional.conv2d(
        x.double().permute(0, 3, 1, 2), exact.weight.double(), exact.bias.double(), padding=1, groups=5
    )
    assert torch.equal(exact(x).double(), y.permute(0, 2, 3, 1))


def test_integers_are_near_the_layer() -> None:
    torch.manual_seed(3)
    block = Block(16)
    x = torch.randn(1, 6, 6, 16)
    approximate = block(x).detach()
    found = {
        name: input_units(torch.full((layer.weight.shape[0 if layer.weight.dim() == 4 else 1],), 8.0))
        for name, layer in layers(block).items()
    }
    freeze(block, found)
    use_integers(block, found)
    torch.testing.assert_close(block(x), approximate, atol=2e-2, rtol=0)


def parameters(entropy: EntropyModel, batch: int = 1) -> list[Tensor]:
    """All entropy parameters for random symbols of random size; the same for every image of a batch."""
    generator = torch.Generator().manual_seed(0)
    weights = level_weights(torch.tensor([2.3173828125], dtype=torch.float64), TINY.levels).expand(batch, -1)
    z = torch.randint(-3, 4, (1, 9, 4, TINY.hyper_latent), generator=generator).float().expand(batch, -1, -1, -1)
    result = []

    def visit(p: StepParameters) -> Tensor:
        result.extend([p.mu, p.log2_sigma, p.asymmetry])
        return p.mu + torch.randint(-20, 21, p.mu.shape[1:], generator=generator)

    with torch.inference_mode():
        result.append(follow(entropy.walk(z, weights, 36, 14), visit))
    assert all(part.dtype == torch.float32 for part in result)
    return result


def equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(a, b.expand_as(a)) for a, b in zip(found, expected, strict=True))


CONFIGS = [TINY, replace(TINY, border="replicate", context_blocks=3, entropy_width=20)]


@pytest.mark.parametrize("config", CONFIGS)
def test_same_bits_in_float64_in_bands_and_in_batches(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entropy = integer_entropy(config)
    expected = parameters(entropy)
    assert equal(parameters(entropy, 3), expected)
    with float64_instead(monkeypatch):
        assert equal(parameters(entropy), expected)
    for rows in (1, 5, 1000):
        monkeypatch.setattr(bands, "ROWS", rows)
        assert equal(parameters(entropy), expected)
    monkeypatch.setattr(bands, "wanted", lambda *_, **__: False)
    assert equal(parameters(entropy), expected)


@contextmanager
def changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def matmul_precision(value: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(value)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "medium": lambda: matmul_precision("medium"),
    "bfloat16 of oneDNN's convolutions": lambda: changed(torch.backends.mkldnn.conv, "fp32_precision", "bf16"),  # type: ignore[attr-defined]
    "TF32 of matrix products": lambda: changed(torch.backends.cuda.matmul, "allow_tf32", True),
    "TF32 of cuDNN": lambda: changed(torch.backends.cudnn, "allow_tf32", True),
    "no oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "default type": lambda: default_dtype(torch.float64),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no denormals": flushed_denormals,
}


@pytest.mark.parametrize("name", SETTINGS)
def test_same_files_and_latents_under_others_settings(name: str, tiny_weights: Path) -> None:
    path = tiny_weights / "tiny.safetensors"
    x = torch.from_numpy(picture(96, 64)).permute(2, 0, 1)[None].float() / 255

    def coded(model: Model) -> tuple[bytes, bytes]:
        (packed,) = model.pack(y, [9001])
        (latents,) = model.unpack([packed.payload], [9001], 4, 6)
        assert isinstance(latents, Latents)
        return packed.payload, latents.y_hat.numpy().tobytes()

    plain = Model(path, "tiny", "cpu")
    assert plain.exact_type == torch.float32
    y = plain.analyse(x, [9001])
    expected = coded(plain)
    with SETTINGS[name]():
        assert coded(plain) == expected
        assert coded(Model(path, "tiny", "cpu")) == expected


def test_float32_is_not_trusted_where_others_may_have_it_multiplied_in_less(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    assert float32_is_exact(CPU)
    assert float32_is_exact(cuda)
    assert not float32_is_exact(torch.device("mps"))
    with SETTINGS["bfloat16 of oneDNN's convolutions"]():
        assert not float32_is_exact(CPU)
    with SETTINGS["TF32 of matrix products"]():
        assert not float32_is_exact(cuda)
    for value in ("high", "medium"):
        with matmul_precision(value):
            assert float32_is_exact(CPU)
            assert not float32_is_exact(cuda)
    for variable, value, device in (
        ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", CPU),
        ("DNNL_DEFAULT_FPMATH_MODE", "any", CPU),
        ("NVIDIA_TF32_OVERRIDE", "1", cuda),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            assert not float32_is_exact(device)


def test_same_bits_for_threads_and_precision_settings() -> None:
    entropy = integer_entropy()
    expected = parameters(entropy)
    for _ in settings_that_must_not_matter():
        assert equal(parameters(entropy), expected)


def test_a_trained_model_loses_next_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """base-1 with weights as training leaves them, on no grid: 0.5 % of float64's bytes, and the same in float64."""
    file = read_model_file(Path(__file__).parents[2] / "weights" / "base-1.safetensors")
    models = []
    for name, crops in (("float64", None), ("integers", pictures(4))):
        network = build(file.config)
        load_parameters(network, file.state)
        network.float()
        off_the_grid(network)
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(model_file_bytes(model_file_of(network, file.card, crops)))
        models.append(Model(path, name, "cpu"))
    assert [model.exact_type for model in models] == [torch.float64, torch.float32]
    x = pictures(8)[4:]
    for level in (0, 9001, 20480):
        y = models[0].analyse(x, [level] * len(x))
        before, after = (model.pack(y, [level] * len(x)) for model in models)
        size, expected = (sum(len(packed.payload) for packed in found) for found in (after, before))
        assert size <= 1.005 * expected + 4 * len(x)
        for model, files in zip(models, (before, after), strict=True):
            with float64_instead(monkeypatch):
                again = model.unpack([packed.payload for packed in files], [level] * len(x), *y.shape[1:3])
            for packed, latents in zip(files, again, strict=True):
                assert isinstance(latents, Latents)
                assert torch.equal(latents.y_hat, packed.y_hat)


def off_the_grid(network: nn.Module) -> None:
    """Move weights of the entropy model by up to 1 % of the largest of their row."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.get_submodule("entropy").named_parameters():
            if name.endswith("weight"):
                largest = weight.abs().amax(-1, keepdim=True)
                weight += 0.01 * largest * (2 * torch.rand(weight.shape, generator=random) - 1)


class Other(EntropyModel):
    """Who inherits may have other sums."""


class Parted(EntropyModel):
    in_integers = True

    def __init__(self) -> None:
        super().__init__(TINY)
        self.context.extra = nn.Linear(2, 2)


def test_only_sums_in_layers_with_a_form_in_integers_are_trusted_to_float32() -> None:
    assert fit_for_integers(EntropyModel(TINY))
    assert not fit_for_integers(Other(TINY))
    assert not fit_for_integers(Parted())


def test_a_written_model_file_is_the_read_one(tiny_weights: Path) -> None:
    path = tiny_weights / "tiny.safetensors"
    model = read_model_file(path)
    assert model.units.keys() == layers(EntropyModel(TINY)).keys()
    assert model_file_bytes(model) == path.read_bytes()


WRONG: dict[str, Callable[[dict[str, Tensor]], None]] = {
    "sums are not exact": lambda t: t["entropy.context.head.weight"].fill_(32767),
    "are no units": lambda t: t["units.context.head.inputs"].fill_(33),
    "do not fit the inputs": lambda t: t.update({"units.context.head.inputs": torch.zeros(3, dtype=torch.int8)}),
    "context.head.sums": lambda t: t.pop("units.context.head.sums"),
    "context.head.weight": lambda t: t.pop("entropy.context.head.weight"),
    "must be int16": lambda t: t.update({"entropy.context.head.weight": torch.zeros(4, 24, 16)}),
    "must be int32": lambda t: t.update({"entropy.context.block.branch.expand.bias": torch.zeros(32)}),
    "other layers": lambda t: t.update(
        {"entropy.x.weight": torch.zeros(1, 1, dtype=torch.int16)}
        | {f"units.x.{part}": torch.zeros(1, dtype=torch.int8) for part in ("inputs", "sums")}
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_model_files_with_wrong_units_are_refused(message: str, tiny_weights: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tiny_weights / "tiny.safetensors"
    tensors = load_file(path)
    WRONG[message](tensors)
    with safe_open(path, "pt") as file:
        save_file(tensors, tmp_path / "wrong.safetensors", file.metadata())
    with pytest.raises(WeightsError, match=message if message != "other layers" else "wrong.safetensors"):
        Model(tmp_path / "wrong.safetensors", "tiny", "cpu")
