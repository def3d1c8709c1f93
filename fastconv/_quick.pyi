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
