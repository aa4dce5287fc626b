"""The families: for each a grammar over a tape and, where honest, nothing but data."""
