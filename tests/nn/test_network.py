"""Layers that learn: their gradients, training, saving, and what they print."""

import os
import sys
import threading

import numpy as np
import pytest
from helpers import same

import fastconv
from fastconv import ShapeError, nn
from fastconv.nn import optim
from fastconv.nn.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)

F8 = {"dtype": np.float64}


def numerical(function, at, eps=1e-6):
    slope = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        keep = at[index]
        at[index] = keep + eps
        above = function()
        at[index] = keep - eps
        slope[index] = (above - function()) / (2 * eps)
        at[index] = keep
    return slope


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-3)


# --- gradients ----------------------------------------------------------------------------------------------

LAYERS = {
    "Conv2d": lambda rng: Conv2d(2, 3, 3, padding=1, rng=rng, **F8),
    "Conv2d, no bias": lambda rng: Conv2d(
        2, 4, (3, 2), (2, 1), 1, groups=2, bias=False, remainder="pad", rng=rng, **F8
    ),
    "Conv2d, relu": lambda rng: Conv2d(2, 3, 3, dilation=2, activation="relu", padding="same", rng=rng, **F8),
    "Conv2d, sigmoid": lambda rng: Conv2d(2, 3, 2, activation="sigmoid", rng=rng, **F8),
    "Conv2d, NHWC": lambda rng: Conv2d(4, 3, 3, padding=1, activation="tanh", layout="NHWC", rng=rng, **F8),
    "MaxPool2d": lambda rng: MaxPool2d(2),
    "MaxPool2d, 3 by 2": lambda rng: MaxPool2d(3, 1, padding=1),
    "AvgPool2d": lambda rng: AvgPool2d(2),
    "AvgPool2d, padded": lambda rng: AvgPool2d(3, 1, 1, count_include_pad=False),
    "ReLU": lambda rng: ReLU(),
    "Sigmoid": lambda rng: Sigmoid(),
    "Tanh": lambda rng: Tanh(),
    "Flatten": lambda rng: Flatten(),
    "Linear": lambda rng: Sequential(Flatten(), Linear(32, 5, rng=rng, **F8)),
    "Linear, no bias": lambda rng: Sequential(Flatten(), Linear(32, 5, False, rng=rng, **F8)),
    "Sequential": lambda rng: Sequential(
        Conv2d(2, 3, 3, rng=rng, **F8), Tanh(), Flatten(), Linear(12, 3, rng=rng, **F8)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_finite_differences(name, rng):
    layer, x = LAYERS[name](rng), rng.standard_normal((2, 2, 4, 4))
    y = layer.forward(x, training=True)
    same(layer.forward(x), y)
    g = rng.standard_normal(y.shape)
    to_input = layer.backward(g)

    def loss():
        return (layer.forward(x) * g).sum()

    close(to_input, numerical(loss, x))
    assert to_input.shape == x.shape
    for parameter in layer.parameters().values():
        close(parameter.grad, numerical(loss, parameter.value))
        assert parameter.grad.dtype == np.float64
    layer.backward(g, input_grad=False)  # keeps the same gradients


@pytest.mark.parametrize("name", LAYERS)
def test_the_dtype_stays(name, rng):
    layer = LAYERS[name](rng)
    for parameter in layer.parameters().values():
        parameter.value = parameter.value.astype("f4")
    x = rng.standard_normal((2, 2, 4, 4)).astype("f4")
    y = layer.forward(x, training=True)
    assert y.dtype == layer.backward(y).dtype == np.float32
    assert all(parameter.grad.dtype == np.float32 for parameter in layer.parameters().values())


def test_a_network_computes_in_the_dtype_of_its_parameters(rng):
    for dtype in ("f4", "f8"):
        net = Sequential(Conv2d(1, 2, 3, dtype=dtype, rng=rng), Flatten(), Linear(8, 3, dtype=dtype, rng=rng))
        for x in (np.ones((2, 1, 4, 4)), np.ones((2, 1, 4, 4), np.uint8), np.ones((2, 1, 4, 4), bool)):
            assert net.forward(x).dtype == dtype
    same(Sequential(Flatten()).forward(np.ones((2, 3), np.uint8)), np.ones((2, 3), np.uint8))


def test_inference_keeps_nothing_for_backward(rng):
    layer = Conv2d(1, 2, 3, rng=rng)
    layer.forward(np.ones((1, 1, 4, 4), np.float32))
    with pytest.raises(AttributeError):
        layer.backward(np.ones((1, 2, 2, 2), np.float32))


def test_dropout(rng):
    layer, x = Dropout(0.25, rng=1), np.ones((100, 100), np.float32)
    same(layer.forward(x), x)
    y = layer.forward(x, training=True)
    assert set(np.unique(y)) == {0, np.float32(4 / 3)}
    assert abs(np.mean(y == 0) - 0.25) < 0.02
    same(layer.backward(x), y)
    assert not np.array_equal(layer.forward(x, training=True), y)
    same(Dropout(0).forward(x, training=True), x)
    for p in (-0.1, 1):
        with pytest.raises(ValueError, match="p is"):
            Dropout(p)


# --- loss ---------------------------------------------------------------------------------------------------


def test_cross_entropy(rng):
    scores, labels = rng.standard_normal((6, 4)), np.array([0, 1, 2, 3, 3, 0])
    loss, grad = nn.softmax_cross_entropy(scores, labels)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(probabilities[np.arange(6), labels]).mean())
    close(grad, numerical(lambda: nn.softmax_cross_entropy(scores, labels)[0], scores))
    same(nn.softmax_cross_entropy(scores, labels.tolist())[1], grad)


def test_cross_entropy_of_scores_that_are_far_apart():
    loss, grad = nn.softmax_cross_entropy(np.array([[1e4, -1e4], [-1e4, 1e4]]), [0, 0])
    assert loss == 1e4
    np.testing.assert_array_equal(grad, [[0, 0], [-0.5, 0.5]])
    assert nn.softmax_cross_entropy(np.zeros((3, 8)), [0, 1, 2])[0] == pytest.approx(np.log(8))


def test_labels_that_cannot_be():
    scores = np.zeros((3, 4))
    for labels in ([0, 1, 4], [0, -1, 2], [0.0, 1.0, 2.0], [True, False, True]):
        with pytest.raises(ValueError, match="from 0 to 3"):
            nn.softmax_cross_entropy(scores, labels)
    for shape, labels in [((3, 4), [0, 1]), ((3,), [0, 1, 2]), ((0, 4), []), ((3, 4), [[0], [1], [2]])]:
        with pytest.raises(ShapeError, match="need"):
            nn.softmax_cross_entropy(np.zeros(shape), labels)


# --- optimisers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [
    lambda p: optim.SGD(p, lr=0.1), lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), lambda p: optim.Adam(p, lr=0.1),
])  # fmt: skip
def test_they_find_the_bottom_of_a_bowl(make):
    parameter = Parameter(np.array([3.0, -2.0]))
    descent = make({"x": parameter})
    for _ in range(300):
        parameter.grad = 2 * (parameter.value - [1, 1])
        descent.step()
    np.testing.assert_allclose(parameter.value, [1, 1], atol=1e-3)


