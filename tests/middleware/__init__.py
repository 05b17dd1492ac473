"""What the middlewares do for streams that an app makes without streamkit, and that they touch nothing else."""
