"""Pages: what the next one is, and the iterator that reads them."""