def test_a_parameter_without_a_gradient_stays():
    still, moving = Parameter(np.ones(2)), Parameter(np.ones(2))
    moving.grad = np.ones(2)
    for descent in (optim.SGD({"a": still, "b": moving}, 0.1, 0.9), optim.Adam({"a": still, "b": moving}, 0.1)):
        descent.step()
        np.testing.assert_array_equal(still.value, 1)
    assert (moving.value < 1).all()
    assert (moving.grad == 1).all()


def test_rates_that_cannot_be():
    for make, options, said in [
        (optim.SGD, {"lr": -1}, "lr is -1"), (optim.SGD, {"momentum": -0.1}, "momentum"),
        (optim.SGD, {"nesterov": True}, "nesterov"), (optim.Adam, {"betas": (0.9, 1.0)}, r"betas\[1\] is 1.0"),
        (optim.Adam, {"eps": -1e-8}, "eps"), (optim.Adam, {"lr": float("nan")}, "lr is nan"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=said):
            make({}, **options)


# --- training -----------------------------------------------------------------------------------------------


def stripes(rng, n):
    """Pictures of noise with a stripe: of class 0 across, of class 1 down."""
    pictures, labels = 0.3 * rng.standard_normal((n, 1, 8, 8)), rng.integers(0, 2, n)
    for picture, label in zip(pictures, labels, strict=True):
        at = rng.integers(1, 7)
        picture[0, at if label == 0 else slice(None), at if label == 1 else slice(None)] += 1
    return pictures, labels


def network(rng):
    return Sequential(
        Conv2d(1, 4, 3, padding=1, activation="relu", rng=rng), MaxPool2d(2), Flatten(), Linear(64, 2, rng=rng)
    )


def test_it_learns_stripes():
    rng = np.random.default_rng(0)
    net, (x, labels) = network(rng), stripes(rng, 200)
    means = net.fit(x, labels, optim.Adam(net.parameters(), lr=0.01), epochs=8, batch_size=32, rng=rng, progress=False)
    assert len(means) == 8
    assert means[-1] < 0.2 < means[0]
    x, labels = stripes(rng, 100)
    assert (net.predict(x) == labels).mean() > 0.95
    same(net.predict(x, batch_size=7), net.predict(x))
    same(net.predict(x[:0]), np.empty(0, np.intp))


def test_the_same_seed_gives_the_same_network():
    weights = []
    for workers in (1, 2):
        rng = np.random.default_rng(3)
        net, (x, labels) = network(rng), stripes(rng, 60)
        with fastconv.set_workers(workers):
            net.fit(x, labels, optim.SGD(net.parameters(), 0.05, 0.9), epochs=2, batch_size=16, rng=rng, progress=False)
        weights.append([parameter.value for parameter in net.parameters().values()])
    for one, two in zip(*weights, strict=True):
        same(two, one)


def test_another_loss(rng):
    """A layer can learn a kernel: here the one that made the pictures it is shown."""
    sobel = np.array([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]])
    x = rng.standard_normal((40, 1, 8, 8))
    wanted = nn.conv2d(x, sobel, padding=1)

    def squares(y, target):
        return float(((y - target) ** 2).mean()), 2 * (y - target) / y.size

    layer = Sequential(Conv2d(1, 1, 3, padding=1, bias=False, rng=rng, **F8))
    layer.fit(x, wanted, optim.Adam(layer.parameters(), lr=0.1), 60, 20, squares, rng=rng, progress=False)
    np.testing.assert_allclose(layer.parameters()["0.weight"].value, sobel, atol=0.01)


