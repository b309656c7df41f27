"""The trainer and what it needs: schedules, checkpoints, devices. It knows no task by name."""
