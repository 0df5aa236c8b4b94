"""Type aliases for the NumPy arrays that most modules use."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IndexArray"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
