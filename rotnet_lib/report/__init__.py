"""Published figures, tables, plots and the HTML they are shown in."""