def test_pictures_and_labels_that_do_not_match(rng):
    net = network(rng)
    for x, labels in [(np.ones((3, 1, 8, 8)), [0, 1]), (np.ones((0, 1, 8, 8)), [])]:
        with pytest.raises(ShapeError, match=f"{len(x)} pictures and {len(labels)} labels"):
            net.fit(x, labels, optim.SGD(net.parameters()))
    with pytest.raises(ShapeError, match=r"\(2, 100\); this layer needs \(N, 64\)"):
        net.forward(np.ones((2, 1, 10, 10)))


def test_the_progress_bar(rng, capsys, monkeypatch):
    net, (x, labels) = network(rng), stripes(rng, 20)
    optimizer = optim.SGD(net.parameters())
    net.fit(x, labels, optimizer, epochs=2, batch_size=8)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training: 100%" in shown.err
    assert "6/6" in shown.err
    assert "loss 0." in shown.err
    net.fit(x, labels, optimizer, progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    assert len(net.fit(x, labels, optimizer, epochs=3)) == 3
    assert capsys.readouterr().err == ""


def test_summary(rng, capsys):
    network(rng).summary((1, 8, 8))
    assert capsys.readouterr().out.splitlines() == [
        "layer                          volume     parameters",
        "input                          1 x 8 x 8",
        "Conv2d(1 to 4, 3 x 3, relu)    4 x 8 x 8          40",
        "MaxPool2d(2 x 2)               4 x 4 x 4",
        "Flatten()                      64",
        "Linear(64 to 2)                2                 130",
        "total                                            170",
    ]
    with pytest.raises(ShapeError, match="channels"):
        network(rng).summary((3, 8, 8))


# --- files --------------------------------------------------------------------------------------------------


def test_save_and_load(rng, tmp_path):
    net, other = network(rng), network(rng)
    path = tmp_path / "net.npz"
    net.save(path)
    assert os.listdir(tmp_path) == ["net.npz"]
    kept = other.parameters()["0.weight"].value
    other.load(path)
    for name, parameter in net.parameters().items():
        same(other.parameters()[name].value, parameter.value)
    assert other.parameters()["0.weight"].value is kept  # where an optimiser looks
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file) == ["0.bias", "0.weight", "3.bias", "3.weight"]
    net.layers[0].save(str(tmp_path / "layer"))
    other.layers[0].load(str(tmp_path / "layer"))


