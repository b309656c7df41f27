"""How fast this machine trains and reads images, and how long the published runs would take on it."""
