"""Work that the server has done by other processes."""
