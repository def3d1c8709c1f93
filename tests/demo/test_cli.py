"""``python -m fastconv``, mostly its `filter` of a user's own picture."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import fastconv
from fastconv import kernels
from fastconv.__main__ import OPTIONS, main


def run(*argv):
    """Exit status of the command line, whether it returns or exits."""
    try:
        return main([str(a) for a in argv])
    except SystemExit as stop:
        return stop.code


def fails(capsys, *argv):
    """The one line on stderr of a command line that must fail."""
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


@pytest.fixture
def noise():
    return np.random.default_rng(7).integers(0, 256, (11, 14, 4), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path, noise):
    """Write some or all of the noise as a picture and return its path."""

    def write(pixels=noise[..., :3], name="in.png", **kwargs):
        Image.fromarray(pixels).save(tmp_path / name, **kwargs)
        return tmp_path / name

    return write


def read(path):
    with Image.open(path) as file:
        return file.mode, np.array(file)


def saturated(plane, kernel, mode="mirror", top=255):
    """Correlation rounded and clipped: the definition, by SciPy."""
    response = ndimage.correlate(plane.astype(np.float64), kernel, mode=mode)
    return np.clip(np.rint(response), 0, top)


def strength(plane, first, second):
    """Length of the vector of two responses, rounded and clipped."""
    plane = plane.astype(np.float64)
    responses = [ndimage.correlate(plane, kernel, mode="mirror") for kernel in (first, second)]
    return np.clip(np.rint(np.hypot(*responses)), 0, 255)


# ---------------------------------------------------------------------------------------------- what it does


def test_grey(picture, noise, tmp_path):
    assert run("filter", picture(noise[..., 0]), tmp_path / "out.png", "--kernel", "sharpen") == 0
    mode, out = read(tmp_path / "out.png")
    assert mode == "L"
    np.testing.assert_array_equal(out, saturated(noise[..., 0], kernels.sharpen()))
    assert out.min() == 0
    assert out.max() == 255  # saturated, not wrapped


def test_colours_are_filtered_each_by_itself(picture, noise, tmp_path):
    assert run("filter", picture(), tmp_path / "out.png", "--kernel", "box", "--size", 5) == 0
    mode, out = read(tmp_path / "out.png")
    assert mode == "RGB"
    for colour in range(3):
        np.testing.assert_array_equal(out[..., colour], saturated(noise[..., colour], kernels.box(5)))


@pytest.mark.parametrize(("channels", "mode"), [(4, "RGBA"), (2, "LA")])
def test_alpha_is_kept(picture, noise, tmp_path, channels, mode):
    assert run("filter", picture(noise[..., :channels]), tmp_path / "out.png", "--kernel", "laplacian") == 0
    found, out = read(tmp_path / "out.png")
    assert found == mode
    np.testing.assert_array_equal(out[..., -1], noise[..., channels - 1])
    for colour in range(channels - 1):
        np.testing.assert_array_equal(out[..., colour], saturated(noise[..., colour], kernels.laplacian()))


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(tmp_path, noise, transparent):
    indexed = Image.fromarray(noise[..., 0] % 16)
    indexed.putpalette(range(0, 240, 5))  # 16 colours; now the values are indices
    indexed.save(tmp_path / "in.png", **({"transparency": 3} if transparent else {}))
    with Image.open(tmp_path / "in.png") as file:
        assert file.mode == "P"
        colours = np.array(file.convert("RGBA"))
    assert run("filter", tmp_path / "in.png", tmp_path / "out.png", "--kernel", "box") == 0
    mode, out = read(tmp_path / "out.png")
    assert mode == ("RGBA" if transparent else "RGB")
    for colour in range(3):
        np.testing.assert_array_equal(out[..., colour], saturated(colours[..., colour], kernels.box()))
    if transparent:
        np.testing.assert_array_equal(out[..., 3], colours[..., 3])
        assert set(np.unique(out[..., 3])) == {0, 255}


def test_bilevel_becomes_grey(tmp_path, noise):
    Image.fromarray(noise[..., 0] > 127).save(tmp_path / "in.png")
    assert read(tmp_path / "in.png")[0] == "1"
    assert run("filter", tmp_path / "in.png", tmp_path / "out.png", "--kernel", "box") == 0
    mode, out = read(tmp_path / "out.png")
    assert mode == "L"
    np.testing.assert_array_equal(out, saturated(255 * (noise[..., 0] > 127), kernels.box()))


def test_sixteen_bits_stay_sixteen_bits(tmp_path, noise):
    pixels = noise[..., 0].astype(np.uint16) * 257
    Image.fromarray(pixels).save(tmp_path / "in.png")
    assert run("filter", tmp_path / "in.png", tmp_path / "out.png", "--kernel", "sharpen") == 0
    mode, out = read(tmp_path / "out.png")
    assert mode == "I;16"
    np.testing.assert_array_equal(out, saturated(pixels, kernels.sharpen(), top=65535))


def test_jpeg_in_and_out(picture, tmp_path):
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).random((40, 50, 3)), (6, 6, 0))
    smooth = np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))
    source = picture(smooth, "in.jpg")
    assert run("filter", source, tmp_path / "out.JPG", "--kernel", "gaussian", "--sigma", 1) == 0
    with Image.open(tmp_path / "out.JPG") as out:
        assert (out.format, out.mode, out.size) == ("JPEG", "RGB", (50, 40))
        difference = np.array(out).astype(float) - ndimage.gaussian_filter(smooth.astype(float), (1, 1, 0))
    assert abs(difference).mean() < 3


def test_the_orientation_of_a_camera_is_applied(tmp_path, noise):
    image = Image.fromarray(noise[..., 0])
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "in.png", exif=exif)
    assert run("filter", tmp_path / "in.png", tmp_path / "out.png", "--kernel", "identity") == 0
    np.testing.assert_array_equal(read(tmp_path / "out.png")[1], np.rot90(noise[..., 0], -1))


def test_the_colour_profile_is_kept(picture, tmp_path):
    source = picture(icc_profile=b"a profile")
    assert run("filter", source, tmp_path / "out.png", "--kernel", "box") == 0
    with Image.open(tmp_path / "out.png") as out:
        assert out.info["icc_profile"] == b"a profile"


def test_a_picture_can_be_replaced_by_its_own_result(picture, noise, tmp_path):
    source = picture(noise[..., 0])
    assert run("filter", source, source, "--kernel", "box") == 0
    np.testing.assert_array_equal(read(source)[1], saturated(noise[..., 0], kernels.box()))
    assert os.listdir(tmp_path) == ["in.png"]


@pytest.mark.parametrize("mode", ["reflect", "constant", "nearest", "mirror", "wrap"])
def test_mode(picture, noise, tmp_path, mode):
    assert run("filter", picture(noise[..., 0]), tmp_path / "out.png", "--kernel", "box", "--mode", mode) == 0
    out = read(tmp_path / "out.png")[1]
    np.testing.assert_array_equal(out, saturated(noise[..., 0], kernels.box(), mode))


@pytest.mark.parametrize("name", ["sobel", "prewitt", "scharr"])
def test_derivatives_show_the_magnitude_of_both_axes(picture, noise, tmp_path, name):
    soft = noise[..., 0] // 16
    make = getattr(kernels, name)
    assert run("filter", picture(soft), tmp_path / "out.png", "--kernel", name) == 0
    out = read(tmp_path / "out.png")[1]
    np.testing.assert_array_equal(out, strength(soft, make(0), make(1)))
    assert np.unique(out).size > 10

    assert run("filter", picture(soft), tmp_path / "out.png", "--kernel", name, "--axis", 0) == 0
    np.testing.assert_array_equal(read(tmp_path / "out.png")[1], saturated(soft, make(0)))


def test_gabor_finds_stripes_wherever_they_are_bright(tmp_path, picture):
    columns = np.indices((60, 80))[1]
    stripes = np.rint(127.5 + 127.5 * np.cos(2 * np.pi * columns / 8)).astype(np.uint8)
    source = picture(stripes)
    assert run("filter", source, tmp_path / "out.png", "--kernel", "gabor", "--wavelength", 8) == 0
    found = read(tmp_path / "out.png")[1][:, 20:-20]  # mirrored at the edges the stripes are broken
    assert found.min() > 240  # from black to white: the strongest response, light and dark stripes alike
    assert (
        run("filter", source, tmp_path / "out.png", "--kernel", "gabor", "--wavelength", 8, "--theta", np.pi / 2) == 0
    )
    assert read(tmp_path / "out.png")[1].max() < 10


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_kernel_runs_with_all_its_parameters(picture, tmp_path, name):
    values = {
        "size": 3,
        "sigma": 1.5,
        "truncate": 2.0,
        "radius": 3,
        "amount": 0.5,
        "connectivity": 8,
        "axis": 1,
        "wavelength": 4.0,
        "theta": 0.3,
        "gamma": 0.7,
        "phase": 0.2,
    }
    assert values.keys() == OPTIONS.keys()
    offered = [p for p in inspect.signature(getattr(kernels, name)).parameters if p not in ("dtype", "ndim")]
    assert set(offered) <= OPTIONS.keys(), "a parameter of the kernel is missing on the command line"
    given = [word for p in offered for word in (f"--{p}", str(values[p]))]
    assert run("filter", picture(), tmp_path / "out.png", "--kernel", name, *given) == 0
    assert read(tmp_path / "out.png")[1].shape == (11, 14, 3)


# ------------------------------------------------------------------------------------------------ what fails


def test_missing_file(capsys, tmp_path):
    line = fails(capsys, "filter", tmp_path / "none.png", tmp_path / "out.png", "--kernel", "box")
    assert "none.png: No such file" in line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"no picture",
        lambda data: data[:60],
        lambda data: data[:-30],
        lambda data: data[:50] + b"\xff" * 20 + data[70:],
    ],
)
def test_unreadable_picture(capsys, picture, tmp_path, damage):
    source = picture()
    source.write_bytes(damage(source.read_bytes()))
    line = fails(capsys, "filter", source, tmp_path / "out.png", "--kernel", "box")
    assert f"cannot read {source}: " in line
    assert os.listdir(tmp_path) == ["in.png"]


def test_a_folder_is_no_picture(capsys, tmp_path):
    assert "cannot read" in fails(capsys, "filter", tmp_path, tmp_path / "out.png", "--kernel", "box")


def test_32_bit_picture(capsys, tmp_path):
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "in.tiff")
    line = fails(capsys, "filter", tmp_path / "in.tiff", tmp_path / "out.png", "--kernel", "box")
    assert "32-bit" in line


def test_unknown_kernel(capsys, picture, tmp_path):
    line = fails(capsys, "filter", picture(), tmp_path / "out.png", "--kernel", "sobol")
    assert "sobol" in line
    assert "sobel" in line


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["gaussian"], "gaussian needs --sigma"),
        (["gabor"], "gabor needs --wavelength"),
        (["sobel", "--sigma", "2"], "sobel takes no --sigma; it takes --axis"),
        (["box", "--size", "0"], "size must be at least 1, got 0"),
        (["box", "--size", "2.5"], "invalid int value: '2.5'"),
        (["gaussian", "--sigma", "nan"], "sigma must be a finite number"),
        (["gaussian", "--sigma", "1e300"], ""),
        (["box", "--mode", "around"], "around"),
    ],
)
def test_bad_parameters(capsys, picture, tmp_path, argv, message):
    assert message in fails(capsys, "filter", picture(), tmp_path / "out.png", "--kernel", *argv)
    assert os.listdir(tmp_path) == ["in.png"]


def test_unknown_format(capsys, picture, tmp_path):
    line = fails(capsys, "filter", picture(), tmp_path / "out.xyz", "--kernel", "box")
    assert "no picture format has the ending '.xyz'; try .png or .jpg" in line


def test_a_format_without_alpha(capsys, picture, noise, tmp_path):
    assert "RGBA as JPEG" in fails(capsys, "filter", picture(noise), tmp_path / "out.jpg", "--kernel", "box")
    assert os.listdir(tmp_path) == ["in.png"]


def test_a_format_of_8_bits_for_16(capsys, picture, noise, tmp_path):
    source = picture(noise[..., 0].astype(np.uint16))
    line = fails(capsys, "filter", source, tmp_path / "out.jpg", "--kernel", "box")
    assert "the picture has 16 bits, and JPEG holds 8; try .png or .tif" in line


def test_output_in_no_folder(capsys, picture, tmp_path):
    line = fails(capsys, "filter", picture(), tmp_path / "none" / "out.png", "--kernel", "box")
    assert "cannot write" in line
    assert "No such file or directory" in line


def test_output_is_a_folder(capsys, picture, tmp_path):
    (tmp_path / "out.png").mkdir()
    assert "cannot write" in fails(capsys, "filter", picture(), tmp_path / "out.png", "--kernel", "box")
    assert sorted(os.listdir(tmp_path)) == ["in.png", "out.png"]


def test_nothing_is_half_written(capsys, picture, tmp_path, monkeypatch):
    """A full disk in the middle of a file leaves the old picture and no debris."""
    source, target = picture(), tmp_path / "out.png"
    target.write_bytes(b"the old picture")

    def full_disk(self, file, **kwargs):
        file.write(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    assert "No space left on device" in fails(capsys, "filter", source, target, "--kernel", "box")
    assert target.read_bytes() == b"the old picture"
    assert sorted(os.listdir(tmp_path)) == ["in.png", "out.png"]


@pytest.mark.parametrize(
    ("module", "argv"),
    [
        ("PIL", ["filter", "in.png", "out.png", "--kernel", "box"]),
        *[(module, ["demo"]) for module in ("matplotlib", "PIL", "pywt", "scipy", "tqdm")],
    ],
)
def test_missing_extra(tmp_path, module, argv):
    script = f"import sys; sys.modules[{module!r}] = None\nfrom fastconv.__main__ import main; sys.exit(main({argv}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "pip install fastconv[demo]" in done.stderr
    assert module in done.stderr


def test_no_arguments_shows_help(capsys):
    assert run() == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("info", "demo", "filter"))


def test_unknown_command(capsys):
    assert "deom" in fails(capsys, "deom")


def test_help_names_every_kernel(capsys):
    assert run("filter", "--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in kernels.__all__)


@pytest.mark.parametrize("flag", ["info", "--version"])
def test_as_a_program(tmp_path, flag):
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", flag], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert fastconv.__version__ in done.stdout


def test_an_interrupt_ends_quietly(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(fastconv, "show_config", interrupt)
    assert run("info") == 130
    assert capsys.readouterr().err == ""
