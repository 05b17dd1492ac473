"""The parts of `SQLiteLog`: connections to the file, its rows, and the thread that looks for new ones."""
