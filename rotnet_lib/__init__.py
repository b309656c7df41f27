"""RotNet (Gidaris et al., ICLR 2018) and its relatives as a benchmark harness of parameterized notebooks.

One direction, no way back: suites know runs, runs know notebooks, notebooks call this library; the library knows nothing
of notebooks or suites.
"""

__version__ = "0.1.0"
