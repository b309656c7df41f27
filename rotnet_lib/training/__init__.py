"""The trainer and what it needs: schedules, checkpoints, devices, collectives. It knows no task by name."""
