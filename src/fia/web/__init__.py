"""`fia serve`: a local page that forgets concepts, and shows what that does and costs."""