def test_a_file_that_does_not_fit_changes_nothing(rng, tmp_path):
    net = network(rng)
    before = {name: parameter.value.copy() for name, parameter in net.parameters().items()}
    values = dict(before)
    files = {
        "missing": {key: value for key, value in values.items() if key != "3.bias"},
        "more": values | {"4.weight": np.ones(1)},
        "shape": values | {"3.bias": np.ones(3)},
    }
    for name, arrays in files.items():
        np.savez(tmp_path / name, **{key: value + 1 for key, value in arrays.items()})
        with pytest.raises(ValueError, match=r"3\.bias"):
            net.load(tmp_path / f"{name}.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    np.savez(tmp_path / "objects.npz", **(values | {"3.bias": np.array([{}, {}])}))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "more.npz").read_bytes()[:900])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("one.npy", "objects.npz", "torn.npz", "empty.npz", "none.npz"):
        with pytest.raises(Exception, match=r"."):
            net.load(tmp_path / name)
    for name, parameter in net.parameters().items():
        same(parameter.value, before[name])


def test_a_save_that_fails_leaves_the_file_before(rng, tmp_path, monkeypatch):
    net, path = network(rng), tmp_path / "net.npz"
    net.save(path)
    before = path.read_bytes()

    def torn(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="no space"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.npz"]


# --- layers -------------------------------------------------------------------------------------------------


def test_every_layer_has_what_a_layer_has():
    for make in (Conv2d, MaxPool2d, AvgPool2d, ReLU, Sigmoid, Tanh, Flatten, Linear, Dropout, Sequential):
        assert issubclass(make, Layer)
        for method in ("forward", "backward", "parameters", "save", "load"):
            assert callable(getattr(make, method))


def test_names_of_parameters(rng):
    net = Sequential(Conv2d(1, 2, 3, rng=rng), Sequential(Linear(2, 2, False, rng=rng), ReLU()))
    assert list(net.parameters()) == ["0.weight", "0.bias", "1.0.weight"]
    assert repr(net) == "Sequential(Conv2d(1 to 2, 3 x 3), Sequential(Linear(2 to 2), ReLU()))"
    assert "(2, 1, 3, 3)" in repr(net.parameters()["0.weight"])


def test_channels_that_groups_do_not_divide():
    with pytest.raises(ShapeError, match=r"groups is 2.*3 and 4"):
        Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ShapeError, match="groups is 0"):
        Conv2d(3, 4, 3, groups=0)


def test_numbers_of_channels_that_cannot_be():
    for arguments in ((0, 4, 3), (4, 0, 3), (-4, 4, 3)):
        with pytest.raises(ShapeError, match=r"channels is .*; it must be at least 1"):
            Conv2d(*arguments)
    with pytest.raises(TypeError, match=r"out_channels must be whole numbers, got 4\.0"):
        Conv2d(4, 4.0, 3)
    with pytest.raises(ShapeError, match="in_features is 0; it must be at least 1"):
        Linear(0, 4)


def test_backward_without_forward(rng):
    for layer in (Conv2d(1, 2, 3), MaxPool2d(2), AvgPool2d(2), ReLU(), Flatten(), Linear(4, 2), Dropout(0.5)):
        x = rng.standard_normal((2, 4) if isinstance(layer, Linear) else (2, 1, 4, 4)).astype("f4")
        y = layer.forward(x)
        with pytest.raises(AttributeError, match=r"backward follows forward\(x, training=True\)"):
            layer.backward(y)
        assert layer.forward(x, training=True).shape == y.shape
        layer.backward(y)
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'weights'"):
        layer = Linear(4, 2).weights


def test_networks_in_several_threads(rng):
    """Each has its own; they share nothing."""
    x, labels = stripes(rng, 40)
    found = {}

    def train(number):
        rng = np.random.default_rng(number % 2)
        net = network(rng)
        means = net.fit(x, labels, optim.Adam(net.parameters()), 2, 10, rng=rng, progress=False)
        found[number] = means

    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert found[0] != found[1]
