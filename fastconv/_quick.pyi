from typing import Any

import numpy as np

def line(
    a: Any, v: Any, mode: Any, axis: Any, method: Any, out: Any, workers: Any, flip: bool
) -> np.ndarray | None: ...
def plane(
    in1: Any,
    in2: Any,
    mode: Any,
    boundary: Any,
    fillvalue: Any,
    stride: Any,
    dilation: Any,
    method: Any,
    out: Any,
    workers: Any,
    flip: bool,
) -> np.ndarray | None: ...
def layer(
    ndim: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    layout: Any,
    remainder: Any,
    flip: Any,
    activation: Any,
    out: Any,
    workers: Any,
) -> np.ndarray | None: ...
def pool(
    ndim: int,
    operation: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    layout: Any,
    remainder: Any,
    finish: int,
    return_indices: Any,
    out: Any,
    workers: Any,
) -> Any: ...
def parts(
    ndim: int, operation: int, x: Any, output_size: Any, layout: Any, return_indices: Any, out: Any, workers: Any
) -> Any: ...
def spread(
    ndim: int,
    input_size: Any,
    grad: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    layout: Any,
    remainder: Any,
    finish: int,
    workers: Any,
) -> np.ndarray | None: ...
def spread_parts(ndim: int, input_size: Any, grad: Any, layout: Any, workers: Any) -> np.ndarray | None: ...
def scatter(
    ndim: int, input_size: Any, indices: Any, values: Any, layout: Any, add: bool, workers: Any
) -> np.ndarray | None: ...
