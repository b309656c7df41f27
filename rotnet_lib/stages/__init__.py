"""The stages: a file a notebook, with its config and its function; and training in several processes."""
