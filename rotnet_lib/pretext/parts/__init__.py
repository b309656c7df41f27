"""What pretext tasks are built of: networks, memory, transformations of images."""
