"""The commands of `fia`, one file each."""
