"""How a kernel is compiled, and under which name numba keeps it: one that changes with the source of any kernel.

numba looks, for what it has kept of a function, at the file of that function alone. What the function calls, the
constants it reads and the order of a record's columns are in what it has kept too: changed in another file, they would
go unseen, and the service would judge by the code of yesterday.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from numba import njit

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_SOURCES: Final = sha256(
    b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()


def kernel(**options: Any) -> Callable[[_Kernel], _Kernel]:
    """The `njit` of numba with `options`, cached; numba names the file it keeps after the qualified name."""

    def compiled(function: _Kernel) -> _Kernel:
        function.__qualname__ += f"-{_SOURCES[:16]}"
        found: _Kernel = njit(cache=True, **options)(function)
        return found

    return compiled
