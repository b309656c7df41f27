"""Suites: a YAML a table, turned into runs, handed to Snakemake."""

import rotnet_lib.voc  # noqa: F401 (its stages enter themselves in the register)
