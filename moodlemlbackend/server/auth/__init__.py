"""Who is asking, and whether a request is their own."""
