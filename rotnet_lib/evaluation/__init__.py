"""What a pretrained backbone is worth. Each config's docstring is the protocol it carries out."""
