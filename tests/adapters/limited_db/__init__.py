"""A database backend that counts its open connections and refuses the sixth, as a pool of five does."""
