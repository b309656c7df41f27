"""Suites: a YAML a table, turned into runs, handed to Snakemake."""
