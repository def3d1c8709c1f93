r"""Kernels that filters are made of, each a small array.

Every kernel here is written for *correlation* with its centre at index ``K // 2``, as
`fastconv.image.filter2d`, `scipy.ndimage.correlate` and OpenCV's ``filter2D`` apply it:

.. math:: y_{i,j} = \sum_{p,q} k_{p,q} \; x_{i + p - \lfloor K/2 \rfloor,\; j + q - \lfloor K/2 \rfloor}

Convolution flips a kernel first. Give it ``kernel[::-1, ::-1]`` for the same result; kernels that are
symmetric about their centre (box, Gaussian and identity of odd size, Laplacian, sharpen) need no flip.

Rows run downwards and columns to the right, as in an image. Weights are float64 unless `dtype` asks for
something else; a dtype that cannot hold them (a mean in integers, a negative weight in uint8) is an error.
"""
from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["box", "emboss", "gabor", "gaussian", "identity", "laplacian",
           "prewitt", "scharr", "sharpen", "sobel"]


def box(size: int | Sequence[int] = 3, *, ndim: int = 2, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Mean of a neighbourhood: equal weights that sum to 1.

    .. math:: k_{p,q} = \frac{1}{K_0 K_1}

    Parameters
    ----------
    size : int or sequence of int, default 3
        Length along every axis, or one length for each axis.
    ndim : int, default 2
        Number of axes.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape ``(size,) * ndim`` or `size`
        The weights.

    Raises
    ------
    ValueError
        If `size` or `ndim` is below 1, if `size` does not hold one length for each axis, or if `dtype` cannot
        hold the weights.
    TypeError
        If `size` or `ndim` is not an integer.

    See Also
    --------
    gaussian : A blur without the box's square artefacts.

    Notes
    -----
    The weights of `scipy.ndimage.uniform_filter`.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.box(4, ndim=1)
    array([0.25, 0.25, 0.25, 0.25])
    >>> kernels.box((2, 4))
    array([[0.125, 0.125, 0.125, 0.125],
           [0.125, 0.125, 0.125, 0.125]])
    """
    shape = tuple(_integer("size", n) for n in _each_axis("size", size, ndim))
    return _cast(np.full(shape, 1 / math.prod(shape)), dtype)


def gaussian(sigma: float | Sequence[float], *, truncate: float = 4.0,
             radius: int | Sequence[int] | None = None, ndim: int = 2,
             dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Gaussian blur: weights that fall off with the distance from the centre and sum to 1.

    .. math:: k_{p,q} = g_p g_q, \quad g_p = \frac{e^{-p^2 / 2\sigma^2}}{\sum_{r=-R}^{R} e^{-r^2 / 2\sigma^2}}

    Parameters
    ----------
    sigma : float or sequence of float
        Standard deviation in samples, for every axis or one for each. 0 leaves an axis as it is.
    truncate : float, default 4.0
        How many standard deviations the kernel reaches to each side: ``R = int(truncate * sigma + 0.5)``.
    radius : int or sequence of int, optional
        R itself, for every axis or one for each; `truncate` is not used then.
    ndim : int, default 2
        Number of axes.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, ``2 * R + 1`` along each axis
        The weights. In two dimensions and more they are a product of 1-D kernels, hence separable.

    Raises
    ------
    ValueError
        If `sigma` or `truncate` is negative or not finite, if `radius` is negative, if `ndim` is below 1, if
        a sequence does not hold one value for each axis, or if `dtype` cannot hold the weights.
    TypeError
        If `radius` or `ndim` is not an integer, or `sigma` or `truncate` not a number.

    See Also
    --------
    box : Equal weights, cheaper still.

    Notes
    -----
    The weights of `scipy.ndimage.gaussian_filter`.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.gaussian(1.0, radius=2, ndim=1).round(3)
    array([0.054, 0.244, 0.403, 0.244, 0.054])
    >>> kernels.gaussian(1.5).shape
    (13, 13)
    """
    truncate = _real("truncate", truncate, low=0)
    sigmas = [_real("sigma", s, low=0) for s in _each_axis("sigma", sigma, ndim)]
    radii = [int(truncate * s + 0.5) for s in sigmas] if radius is None else \
            [_integer("radius", r, low=0) for r in _each_axis("radius", radius, ndim)]
    weights = np.ones(())
    for s, r in zip(sigmas, radii, strict=True):
        weights = np.multiply.outer(weights, _gaussian1d(s, r))
    return _cast(weights, dtype)


def laplacian(connectivity: int = 4, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Laplacian: the sum of second differences, 0 where the image is a slope and large at edges.

    .. math::

        L_4 = \begin{pmatrix} 0 & 1 & 0 \\ 1 & -4 & 1 \\ 0 & 1 & 0 \end{pmatrix}, \qquad
        L_8 = \begin{pmatrix} 1 & 1 & 1 \\ 1 & -8 & 1 \\ 1 & 1 & 1 \end{pmatrix}

    Parameters
    ----------
    connectivity : {4, 8}, default 4
        Neighbours that count: those beside the centre, or those at the corners as well.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 0.

    Raises
    ------
    ValueError
        If `connectivity` is neither 4 nor 8, or if `dtype` cannot hold the weights.

    See Also
    --------
    sharpen : The identity less a multiple of this.

    Notes
    -----
    Sign and size of ``L_4`` are those of `scipy.ndimage.laplace` and of OpenCV's ``Laplacian`` with
    ``ksize=1``.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.laplacian()
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 (beside) or 8 (beside and diagonal), got {connectivity!r}")
    corner = connectivity // 8
    return _cast([[corner, 1, corner], [1, -connectivity, 1], [corner, 1, corner]], dtype)


def sobel(axis: int = -1, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Sobel's derivative along an axis, smoothed by (1, 2, 1) across it.

    .. math:: S_0 = \begin{pmatrix} -1 & -2 & -1 \\ 0 & 0 & 0 \\ 1 & 2 & 1 \end{pmatrix}, \qquad S_1 = S_0^T

    Parameters
    ----------
    axis : {-1, 0, 1, -2}, default -1
        Axis of the derivative: 0 goes down the rows and finds horizontal edges, 1 (or -1) goes along the
        columns and finds vertical ones.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 0. The response is positive where values grow with the index, and 8 times
        the slope.

    Raises
    ------
    ValueError
        If `axis` is not an axis of an image, or if `dtype` cannot hold the weights.

    See Also
    --------
    prewitt, scharr : The same with other smoothing.

    Notes
    -----
    Sign, size and default axis are those of `scipy.ndimage.sobel`.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.sobel(axis=1)
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    """
    return _derivative([1, 2, 1], axis, dtype)


def prewitt(axis: int = -1, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Prewitt's derivative along an axis, smoothed by (1, 1, 1) across it.

    .. math:: P_0 = \begin{pmatrix} -1 & -1 & -1 \\ 0 & 0 & 0 \\ 1 & 1 & 1 \end{pmatrix}, \qquad P_1 = P_0^T

    Parameters
    ----------
    axis : {-1, 0, 1, -2}, default -1
        Axis of the derivative: 0 goes down the rows and finds horizontal edges, 1 (or -1) goes along the
        columns and finds vertical ones.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 0. The response is positive where values grow with the index, and 6 times
        the slope.

    Raises
    ------
    ValueError
        If `axis` is not an axis of an image, or if `dtype` cannot hold the weights.

    See Also
    --------
    sobel, scharr : The same with other smoothing.

    Notes
    -----
    Sign, size and default axis are those of `scipy.ndimage.prewitt`.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.prewitt(axis=0)
    array([[-1., -1., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  1.,  1.]])
    """
    return _derivative([1, 1, 1], axis, dtype)


def scharr(axis: int = -1, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Scharr's derivative along an axis, smoothed by (3, 10, 3) across it.

    Of the 3 x 3 derivatives this one depends least on the direction of an edge.

    .. math:: S_0 = \begin{pmatrix} -3 & -10 & -3 \\ 0 & 0 & 0 \\ 3 & 10 & 3 \end{pmatrix}, \qquad S_1 = S_0^T

    Parameters
    ----------
    axis : {-1, 0, 1, -2}, default -1
        Axis of the derivative: 0 goes down the rows and finds horizontal edges, 1 (or -1) goes along the
        columns and finds vertical ones.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 0. The response is positive where values grow with the index, and 32 times
        the slope.

    Raises
    ------
    ValueError
        If `axis` is not an axis of an image, or if `dtype` cannot hold the weights.

    See Also
    --------
    sobel, prewitt : The same with other smoothing.

    Notes
    -----
    The whole numbers of OpenCV's ``Scharr``, not normalised; scikit-image's weights are these divided by 16,
    with the sign of convolution.

    References
    ----------
    H. Scharr, *Optimal operators in digital image processing*, PhD thesis, Heidelberg University, 2000.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.scharr(axis=1)
    array([[ -3.,   0.,   3.],
           [-10.,   0.,  10.],
           [ -3.,   0.,   3.]])
    """
    return _derivative([3, 10, 3], axis, dtype)


def sharpen(amount: float = 1.0, *, connectivity: int = 4, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Sharpen: the image less a multiple of its Laplacian.

    .. math:: k = I - a L

    Parameters
    ----------
    amount : float, default 1.0
        How much (a): 0 changes nothing, 1 is the customary kernel with 5 in the middle, below 0 blurs.
    connectivity : {4, 8}, default 4
        Which `laplacian`.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 1.

    Raises
    ------
    ValueError
        If `amount` is not finite, if `connectivity` is neither 4 nor 8, or if `dtype` cannot hold the
        weights.
    TypeError
        If `amount` is not a number.

    See Also
    --------
    laplacian : What is taken away.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.sharpen()
    array([[ 0., -1.,  0.],
           [-1.,  5., -1.],
           [ 0., -1.,  0.]])
    """
    return _cast(identity(3) - _real("amount", amount) * laplacian(connectivity), dtype)


def emboss(amount: float = 1.0, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Emboss: a relief of the image lit from the top left, laid over the image.

    .. math:: k = I + a (P_0 + P_1), \qquad
        P_0 + P_1 = \begin{pmatrix} -2 & -1 & 0 \\ -1 & 0 & 1 \\ 0 & 1 & 2 \end{pmatrix}

    Parameters
    ----------
    amount : float, default 1.0
        Height of the relief (a). 0 changes nothing, below 0 lights it from the bottom right.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape (3, 3)
        The weights, which sum to 1.

    Raises
    ------
    ValueError
        If `amount` is not finite, or if `dtype` cannot hold the weights.
    TypeError
        If `amount` is not a number.

    See Also
    --------
    prewitt : P, whose sum over both axes is the slope along the diagonal.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.emboss()
    array([[-2., -1.,  0.],
           [-1.,  1.,  1.],
           [ 0.,  1.,  2.]])
    """
    return _cast(identity(3) + _real("amount", amount) * (prewitt(0) + prewitt(1)), dtype)


def gabor(wavelength: float, theta: float = 0.0, *, sigma: float | None = None, gamma: float = 0.5,
          phase: float = 0.0, truncate: float = 3.0, radius: int | None = None,
          dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Gabor filter: a wave under a Gaussian, which answers to stripes of one width and direction.

    .. math::

        k(x, y) = \exp\left(-\frac{x'^2 + \gamma^2 y'^2}{2 \sigma^2}\right)
                  \cos\left(\frac{2 \pi x'}{\lambda} + \varphi\right), \qquad
        \begin{aligned} x' &= x \cos\theta + y \sin\theta \\ y' &= y \cos\theta - x \sin\theta \end{aligned}

    with x to the right and y down from the centre.

    Parameters
    ----------
    wavelength : float
        Length of the wave in pixels (lambda), at least 2.
    theta : float, default 0.0
        Direction in which the wave runs, in radians: 0 is along the columns and answers to vertical stripes,
        pi/2 is down the rows.
    sigma : float, optional
        Standard deviation of the Gaussian along the wave, in pixels; ``0.56 * wavelength`` (one octave) by
        default.
    gamma : float, default 0.5
        Aspect ratio: across the wave the standard deviation is ``sigma / gamma``.
    phase : float, default 0.0
        Phase of the wave in radians (phi): 0 answers to lines, -pi/2 to edges.
    truncate : float, default 3.0
        How many standard deviations (the larger of the two) the kernel reaches to each side.
    radius : int, optional
        That reach itself, in pixels; `truncate` is not used then.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape ``(2 * radius + 1, 2 * radius + 1)``
        The weights, not normalised: 1 at the centre of the Gaussian.

    Raises
    ------
    ValueError
        If `wavelength` is below 2, if `sigma` or `gamma` is not above 0, if `truncate` or `radius` is
        negative, if a number is not finite, or if `dtype` cannot hold the weights.
    TypeError
        If `radius` is not an integer, or another parameter not a number.

    Notes
    -----
    The parameters of OpenCV's ``getGaborKernel``, whose kernel is this one turned by 180 degrees.

    References
    ----------
    N. Petkov and P. Kruizinga, *Computational models of visual neurons specialised in the detection of
    periodic and aperiodic oriented visual stimuli*, Biological Cybernetics 76 (1997), 83-96.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.gabor(4, radius=2, sigma=2, gamma=1).round(2) + 0.0
    array([[-0.37,  0.  ,  0.61,  0.  , -0.37],
           [-0.54,  0.  ,  0.88,  0.  , -0.54],
           [-0.61,  0.  ,  1.  ,  0.  , -0.61],
           [-0.54,  0.  ,  0.88,  0.  , -0.54],
           [-0.37,  0.  ,  0.61,  0.  , -0.37]])
    """
    # A wave shorter than two pixels cannot be told from a longer one (Nyquist).
    wavelength = _real("wavelength", wavelength, low=2)
    theta, phase = _real("theta", theta), _real("phase", phase)
    sigma = 0.56 * wavelength if sigma is None else _real("sigma", sigma, above=0)
    gamma = _real("gamma", gamma, above=0)
    if radius is None:
        radius = int(_real("truncate", truncate, low=0) * max(sigma, sigma / gamma) + 0.5)
    y, x = np.mgrid[-_integer("radius", radius, low=0):radius + 1, -radius:radius + 1]
    along, across = x * math.cos(theta) + y * math.sin(theta), y * math.cos(theta) - x * math.sin(theta)
    envelope = _bell(along, sigma) * _bell(gamma * across, sigma)
    return _cast(envelope * np.cos(2 * math.pi * along / wavelength + phase), dtype)


def identity(size: int | Sequence[int] = 3, *, ndim: int = 2, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    r"""Identity: 1 at the centre and 0 elsewhere, which changes nothing.

    .. math:: k_{p,q} = \delta_{p, \lfloor K_0/2 \rfloor} \, \delta_{q, \lfloor K_1/2 \rfloor}

    Parameters
    ----------
    size : int or sequence of int, default 3
        Length along every axis, or one length for each axis.
    ndim : int, default 2
        Number of axes.
    dtype : dtype, default float64
        Type of the result.

    Returns
    -------
    ndarray, shape ``(size,) * ndim`` or `size`
        The weights.

    Raises
    ------
    ValueError
        If `size` or `ndim` is below 1, if `size` does not hold one length for each axis, or if `dtype` cannot
        hold the weights.
    TypeError
        If `size` or `ndim` is not an integer.

    Examples
    --------
    >>> from fastconv import kernels
    >>> kernels.identity(3)
    array([[0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]])
    """
    shape = tuple(_integer("size", n) for n in _each_axis("size", size, ndim))
    weights = np.zeros(shape)
    weights[tuple(n // 2 for n in shape)] = 1
    return _cast(weights, dtype)


def _gaussian1d(sigma: float, radius: int) -> NDArray[Any]:
    x = np.arange(-radius, radius + 1.0)
    weights: NDArray[Any] = _bell(x, sigma) if sigma > 0 else (x == 0).astype(np.float64)
    weights /= weights.sum()
    return weights


def _bell(x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    # Divided before it is squared: the square of a tiny sigma is 0, and 0 / 0 is not a number.
    with np.errstate(over="ignore"):
        bell: NDArray[np.float64] = np.exp(-0.5 * (x / sigma) ** 2)
    return bell


def _derivative(smoothing: list[int], axis: int, dtype: DTypeLike) -> NDArray[Any]:
    """Central difference along `axis`, weighted by `smoothing` across it."""
    if axis not in (0, 1, -1, -2):
        raise ValueError(f"axis must be 0 (down the rows) or 1 (along the columns), got {axis!r}")
    down_the_rows = np.outer([-1, 0, 1], smoothing)
    return _cast(down_the_rows if axis in (0, -2) else down_the_rows.T, dtype)


def _each_axis(name: str, value: Any, ndim: int) -> list[Any]:
    """One value for each of `ndim` axes."""
    ndim = _integer("ndim", ndim)
    if np.ndim(value) == 0:
        return [value] * ndim
    values = list(value)
    if len(values) != ndim:
        raise ValueError(f"{name} must be one number, or one for each axis (ndim={ndim}), got {value!r}")
    return values


def _integer(name: str, value: int, low: int = 1) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}")
    return number


def _real(name: str, value: float, low: float = -math.inf, above: float = -math.inf) -> float:
    try:
        finite = math.isfinite(value)
    except TypeError:
        raise TypeError(f"{name} must be a real number, got {value!r}") from None
    if not (finite and value >= low and value > above):
        bound = f" of at least {low}" if low > -math.inf else f" above {above}" if above > -math.inf else ""
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")
    return float(value)


def _cast(weights: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """The weights as a fresh, contiguous array of `dtype`, which must be able to hold them."""
    exact = np.asarray(weights, dtype=np.float64)
    dtype = np.dtype(dtype)
    if dtype.kind not in "biufcO":
        raise ValueError(f"dtype must be numeric, got {dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        result = exact.astype(dtype, order="C")
    if dtype.kind in "biu" and not np.array_equal(result, exact):
        lost = exact[result != exact].flat[0]
        raise ValueError(f"dtype {dtype} cannot hold this kernel, which has the weight {lost:.4g}; "
                         "float64 can")
    return result
