"""What judges a backbone and is no stage: classifiers on it, rotation answers, out-of-fold scoring."""
