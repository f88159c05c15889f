"""What the commands print and read at a terminal."""
