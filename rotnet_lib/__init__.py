"""RotNet (Gidaris et al., ICLR 2018) and its relatives as a benchmark harness of parameterized notebooks.

One direction, no way back: `suites` turns tables into runs and runs into executed notebooks; a notebook calls one stage
(`stages.pretrain`, `stages.probe`, ...); no stage knows of suites.
"""

__version__ = "0.1.0"
