"""`fia serve`: a local page to forget concepts, and to look at what that does and costs."""
