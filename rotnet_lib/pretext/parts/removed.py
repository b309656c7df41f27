"""How much of an image masks remove. Without torch: options are checked by it when runs are planned."""

SPREAD = 0.2
"""The removed share of an image lies within this part of the average: 0.2 to 0.3 of the pixels for an average of 0.25."""
