"""What a run is: its typed config, the published values, its directory, where its figures come from."""
